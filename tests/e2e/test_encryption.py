"""A KMS key that cannot be used: nothing that works stops working, nothing is left over, and the cure is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager

import pytest
from keywheel_local.tenant import Credential, Tenant
from keywheel_local.world import World

FORBIDDEN = "Access to KMS is not allowed"  # as Secrets Manager says it where the key's policy or the role's says no
CASES = {  # the call, and how Secrets Manager refuses it
    "store-disabled": ("PutSecretValue", "EncryptionFailure", "can't encrypt the protected secret text"),
    "store-forbidden": ("PutSecretValue", "AccessDeniedException", FORBIDDEN),
    "read-disabled": ("GetSecretValue", "DecryptionFailure", "can't decrypt the protected secret value"),
    "read-forbidden": ("GetSecretValue", "AccessDeniedException", FORBIDDEN),
}


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    for name in CASES:
        tenant.managed(name, "+10d", 170)
    tenant.by_hand("adopted", "+10d", adopt=True)
    return start(tenant)


def sweep_only(world: World, name: str) -> None:
    """Sweep with this credential alone in the manifest, until all is at rest."""
    world.stack.put_manifest(Tenant(credentials={name: world.tenant.credentials[name]}).manifest())
    world.sweep_to_rest()


@pytest.fixture
def refused(world: World) -> Callable[..., AbstractContextManager[None]]:
    """Within its block, the functions' calls of an operation are refused."""
    @contextmanager
    def refusing(operation: str, code: str, message: str):
        world.stack.local("POST", "faults", {"kind": "error", "service": "secretsmanager", "operation": operation,
                                             "code": code, "message": message})
        try:
            yield
            [fault] = world.stack.local("GET", "faults")
            assert fault["fired"] > 0
        finally:
            world.stack.local("DELETE", "faults")
    return refusing


def stored_but_unproved(world: World, one: Credential) -> None:
    """A rotation cut off between storing and proving: the next try must read what was stored."""
    world.stack.admin("POST", "faults", {"rules": [
        {"kind": "conditional_access", "operation": "token", "application": one.app.app_id}]})
    try:
        sweep_only(world, one.name)
    finally:
        world.stack.admin("POST", "faults", {})
    assert any("AWSPENDING" in labels for labels in world.labels(one.secret).values())
    assert len(world.dead_letters()) == 1


def reasons(world: World, credential: str) -> list[str]:
    return [event["data"]["reason"] for event in world.events("keywheel.rotation.failed")
            if event["subject"] == credential]


@pytest.mark.parametrize("name", CASES)
def test_the_secret_stays_and_is_rotated_once_the_key_is_mended(world: World, refused: Callable, name: str):
    operation, code, message = CASES[name]
    one = world.tenant.credentials[name]
    if operation == "GetSecretValue":
        stored_but_unproved(world, one)
    before = len(reasons(world, name))

    with refused(operation, code, message):
        sweep_only(world, name)
        [letter] = world.dead_letters()
        [reason] = reasons(world, name)[before:]
    assert json.loads(letter["body"])["credential"] == name and letter["reason"] == reason
    assert operation in reason and code in reason, reason
    assert world.current(one.secret)[0] == one.current.rotation and world.signs_in(one)

    sweep_only(world, name)
    assert world.dead_letters() == []
    version, key = world.current(one.secret)
    assert version != one.current.rotation and world.signs_in(one)
    assert world.sign_in(one.app.app_id, one.current.key.secret) == 0, "its overlap runs"
    world.advance(hours=25)
    sweep_only(world, name)
    assert set(world.keys(one)) == {key} and world.orphans_of(one) == []
    told = [event for event in world.events("keywheel.key.") if event["subject"] == name]
    minted, removed = ({event["data"]["key"] for event in told if event["type"].endswith(what)}
                       for what in ("minted", "removed"))
    assert removed == (minted | {one.current.key.key_id}) - {key}, "each key's end is on the record"


def test_keys_minted_in_vain_do_not_pile_up_beside_a_secret_that_was_made_by_hand(world: World, refused: Callable):
    """Its key is not known; the keys of tries that could not store are removed all the same, and one more is minted."""
    one = world.tenant.credentials["adopted"]
    with refused("PutSecretValue", "AccessDeniedException", FORBIDDEN):
        for _ in range(3):
            sweep_only(world, one.name)
            assert len(world.dead_letters()) == 1
            world.advance(minutes=65)
    assert len(world.orphans_of(one)) == 1, "that of the last try"
    assert world.current(one.secret)[0] == one.current.rotation and world.signs_in(one)

    sweep_only(world, one.name)
    assert world.dead_letters() == [] and world.orphans_of(one) == []
    assert world.current(one.secret)[0] != one.current.rotation and world.signs_in(one)
    told = [event for event in world.events("keywheel.key.") if event["subject"] == one.name]
    minted, removed = ({event["data"]["key"] for event in told if event["type"].endswith(what)}
                       for what in ("minted", "removed"))
    assert len(minted) == 4 and minted - removed == {world.current(one.secret)[1]}


@pytest.mark.parametrize("name", CASES)
def test_the_cure_is_told(world: World, name: str):
    reason = reasons(world, name)[-1]
    assert "KmsKeyArn" in reason and "key policy" in reason, reason
