"""What the functions' roles do not allow, AWS refuses, and Keywheel says so in AWS's own words. All else is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from keywheel_local import ask
from keywheel_local.tenant import Credential, Tenant
from keywheel_local.world import World, until

ROLES = "sweep", "rotate", "notify", "audit", "webhook"


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    tenant.managed("inside", "+10d", 170)
    for name, secret in (("outside", "prod/azure/outside"), ("new", "prod/azure/new"), ("person", "prod/azure/person")):
        tenant.credential(name).secret = secret
    tenant.turned(tenant.credentials["outside"], "+10d", 170)
    tenant.turned(tenant.credentials["person"], "+150d", 30)
    world = start(tenant)
    world.keys_before = {name: world.keys(one) for name, one in tenant.credentials.items()}
    world.sweep_to_rest()
    return world


def words(world: World, function: str, action: str, resource: str) -> str:
    role = world.stack.env[f"KEYWHEEL_{function.upper()}_ROLE_ARN"].rsplit("/", 1)[1]
    name = world.stack.env[f"KEYWHEEL_{function.upper()}_FUNCTION"]
    return (f"AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/{role}/{name} is not authorized to "
            f"perform: {action} on resource: {resource} because no identity-based policy allows the {action} action")


def test_a_secret_outside_of_the_prefix_is_out_of_reach(world: World):
    """No key is minted in vain: the look before it is denied."""
    letters = {json.loads(letter["body"])["credential"]: letter["reason"] for letter in world.dead_letters()}
    assert letters.keys() == {"outside", "new"}
    for name, reason in letters.items():
        one = world.tenant.credentials[name]
        assert words(world, "rotate", "secretsmanager:DescribeSecret", one.secret) in reason
        assert "below the parameter SecretPrefix" in reason
        assert world.keys(one) == world.keys_before[name]
    assert world.labels("prod/azure/new") == {}
    assert {(one["action"], one["resource"]) for one in world.denied()} == {
        ("secretsmanager:DescribeSecret", "prod/azure/outside"), ("secretsmanager:DescribeSecret", "prod/azure/new")}
    assert world.signs_in(world.tenant.credentials["inside"]), "the others are rotated"


def test_a_person_who_asks_for_such_a_rotation_reads_why_not(world: World):
    one: Credential = world.tenant.credentials["person"]
    done = world.stack.keywheel("rotate", one.name, "--yes", "--timeout", "120s", "--json")
    assert done.returncode != 0 and world.denied()
    assert words(world, "rotate", "secretsmanager:DescribeSecret", one.secret) in done.stdout, done
    assert len(world.dead_letters()) == 1


def test_every_function_writes_its_own_log(world: World):
    """The log group of the template's, and a role that may write there: or a function's last words are lost."""
    assert ask.rotate(world.stack, "nobody").send(world.stack).status in (403, 404, 409)
    logs = world.client("logs")

    def written() -> set[str]:
        return {role for role in ROLES if logs.filter_log_events(
            logGroupName=f"/keywheel/{world.stack.settings.name}/{role}", limit=1)["events"]}

    until(lambda: written() == set(ROLES), "each function has written", instead=written)
