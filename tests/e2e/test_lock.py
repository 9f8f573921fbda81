"""An application whose instance property lock is on: its service principal takes no keys, so nothing is tried there."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from keywheel_local import ask
from keywheel_local.tenant import Tenant
from keywheel_local.world import World, until

LOCKED = "service-principal-locked"
LOCK = {"isEnabled": True, "allProperties": True}


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()

    def app(name: str):
        return tenant.app(name, properties={"servicePrincipalLockConfiguration": LOCK})

    for name, ends, more in (("due", "+10d", {}), ("native", "+10d", {"trigger": "native"}), ("old", "+150d", {}),
                             ("asked", "+150d", {"allow": {"slack": [{"team": ask.TEAM, "users": [ask.ALICE]}]}})):
        tenant.managed(name, ends, 160, app=app(name), key_on="servicePrincipal", **more)
    tenant.turned(tenant.credentials["old"], "+170d", 5)
    tenant.credential("first", app=app("first"), key_on="servicePrincipal")
    return start(tenant)


def plan(world: World, member: str) -> set[str]:
    return {one["credential"] for one in json.loads(world.stack.keywheel("plan", "--json").stdout)[member]}


def keys(world: World) -> dict[str, set[str]]:
    return {name: set(world.keys(one)) for name, one in world.tenant.credentials.items()}


def test_a_sweep_queues_nothing_that_entra_will_refuse(world: World) -> None:
    before = keys(world)
    assert world.sweep_to_rest()["queued"] == []
    found = world.findings()
    assert all(LOCKED in found[name] for name in world.tenant.credentials), found
    assert (world.jobs(), world.dead_letters(), keys(world)) == ([], [], before)


def test_plan_shows_why_and_nothing_that_is_due(world: World) -> None:
    assert plan(world, "planned") == set()
    assert plan(world, "findings") >= set(world.tenant.credentials)


def test_whoever_asks_is_told_before_anything_is_queued(world: World) -> None:
    for name in ("due", "asked", "first"):
        done = world.stack.keywheel("rotate", name, "--yes")
        assert done.returncode != 0 and LOCKED in done.stderr and "key_on: application" in done.stderr, done
    assert world.jobs() == []


def test_a_request_by_slack_fails_once_with_the_reason_and_mints_nothing(world: World) -> None:
    before = keys(world)
    ask.shown(world.stack, "rotate asked --now it leaked")
    world.rest()
    [letter] = world.dead_letters()
    assert "instance property lock" in letter["reason"], letter
    assert "Graph:" not in letter["reason"], "not by trial"
    assert keys(world) == before and not world.events("keywheel.key.minted")


def rotation(world: World) -> str:
    answer = world.client("secretsmanager").rotate_secret(
        SecretId=world.tenant.credentials["native"].secret,
        RotationLambdaARN=world.stack.env["KEYWHEEL_ROTATE_FUNCTION_ARN"], RotationRules={"AutomaticallyAfterDays": 30})
    return answer["VersionId"]


def test_secrets_managers_own_rotation_says_why_and_mints_nothing(world: World) -> None:
    before, token = keys(world), rotation(world)
    until(lambda: not world.busy(), "the rotation ends")
    errors = [json.dumps(call["error"]) for call in world.invocations("rotate")
              if call["event"].get("ClientRequestToken") == token]
    assert errors and all(LOCKED in error for error in errors), errors
    assert keys(world) == before and not world.events("keywheel.key.minted")
    assert world.sweep_to_rest()["queued"] == [], "nor does a sweep resume it"


def test_when_the_lock_is_off_all_goes_on_by_itself(world: World) -> None:
    graph = world.stack.person("ann@contoso.onmicrosoft.com")
    for one in world.tenant.credentials.values():
        graph("PATCH", f"applications/{one.app.object_id}",
              {"servicePrincipalLockConfiguration": LOCK | {"isEnabled": False}})
    past = world.tenant.credentials["old"].versions[0].key.key_id
    jobs = world.sweep_to_rest()["queued"]
    assert {job["credential"] for job in jobs} == {"due", "old", "first", "native"}, jobs
    for name in ("due", "first", "native"):
        one = world.tenant.credentials[name]
        assert world.current(one.secret)[0] not in (None, one.current and one.current.rotation), name
        assert world.signs_in(one)
    assert past not in world.keys(world.tenant.credentials["old"])
