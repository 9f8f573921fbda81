"""A JSON secret that others keep keys in as well: Keywheel turns its own fields, and leaves all others as they are."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import pytest
from keywheel_local.tenant import Credential, Tenant
from keywheel_local.world import World

OTHERS = ('"host": "db.example.com", "port":5432 , "pool": {"client_secret": ["not ours", 1.10, null]}, '
          '"\\u006bey": "\\u00fc"')
RENAMED = {"client_secret": "password", "key_id": "credential id"}


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    for name in ("plain", "broken", "binary", "large"):
        tenant.by_hand(name, "+10d", adopt=True)
    for name in ("named", "edited"):
        tenant.by_hand(name, "+10d", adopt=True, fields=RENAMED)
    world = start(tenant)
    texts = {"plain": json_of(tenant, "plain", "client_secret"), "named": json_of(tenant, "named", "password"),
             "edited": json_of(tenant, "edited", "password"), "broken": '{"client_secret": "x",}',
             "large": json.dumps({"others": "x" * 65_400})}
    for name, text in texts.items():
        put(world, tenant.credentials[name], SecretString=text)
    put(world, tenant.credentials["binary"], SecretBinary=b"\xff\x00")
    return world


def json_of(tenant: Tenant, name: str, secret: str) -> str:
    return f'{{{OTHERS}, "{secret}": "{tenant.credentials[name].current.key.secret}"}}'


def put(world: World, one: Credential, **value: str | bytes) -> str:
    """As a person puts a value: it is current at once."""
    token = str(uuid.uuid4())
    world.client("secretsmanager").put_secret_value(SecretId=one.secret, ClientRequestToken=token, **value)
    return token


def sweep_only(world: World, *names: str) -> None:
    world.stack.put_manifest(Tenant(credentials={name: world.tenant.credentials[name] for name in names}).manifest())
    world.sweep_to_rest()


def stored(world: World, one: Credential, stage: str = "AWSCURRENT") -> dict:
    value = world.client("secretsmanager").get_secret_value(SecretId=one.secret, VersionStage=stage)
    return json.loads(value["SecretString"])


def others(value: dict, *own: str) -> dict:
    return {name: field for name, field in value.items() if name not in {"tenant_id", "client_id", "expires_on", *own}}


def works(world: World, one: Credential, text: str) -> bool:
    return world.sign_in(one.app.app_id, text) == 0


def test_plan_names_the_keys_that_an_adoption_writes_and_no_value(world: World):
    names = ("plain", "named")
    world.stack.put_manifest(Tenant(credentials={name: world.tenant.credentials[name] for name in names}).manifest())
    done = world.stack.keywheel("plan", "--json")
    assert done.returncode == 0, done
    planned = {one["credential"]: one["writes"] for one in json.loads(done.stdout)["planned"]}
    keys = ["tenant_id", "client_id", "client_secret", "key_id", "expires_on"]
    assert planned["plain"] == {"format": "json", "keys": keys, "keeps_other_keys": True}
    assert planned["named"]["keys"] == [RENAMED.get(key, key) for key in keys]
    told = world.stack.keywheel("plan").stdout
    assert "named: its adoption writes the keys tenant_id, client_id, password, credential id, expires_on" in told, told
    assert not any(one.current.key.secret in told + done.stdout for one in world.tenant.credentials.values())


@pytest.mark.parametrize(("name", "secret", "key"), [
    ("plain", "client_secret", "key_id"), ("named", "password", "credential id")])
def test_the_keys_of_others_stay(world: World, name: str, secret: str, key: str):
    """Through the adoption, and through the rotation after it."""
    one = world.tenant.credentials[name]
    before = others(stored(world, one), secret)
    sweep_only(world, name)
    adopted = stored(world, one)
    assert others(adopted, secret, key) == before == json.loads(f"{{{OTHERS}}}")
    assert works(world, one, adopted[secret]) and adopted[key] in world.keys(one)
    assert adopted[secret] != one.current.key.secret
    raw = world.client("secretsmanager").get_secret_value(SecretId=one.secret)["SecretString"]
    assert '"pool":{"client_secret": ["not ours", 1.10, null]}' in raw, "as it was written"

    done = world.stack.keywheel("rotate", name, "--timeout", "60s", "--json")
    assert done.returncode == 0, done
    world.rest()
    turned = stored(world, one)
    assert others(turned, secret, key) == before and turned[secret] != adopted[secret]
    assert works(world, one, turned[secret])


def test_what_somebody_changes_while_a_rotation_is_under_way_is_not_undone(world: World):
    """The new version is stored beside the value of then; it is given up, and another one made beside that of now."""
    one = world.tenant.credentials["edited"]
    world.stack.admin("POST", "faults", {"rules": [
        {"kind": "conditional_access", "operation": "token", "application": one.app.app_id}]})
    try:
        sweep_only(world, one.name)
    finally:
        world.stack.admin("POST", "faults", {})
    assert others(stored(world, one, "AWSPENDING"), "password", "credential id") == json.loads(f"{{{OTHERS}}}")
    before = stored(world, one)
    assert before["password"] == one.current.key.secret, "not promoted"

    changed = put(world, one, SecretString=json.dumps(before | {"host": "db2.example.com", "new": True}))
    for _ in range(3):
        sweep_only(world, one.name)
        if world.current(one.secret)[0] != changed:
            break
        world.advance(minutes=65)
    now = stored(world, one)
    assert (now["host"], now["new"]) == ("db2.example.com", True)
    assert now["password"] != before["password"] and works(world, one, now["password"])
    assert now["credential id"] == world.current(one.secret)[1]


@pytest.mark.parametrize("name", ["broken", "binary"])
def test_a_value_without_keys_to_keep_is_replaced_as_a_whole(world: World, name: str):
    one = world.tenant.credentials[name]
    sweep_only(world, name)
    assert others(stored(world, one), "client_secret", "key_id") == {} and world.signs_in(one)


def test_what_would_not_fit_is_told_before_anything_is_minted(world: World):
    one = world.tenant.credentials["large"]
    keys, current = set(world.keys(one)), world.current(one.secret)
    sweep_only(world, "large")
    assert (set(world.keys(one)), world.current(one.secret)) == (keys, current)
    [reason] = {event["data"]["reason"] for event in world.events("keywheel.rotation.failed")
                if event["subject"] == "large"}
    assert "more than Secrets Manager stores" in reason and "remove some of them" in reason
