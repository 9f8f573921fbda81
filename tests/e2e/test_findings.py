"""What a sweep tells of keys and secrets that it leaves alone: each once, and no live key as nobody's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from keywheel_local.tenant import Credential, Key, Tenant
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
    made.rules.append({"match": {"tag": "partner"}, "secret": "entra/{appId}", "key_on": "servicePrincipal"})
    made.app("ruled", tags=["partner"], keys=[endless()],
             certificates=[{"display_name": "tls", "start": "-300d", "end": "+9d"}])
    made.managed("tagged", "+100d", app=made.app("tagged", tags=["partner"], principal_keys=[endless()]))
    made.managed("leaving", "+10d")
    # Due, and Graph lists its application without the keys.
    made.managed("odd", "+10d", app=made.app("odd", properties={"passwordCredentials": None}))
    made.app("nameless", properties={"appId": None})
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
    assert {"endless-key", "expiring-certificate"} <= found[f"entra/{app_id(world, 'ruled')}"], "of a ruled one"
    assert "endless-key" in found[app_id(world, "tagged")], "on the service principal of one that is listed"


def test_a_secret_that_is_about_to_be_deleted_is_told_and_left_alone(world: World):
    assert world.findings()["leaving"] == {"secret-scheduled-for-deletion"}
    assert [job for job in world.jobs() if job["credential"] == "leaving"] == []
    assert world.dead_letters() == []
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
