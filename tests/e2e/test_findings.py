"""What a sweep tells of keys and secrets that it leaves alone: each once, and no live key as nobody's."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from keywheel_local import ask
from keywheel_local.tenant import Credential, Key, Tenant, new_id
from keywheel_local.world import World

AT_ONCE = 150  # credentials that a sweep looks at together


def pair(tenant: Tenant, name: str) -> tuple[Credential, Credential]:
    """Two credentials on one application: the manifest's first ones and its last ones, by name."""
    app = tenant.app(name)
    return tenant.managed(f"a-{name}", "+100d", app=app), tenant.managed(f"z-{name}", "+100d", app=app)


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    made = Tenant()
    _, last = pair(made, "one")
    last.app.keys.append(Key("-40d", "+140d", "somebody's"))
    first, last = pair(made, "two")
    first.fields["retire_keys"] = [last.current.key.key_id]
    for number in range(AT_ONCE):
        made.managed(f"m-{number:03}", "+100d")

    def endless() -> Key:
        return Key("-900d", None, "for ever")

    made.managed("partner", "+100d", key_on="servicePrincipal", app=made.app("partner", keys=[endless()]))
    made.rules.append({"match": {"tag": "partner"}, "secret": "keywheel/entra/{appId}", "key_on": "servicePrincipal"})
    made.app("ruled", tags=["partner"], keys=[endless()],
             certificates=[{"display_name": "tls", "start": "-300d", "end": "+9d"}])
    made.managed("tagged", "+100d", app=made.app("tagged", tags=["partner"], principal_keys=[endless()]))
    made.managed("leaving", "+10d")
    # Due, and Graph lists its application without the keys.
    made.managed("odd", "+10d", app=made.app("odd", properties={"passwordCredentials": None}))
    made.app("nameless", properties={"appId": None})
    made.app("ruled-odd", tags=["partner"], properties={"passwordCredentials": None})
    lock = {"servicePrincipalLockConfiguration": {"isEnabled": True, "allProperties": True}}
    made.managed("locked", "+100d", key_on="servicePrincipal", app=made.app("locked", properties=lock))
    made.app("ruled-locked", tags=["partner"], properties=lock)
    made.managed("lock-beside", "+100d", app=made.app("lock-beside", properties=lock))
    # Somebody took the wrong one of the ids that the portal shows.
    mistaken = made.app("mistaken")
    given = made.app("object-id", known=False, app_id=mistaken.object_id)
    made.managed("object-id", "+100d", app=given, allow={"webhook": ["local"]})
    made.managed("principal-id", "+100d", app=made.app("principal-id", known=False, app_id=mistaken.principal_id))
    made.managed("gone", "+100d", app=made.app("gone", known=False))
    made.rules.append({"match": {"tag": "Partner"}, "secret": "keywheel/capital/{appId}"})
    elsewhere = Key("-9d", "+100d", "of the principal")
    app = made.app("named", principal_keys=[elsewhere])
    made.managed("named", "+100d", app=app, retire_keys=[elsewhere.key_id, new_id()])
    return made


@pytest.fixture(scope="module")
def world(start: Callable[..., World], tenant: Tenant) -> World:
    world = start(tenant)
    leaving = tenant.credentials["leaving"].secret
    world.client("secretsmanager").delete_secret(SecretId=leaving, RecoveryWindowInDays=7)
    world.sweep_to_rest()
    return world


def app_id(world: World, name: str) -> str:
    return next(app.app_id for app in world.tenant.apps if app.name == name)


def test_credentials_far_apart_on_one_application_do_not_take_each_others_keys_for_foreign(world: World):
    told = [(event["subject"], event["data"]["key"]) for event in world.events("keywheel.finding.foreign-key")]
    [foreign] = [key for key in world.tenant.credentials["a-one"].app.keys if key.display_name == "somebody's"]
    assert told == [("a-one", foreign.key_id)]


def test_a_live_key_of_another_credential_is_not_retired_by_name(world: World):
    first, last = (world.tenant.credentials[name] for name in ("a-two", "z-two"))
    live = last.current.key.key_id
    assert live in world.keys(last) and world.signs_in(last)
    [event] = world.events("keywheel.finding.key-of-another")
    assert (event["subject"], event["data"]["key"]) == (first.name, live)
    assert [job for job in world.jobs() if job["credential"] in (first.name, last.name)] == []


def test_keys_beside_those_of_a_service_principal_are_told(world: World):
    found = world.findings()
    assert "endless-key" in found["partner"], "left on the application of a listed credential"
    ruled = found[f"keywheel/entra/{app_id(world, 'ruled')}"]
    assert {"endless-key", "expiring-certificate"} <= ruled, "of a ruled one"
    assert "endless-key" in found[app_id(world, "tagged")], "on the service principal of one that is listed"


def test_a_secret_that_is_about_to_be_deleted_is_told_and_left_alone(world: World):
    assert world.findings()["leaving"] == {"secret-scheduled-for-deletion"}
    assert [job for job in world.jobs() if job["credential"] == "leaving"] == []
    assert [letter for letter in world.dead_letters() if json.loads(letter["body"])["credential"] == "leaving"] == []
    leaving = world.tenant.credentials["leaving"]
    world.client("secretsmanager").restore_secret(SecretId=leaving.secret)
    answer = world.sweep_to_rest()
    assert {"credential": "leaving", "work": "rotate (expiring)"} in answer["queued"]
    assert world.signs_in(leaving)


