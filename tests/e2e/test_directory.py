"""What Entra itself tells: who changed keys, who still uses them, what expires. And what it must not be taken for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from keywheel_local.tenant import Tenant
from keywheel_local.world import World

ANN = "ann@contoso.onmicrosoft.com"


def tenant() -> Tenant:
    made = Tenant()
    made.managed("fresh", "+100d")
    made.managed("due", "+10d")
    made.managed("watched", "+10d", retire="when-unused")
    made.managed("moved", "+10d")
    made.app("nobodys")
    return made


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    world = start(tenant())
    world.sweep_to_rest()
    return world


def foreign_changes(world: World) -> list[dict]:
    return world.events("keywheel.finding.foreign-change")


def test_what_keywheel_did_itself_is_no_foreign_change(world: World):
    assert len(world.events("keywheel.rotation.promoted")) == 3
    world.sweep_to_rest()
    assert foreign_changes(world) == []


def test_a_person_who_adds_and_removes_a_key_is_told_once(world: World):
    fresh, graph = world.tenant.credentials["fresh"], world.stack.person(ANN)
    path = f"applications(appId='{fresh.app.app_id}')"
    key = graph("POST", f"{path}/addPassword", {"passwordCredential": {"displayName": "mine"}})["keyId"]
    on_principal = f"servicePrincipals(appId='{fresh.app.app_id}')"
    hidden = graph("POST", f"{on_principal}/addPassword", {})["keyId"]
    nobodys = next(app for app in world.tenant.apps if app.name == "nobodys")
    graph("POST", f"applications(appId='{nobodys.app_id}')/addPassword", {})
    world.advance(seconds=30)  # of the last seconds a sweep may not know yet: the next one reads them
    world.sweep_to_rest()
    told = {event["data"]["key"]: event for event in foreign_changes(world)}
    assert set(told) == {key, hidden}
    data = told[key]["data"]
    assert (told[key]["subject"], data["actor"]) == ("fresh", f"user {ANN}")
    assert data["directory_audit"].startswith("Directory_") and data["graph_request_id"] in data["directory_audit"]

    graph("POST", f"{path}/removePassword", {"keyId": key})
    world.advance(seconds=30)
    put = len([call for call in world.stack.local("GET", "sent") if call["operation"] == "PutEvents"])
    world.sweep_to_rest()
    told = foreign_changes(world)
    assert len(told) == 3 and "removed" in told[-1]["data"]["reason"]
    again = [call for call in world.stack.local("GET", "sent") if call["operation"] == "PutEvents"][put:]
    entries = [entry["DetailType"] for call in again for entry in call["request"]["Entries"]]
    assert entries.count("keywheel.finding.foreign-change") == 1, "what was told is not told again"


def test_the_digest_tells_all_that_expires_within_60_days(world: World):
    dry = world.stack.invoke("sweep", {"digest": True, "dry_run": True})
    assert not dry["error"] and world.events("keywheel.digest.expiring") == []
    answer = world.stack.invoke("sweep", {"digest": True})
    assert not answer["error"] and answer["result"]["finished"], answer
    [event] = world.events("keywheel.digest.expiring")
    assert event["type"] == "keywheel.digest.expiring" and event["data"] == dry["result"]["digest"]
    due = world.tenant.credentials["due"]
    told = {one["key"]: one for one in event["data"]["expiring"]}
    old = told[due.versions[0].key.key_id]
    assert (old["credential"], old["display_name"], old["managed"]) == ("due", "due", True)
    assert event["data"]["total"] == len(told) == 3, "the old keys of the three that were turned"


def test_a_key_that_lives_elsewhere_since_the_manifest_changed_is_not_recorded_as_removed(world: World):
    moved = world.tenant.credentials["moved"]
    old = moved.versions[0].key.key_id
    before = set(world.keys(moved))
    assert old in before
    moved.fields["key_on"] = "servicePrincipal"
    world.stack.put_manifest(world.tenant.manifest())
    world.advance(hours=1)  # until then it may be a replica that does not know the new key
    world.sweep_to_rest()  # its current key is not there: it is turned
    world.advance(hours=25)
    world.sweep_to_rest()
    told = {event["data"]["key"] for event in world.events("keywheel.finding.key-not-found")}
    assert told == before
    removed = {event["data"]["key"] for event in world.events("keywheel.key.removed")}
    assert not removed & before
    assert set(world.keys_of(moved.app.app_id)) == before, "they live where they were"
    assert world.signs_in(moved)


def test_a_key_still_in_use_stays_and_goes_when_it_is_not(world: World):
    """The test before has let 25 hours pass."""
    watched = world.tenant.credentials["watched"]
    old = watched.versions[0].key
    assert old.key_id in world.keys(watched), "the overlap alone is not enough"
    world.advance(hours=30)
    assert world.sign_in(watched.app.app_id, old.secret) == 0
    world.advance(hours=20)
    # Graph rations the report: a fleet's keys that come out of their overlap together are no failures.
    world.stack.admin("POST", "faults", {"rules": [
        {"kind": "too_many_requests", "operation": "signInActivity", "retry_after_seconds": 1}]})
    world.sweep_to_rest()
    world.stack.admin("POST", "faults", {})
    assert world.dead_letters() == [] and "last-use-unknown" in world.findings()["watched"]
    assert world.events("keywheel.rotation.failed") == []
    world.sweep_to_rest()
    [event] = world.events("keywheel.finding.key-in-use")
    assert (event["subject"], event["data"]["key"]) == ("watched", old.key_id)
    assert old.key_id in world.keys(watched)
    world.advance(hours=29)
    world.sweep_to_rest()
    assert old.key_id not in world.keys(watched)
    assert world.signs_in(watched) and world.dead_letters() == []


def test_without_the_permission_the_sweep_goes_on_and_says_so(start: Callable[..., World]):
    world = start(tenant(), read_audit=False)
    answer = world.sweep_to_rest()
    assert answer["finished"] and len(answer["queued"]) == 3
    [event] = world.events("keywheel.finding.audit-not-permitted")
    assert event["subject"] == world.stack.env["KEYWHEEL_APPLICATION"]
    assert "--read-audit" in event["data"]["reason"]
    world.advance(hours=75)
    world.sweep_to_rest()
    assert "last-use-unknown" in world.findings()["watched"]
    assert world.tenant.credentials["watched"].versions[0].key.key_id in world.keys(world.tenant.credentials["watched"])


def test_a_tenant_without_the_licence_is_told_of_the_licence(start: Callable[..., World]):
    world = start(tenant())
    world.stack.admin("POST", "faults", {"rules": [{"kind": "no_premium_license"}]})
    answer = world.sweep_to_rest()
    assert answer["finished"] and len(answer["queued"]) == 3
    [event] = world.events("keywheel.finding.audit-not-licensed")
    assert event["subject"] == world.stack.env["KEYWHEEL_APPLICATION"] and "P1" in event["data"]["reason"]
    world.advance(hours=75)
    world.sweep_to_rest()
    [event] = world.events("keywheel.finding.last-use-unknown")
    assert event["subject"] == "watched" and "P1" in event["data"]["reason"]
    assert "AuditLog" not in event["data"]["reason"]
    assert world.events("keywheel.finding.audit-not-permitted") == [] and world.dead_letters() == []


def test_in_china_there_is_no_audit_to_read_and_one_finding_says_so(start: Callable[..., World]):
    made = Tenant()
    made.managed("due", "+10d")
    world = start(made, parameters={"Cloud": "china"})
    answer = world.sweep_to_rest()
    assert answer["finished"] and len(answer["queued"]) == 1
    assert len(world.events("keywheel.finding.audit-not-in-cloud")) == 1
    asked = world.stack.admin("GET", "requests")
    assert not [one for one in asked if one["operation"] == "directoryAudits"]
    assert world.signs_in(made.credentials["due"]) and world.dead_letters() == []
