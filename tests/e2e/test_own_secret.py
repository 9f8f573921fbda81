"""Keywheel signed in with a client secret of its own: it turns that as any other, and never locks itself out."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
from keywheel_local import names
from keywheel_local.tenant import App, Credential, Key, Tenant, Version, new_id
from keywheel_local.world import World

OWN = "own"


@pytest.fixture
def begin(start: Callable[..., World]) -> Callable[..., tuple[World, Credential]]:
    """A deployment that signs in with a secret which is about to expire, and is listed with these fields."""
    def started(**fields: str) -> tuple[World, Credential]:
        tenant = Tenant()
        tenant.managed("other", "+10d", 170)
        own = tenant.credential(OWN, App(OWN, known=False), **fields)
        world = start(tenant, parameters={"SignIn": "client_secret", "SignInSecret": own.secret})
        own.app.app_id = world.stack.env["KEYWHEEL_APPLICATION"]
        first(world, own)
        world.stack.put_manifest(tenant.manifest())
        return world, own
    return started


def first(world: World, own: Credential) -> None:
    """The first secret, as Keywheel would have made it 170 days ago."""
    rotation = new_id()
    wanted = {"displayName": names.display_name(own.scope, rotation),
              "endDateTime": (world.now() + datetime.timedelta(days=10)).isoformat()}
    added = world.stack.person("ann@example.com")(
        "POST", f"applications(appId='{own.app.app_id}')/addPassword", {"passwordCredential": wanted})
    key = Key("-170d", "+10d", wanted["displayName"], added["keyId"], added["secretText"])
    own.versions.append(Version(key, 170, rotation))
    Tenant(credentials={OWN: own}).plant(world.stack)


def test_it_is_turned_and_keywheel_goes_on_with_the_new_one(begin: Callable[..., tuple[World, Credential]]):
    world, own = begin()
    other = world.tenant.credentials["other"]
    world.sweep_to_rest()
    assert world.dead_letters() == []
    for one in (own, other):
        version, key = world.current(one.secret)
        assert version != one.current.rotation and key in world.keys(one) and world.signs_in(one)

    world.advance(hours=25)
    world.sweep_to_rest()
    assert world.dead_letters() == []
    for one in (own, other):
        assert set(world.keys(one)) == {world.current(one.secret)[1]}, "the old key is retired with the new one's help"


def test_a_format_that_it_could_not_sign_in_with_is_refused_before_a_key_is_minted(
        begin: Callable[..., tuple[World, Credential]]):
    world, own = begin(format="env")
    world.sweep_to_rest()
    [letter] = world.dead_letters()
    for part in ("credential own is the secret that Keywheel signs in with", "`format: json`"):
        assert part in letter["reason"], letter
    assert world.current(own.secret)[0] == own.current.rotation and world.signs_in(own)
    assert set(world.keys(own)) == {own.current.key.key_id}

    other = world.tenant.credentials["other"]
    assert world.current(other.secret)[0] != other.current.rotation and world.signs_in(other)
