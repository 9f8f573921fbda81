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


# ---- People at a terminal: what functions/cli/README.md says that they need ------------------------------------------
def statements(world: World) -> dict[str, list[dict]]:
    """By command of ``keywheel``."""
    env, secrets = world.stack.env, "arn:aws:secretsmanager:eu-central-1:111122223333:secret:keywheel/*"
    queue = env["KEYWHEEL_QUEUE_ARN"]
    letters = "arn:aws:sqs:eu-central-1:111122223333:" + env["KEYWHEEL_DEAD_LETTER_URL"].rsplit("/", 1)[1]
    buckets = [f"arn:aws:s3:::{env[one]}{end}" for one in ("KEYWHEEL_AUDIT_BUCKET", "KEYWHEEL_AUDIT_HEAD_BUCKET")
               for end in ("", "/*")]
    manifest = allow("s3:GetObject", f"arn:aws:s3:::{env['KEYWHEEL_MANIFEST_BUCKET']}/manifest.yaml")
    look = allow("secretsmanager:DescribeSecret", secrets)
    failed = [allow("sqs:GetQueueAttributes", queue),
              allow(["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], letters)]
    sweep = world.stack.env["KEYWHEEL_SWEEP_FUNCTION_ARN"]
    return {
        "plan": [manifest, allow("secretsmanager:ListSecrets", "*")],
        "status": [manifest, look, *failed],
        "rotate": [manifest, look, allow("sqs:SendMessage", queue), *failed],
        "sweep": [manifest, allow("secretsmanager:DescribeSecret", "*"), allow("lambda:InvokeFunction", sweep),
                  *failed],
        "audit": [allow(["s3:ListBucket", "s3:ListBucketVersions", "s3:GetObject", "s3:GetObjectVersion"], buckets)],
    }


def allow(action: str | list[str], resource: str | list[str]) -> dict:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def person(world: World, name: str, allowed: list[dict]) -> dict[str, str]:
    """A user of the account who may do this much; their keys, as variables."""
    iam = world.client("iam")
    iam.create_user(UserName=name)
    if allowed:
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": allowed}))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


@pytest.mark.parametrize("command", [
    ("plan",), ("status", "inside"), ("rotate", "inside", "--yes", "--timeout", "120s"),
    ("sweep", "--wait"), ("audit", "show", "inside"),
    ("audit", "verify"), ("audit", "export", "--quiet")], ids=" ".join)
def test_what_the_docs_say_that_a_person_needs_is_enough(world: World, command: tuple[str, ...]):
    world.denied()
    keys = person(world, "-".join(command[:2]), statements(world)[command[0]])
    done = world.stack.keywheel(*command, **keys)
    # The sweep's job for the secret outside of the prefix fails for good, for want of the function's permission.
    assert done.returncode == (4 if command[0] == "sweep" else 0), done
    assert [denied for denied in world.denied() if denied["who"].endswith(f"user/{'-'.join(command[:2])}")] == []


def test_a_person_without_permissions_reads_awss_own_words(world: World):
    manifest = statements(world)["plan"][:1]
    done = world.stack.keywheel("plan", **person(world, "nobody", manifest))
    assert done.returncode != 0 and "User: arn:aws:iam::111122223333:user/nobody is not authorized to perform: " \
        "secretsmanager:ListSecrets because no identity-based policy allows the secretsmanager:ListSecrets action" \
        in done.stderr, done
    assert len(world.denied()) == 1
