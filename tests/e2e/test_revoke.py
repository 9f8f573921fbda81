"""When the old key goes: at once where somebody asked, else not a minute before its overlap is over."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from keywheel_local.tenant import Credential, Key, Tenant, new_id
from keywheel_local.world import World

#: An application of this `signInAudience` holds two keys, and no more.
PERSONAL = "AzureADandPersonalMicrosoftAccount"


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    for name in ("leaked", "kept", "rolled-back"):
        tenant.managed(name, "+150d", 30)
    for name in ("two-keys", "two-keys-waits"):
        one = tenant.managed(name, "+150d", 30, app=tenant.app(name, audience=PERSONAL))
        tenant.turned(one, "+170d", 0)
    app = tenant.app("two-keys-with-another", audience=PERSONAL)
    tenant.managed("two-keys-with-another", "+150d", 30, app=app)
    app.keys.append(Key("-9d", "+100d", "terraform"))
    return start(tenant)


def ask(world: World, one: Credential, revoke_old: str) -> str:
    work = {"kind": "rotate", "rotation": new_id(), "replaces": world.current(one.secret)[0], "reason": "requested",
            "revoke_old": revoke_old}
    job = {"schema": 1, "credential": one.name, "application": one.app.app_id, "requested_by": "test", "work": work}
    world.client("sqs").send_message(
        QueueUrl=world.stack.env["KEYWHEEL_QUEUE_URL"], MessageBody=json.dumps(job), MessageGroupId=one.name,
        MessageDeduplicationId=new_id())
    world.rest()
    return work["rotation"]


def rotate(world: World, one: Credential, revoke_old: str) -> str:
    rotation = ask(world, one, revoke_old)
    assert not [letter for letter in world.dead_letters() if json.loads(letter["body"])["credential"] == one.name]
    assert world.current(one.secret)[0] == rotation
    return rotation


def accepted(world: World, one: Credential) -> tuple[int, int]:
    """How the seeded secret and the current one fare."""
    old = world.sign_in(one.app.app_id, one.versions[0].key.secret)
    return old, world.sign_in(one.app.app_id, world.text(one.secret))


def test_an_application_that_holds_two_keys_makes_room_for_a_leaked_ones_successor(world: World):
    one = world.tenant.credentials["two-keys"]
    past, leaked = (version.key for version in one.versions)
    assert set(world.keys(one)) == {past.key_id, leaked.key_id}
    rotate(world, one, "now")
    assert set(world.keys(one)) == {world.current(one.secret)[1]}
    assert [world.sign_in(one.app.app_id, key.secret) for key in (past, leaked)] == [7000215, 7000215]
    assert world.signs_in(one)


def test_without_that_it_keeps_its_overlap_and_says_what_is_in_the_way(world: World):
    one = world.tenant.credentials["two-keys-waits"]
    before = set(world.keys(one))
    ask(world, one, "after-overlap")
    [failed] = [event for event in world.events("keywheel.rotation.failed") if event["subject"] == one.name]
    assert "holds as many keys as it may" in failed["data"]["reason"]
    assert "keywheel rotate --now-revoke-old" in failed["data"]["reason"]
    assert set(world.keys(one)) == before
    world.advance(hours=25)
    world.sweep_to_rest()
    assert set(world.keys(one)) == {one.current.key.key_id}, "now there is room"


def test_a_sweep_tells_of_keys_that_leave_no_room_for_the_next_rotation(world: World):
    world.sweep_to_rest()
    findings = world.findings()
    assert "two-keys-only" in findings["two-keys-with-another"]
    assert all("two-keys-only" not in findings.get(name, set()) for name in ("kept", "two-keys", "two-keys-waits"))
    for more in ([], ["--now-revoke-old", "--yes"]):
        refused = world.stack.keywheel("rotate", "two-keys-with-another", *more)
        assert refused.returncode == 4 and "no-room-for-key" in refused.stderr, refused
        assert "name a foreign key under `retire_keys`" in refused.stderr, "no past key of Keywheel's could go"
    dead = [json.loads(letter["body"])["credential"] for letter in world.dead_letters()]
    assert "two-keys-with-another" not in dead, "nothing is queued that could only fail"


def test_now_removes_the_old_key_at_once(world: World):
    one = world.tenant.credentials["leaked"]
    rotate(world, one, "now")
    assert accepted(world, one) == (7000215, 0)
    [removed] = [event for event in world.events("keywheel.key.removed") if event["subject"] == one.name]
    assert removed["data"]["key"] == one.current.key.key_id and removed["data"]["requested_by"] == "test"
    assert world.stack.admin("GET", "state") and set(world.keys(one)) == {world.current(one.secret)[1]}


def test_the_old_key_lives_for_the_overlap_and_not_longer(world: World):
    one = world.tenant.credentials["kept"]
    rotate(world, one, "after-overlap")
    assert accepted(world, one) == (0, 0)
    world.advance(hours=23, minutes=59)
    assert world.sweep_to_rest()["queued"] == []
    assert accepted(world, one) == (0, 0), "a minute before its end"
    world.advance(minutes=12)
    world.sweep_to_rest()
    assert accepted(world, one) == (7000215, 0)


def test_a_rollback_by_hand_keeps_both_keys_and_begins_the_overlap_anew(world: World):
    """Somebody moves AWSCURRENT back: the key under it must never go."""
    one = world.tenant.credentials["rolled-back"]
    new = rotate(world, one, "after-overlap")
    world.client("secretsmanager").update_secret_version_stage(
        SecretId=one.secret, VersionStage="AWSCURRENT", MoveToVersionId=one.current.rotation, RemoveFromVersionId=new)
    world.sweep_to_rest()
    assert accepted(world, one) == (0, 0)
    assert world.current(one.secret)[0] == one.current.rotation, "Keywheel does not fight whoever rolled back"
    for _ in range(3):
        world.advance(hours=25)
        world.sweep_to_rest()
        assert world.signs_in(one)
    assert set(world.keys(one)) == {one.current.key.key_id}
    assert world.sign_in(one.app.app_id, one.current.key.secret) == 0
