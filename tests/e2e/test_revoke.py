"""When the old key goes: at once where somebody asked, else not a minute before its overlap is over."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from keywheel_local.tenant import Credential, Tenant, new_id
from keywheel_local.world import World


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    for name in ("leaked", "kept", "rolled-back"):
        tenant.managed(name, "+150d", 30)
    return start(tenant)


def rotate(world: World, one: Credential, revoke_old: str) -> str:
    work = {"kind": "rotate", "rotation": new_id(), "replaces": world.current(one.secret)[0], "reason": "requested",
            "revoke_old": revoke_old}
    job = {"schema": 1, "credential": one.name, "application": one.app.app_id, "requested_by": "test", "work": work}
    world.client("sqs").send_message(
        QueueUrl=world.stack.env["KEYWHEEL_QUEUE_URL"], MessageBody=json.dumps(job), MessageGroupId=one.name,
        MessageDeduplicationId=new_id())
    world.rest()
    assert world.dead_letters() == []
    assert world.current(one.secret)[0] == work["rotation"]
    return work["rotation"]


def accepted(world: World, one: Credential) -> tuple[int, int]:
    """How the seeded secret and the current one fare."""
    old = world.sign_in(one.app.app_id, one.versions[0].key.secret)
    return old, world.sign_in(one.app.app_id, world.text(one.secret))


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