def test_an_application_that_graph_lists_otherwise_than_documented_is_told_and_left_alone(world: World) -> None:
    told = [event["data"]["reason"] for event in world.events("keywheel.finding.unreadable-object")]
    assert any("(odd)" in reason for reason in told) and any("(nameless)" in reason for reason in told)
    one = world.tenant.credentials["odd"]
    assert not [e for e in world.events() if e.get("subject") == one.name], "neither rotated nor called gone"
    assert world.current(one.secret)[0] == one.current.rotation


def test_an_object_that_cannot_be_read_is_named_by_status_rotate_and_the_digest_too(world: World) -> None:
    done = world.stack.keywheel("status", "--json")
    assert json.loads(done.stdout)["credentials"]
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: unreadable-object: ")]
    for name in ("odd", "nameless", "ruled-odd"):
        assert any(f"({name})" in line for line in warnings), done.stderr
    done = world.stack.keywheel("rotate", "--application", app_id(world, "ruled-odd"), "--yes")
    assert done.returncode != 0 and "(ruled-odd)" in done.stderr and "tag it" not in done.stderr, done

    def told() -> list[str]:
        put = [call for call in world.stack.local("GET", "sent") if call["operation"] == "PutEvents"]
        entries = [json.loads(entry["Detail"]) for call in put for entry in call["request"]["Entries"]]
        return [one["id"] for one in entries if one["type"] == "keywheel.finding.unreadable-object"]

    before = told()
    assert not world.stack.invoke("sweep", {"digest": True, "dry_run": True})["error"] and told() == before
    assert not world.stack.invoke("sweep", {"digest": True})["error"]
    again = told()[len(before):]
    assert set(again) == set(before), "the same objects as the sweep's, and each counts once a day"


def status(world: World, name: str) -> dict[str, str]:
    done = world.stack.keywheel("status", name, "--json")
    [standing] = json.loads(done.stdout)["credentials"]
    return {one["finding"]: one["explanation"] for one in standing["findings"]}


def test_a_locked_service_principal_is_told_before_anything_is_minted(world: World) -> None:
    found = world.findings()
    locked, ruled = "service-principal-locked", f"keywheel/entra/{app_id(world, 'ruled-locked')}"
    assert locked in found["locked"] and locked in found[ruled]
    assert all(locked not in names for name, names in found.items() if name not in ("locked", ruled))
    assert [job for job in world.jobs() if job["credential"] == "locked"] == []
    assert "key_on: application" in status(world, "locked")[locked]
    assert locked not in status(world, "lock-beside") and locked not in status(world, "partner")


def test_an_object_id_in_place_of_a_client_id_is_told_with_the_client_id(world: World) -> None:
    right = app_id(world, "mistaken")
    told = {event["subject"]: event["data"]["reason"] for event in world.events("keywheel.finding.object-id-given")}
    assert set(told) == {"object-id", "principal-id"}
    assert "the object id of the application" in told["object-id"]
    assert "the object id of the service principal" in told["principal-id"]
    assert all(f"`application: {right}`" in reason for reason in told.values())
    gone = {event["subject"] for event in world.events("keywheel.finding.application-gone")}
    assert "gone" in gone and not gone & set(told)
    assert set(status(world, "object-id")) == {"object-id-given"}
    other = world.tenant.credentials["locked"].app
    done = world.stack.keywheel("rotate", "--application", other.object_id, "--yes")
    assert done.returncode != 0 and f"`application: {other.app_id}`" in done.stderr, done
    given, jobs = world.tenant.credentials["object-id"].app.app_id, world.jobs()
    done = world.stack.keywheel("rotate", "object-id", "--yes", "--timeout", "60s")
    assert done.returncode != 0 and f"`application: {right}`" in done.stderr and world.jobs() == jobs, done
    assert ask.rotate(world.stack, "object-id").send(world.stack).status == 202
    world.rest()
    [failed] = [event for event in world.events("keywheel.rotation.failed") if event["subject"] == "object-id"]
    assert f"`application: {right}`" in failed["data"]["reason"], (given, failed)


def test_a_rule_that_nothing_follows_is_told(world: World) -> None:
    [event] = world.events("keywheel.finding.rule-matches-nobody")
    assert "`Partner`" in event["data"]["reason"] and event["subject"] == world.stack.env["KEYWHEEL_APPLICATION"]
    planned = json.loads(world.stack.keywheel("plan", "--json").stdout)["findings"]
    assert [one["finding"] for one in planned if "`Partner`" in one["explanation"]] == ["rule-matches-nobody"]


def test_keys_named_in_vain_are_told_by_sweep_plan_and_status_alike(world: World) -> None:
    names = {"named-key-elsewhere", "named-key-nowhere"}
    assert names <= world.findings()["named"]
    planned = json.loads(world.stack.keywheel("plan", "--json").stdout)["findings"]
    assert names <= {one["finding"] for one in planned if one["credential"] == "named"}
    assert names <= set(status(world, "named"))
