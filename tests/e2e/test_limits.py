"""Where Entra, Secrets Manager or a change of mind set limits: an error that names the cure, a record, nothing lost."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable

import pytest
from keywheel_local.tenant import Tenant
from keywheel_local.world import World

NAMES = "full", "short", "shorter", "forbidden", "large", "env", "raw", "mended"


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    for name in NAMES:
        tenant.managed(name, "+10d", 170)
    tenant.credentials["shorter"].fields["shortest_lifetime"] = "40d"
    tenant.credentials["large"].fields |= {"format": "template", "template": "{client_secret}" + "x" * 65_500}
    return start(tenant)


@pytest.fixture
def only(world: World) -> Callable[[str], None]:
    """Sweep with this credential alone in the manifest, until all is at rest."""
    def sweep(name: str) -> None:
        tenant = Tenant(credentials={name: world.tenant.credentials[name]})
        world.stack.put_manifest(tenant.manifest())
        world.sweep_to_rest()
    return sweep


@pytest.fixture
def entra(world: World):
    """Set the tenant's limits for one test."""
    yield lambda **limits: world.stack.admin("POST", "faults", {"limits": limits})
    world.stack.admin("POST", "faults", {})


def reasons(world: World, credential: str) -> list[str]:
    return [event["data"]["reason"] for event in world.events("keywheel.rotation.failed")
            if event["subject"] == credential]


def check_untouched(world: World, name: str, why: str, cure: str) -> None:
    """It failed for good with a cure, and the secret is as it was and works; then the next test begins clean."""
    one = world.tenant.credentials[name]
    [reason] = reasons(world, name)
    assert why in reason and cure in reason, reason
    assert [cure in letter["reason"] for letter in world.dead_letters()] == [True]
    assert world.current(one.secret)[0] == one.current.rotation and world.signs_in(one)
    assert set(world.keys(one)) == {one.current.key.key_id}


def check_rotated(world: World, name: str) -> None:
    one = world.tenant.credentials[name]
    assert world.dead_letters() == []
    assert world.current(one.secret)[0] != one.current.rotation and world.signs_in(one)


def test_an_application_that_holds_no_more_keys(world: World, only: Callable, entra: Callable):
    entra(max_passwords=1)
    only("full")
    check_untouched(world, "full", "holds as many keys as it may", "remove a key")


def test_a_policy_that_refuses_the_lifetime(world: World, only: Callable, entra: Callable):
    entra(max_lifetime_days=60)
    only("short")
    check_untouched(world, "short", "CredentialInvalidLifetimeAsPerAppPolicy", "shortest_lifetime")


def test_a_shorter_life_is_taken_where_the_manifest_accepts_it(world: World, only: Callable, entra: Callable):
    entra(max_lifetime_days=60)
    only("shorter")
    check_rotated(world, "shorter")
    one = world.tenant.credentials["shorter"]
    key = world.keys(one)[world.current(one.secret)[1]]
    life = datetime.datetime.fromisoformat(key["end"]) - world.now()
    assert datetime.timedelta(days=40) <= life <= datetime.timedelta(days=60), key


def test_a_tenant_that_forbids_new_passwords(world: World, only: Callable, entra: Callable):
    entra(forbid_passwords=True)
    only("forbidden")
    check_untouched(world, "forbidden", "forbids client secrets", "exempt it")


def test_a_value_too_large_mints_nothing(world: World, only: Callable):
    only("large")
    check_untouched(world, "large", "template", "65536")


@pytest.mark.parametrize("name", ["env", "raw"])
def test_a_format_changed_in_mid_rotation_starts_afresh(world: World, only: Callable, name: str):
    """The pending version is not of the new format: it is given up, and another one is made. A raw value could be
    any text: the whole old value would be presented as the secret, and refused until its key has nearly expired."""
    one = world.tenant.credentials[name]
    world.stack.admin("POST", "faults", {"rules": [
        {"kind": "conditional_access", "operation": "token", "application": one.app.app_id}]})
    only(name)
    world.stack.admin("POST", "faults", {})
    assert len(world.dead_letters()) == 1
    assert any("AWSPENDING" in labels for labels in world.labels(one.secret).values())
    one.fields["format"] = name
    only(name)
    check_rotated(world, name)
    value = world.client("secretsmanager").get_secret_value(SecretId=one.secret)["SecretString"]
    assert "AZURE_CLIENT_SECRET" in value if name == "env" else len(value) == 40
    assert name in [event["subject"] for event in world.events("keywheel.rotation.abandoned")]


def test_a_broken_manifest_stops_nothing_for_good(world: World, only: Callable):
    """The sweep refuses it whole; once it is mended, what is due is rotated."""
    world.stack.put_manifest(json.dumps({"tenant": "nonsense"}))
    answer = world.stack.invoke("sweep", {})
    assert answer["error"]
    only("mended")
    check_rotated(world, "mended")
