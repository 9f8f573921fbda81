"""An account with rules of its own: a boundary, a role path, a key for all data, a VPC. Everything works as without."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from keywheel_local import ask
from keywheel_local.asked import recorded, told, turned
from keywheel_local.github_stand_in import GitHub
from keywheel_local.settings import ROOT
from keywheel_local.stack import Stack
from keywheel_local.stand_in import StandIn
from keywheel_local.tenant import Tenant
from keywheel_local.world import World

GIVEN = ROOT / "docs/account"
PATH = "/security/keywheel/"
CHANNEL = "/services/T0/B0/platform"


def prepare(stack: Stack) -> dict[str, str]:
    """The key and the boundary as docs/operating.md says that they are made."""
    policy = (GIVEN / "key-policy.json").read_text()
    meant = {"REGION": stack.env["AWS_REGION"], "ACCOUNT": "111122223333", "STACK": stack.settings.name}
    for word, text in meant.items():
        policy = policy.replace(word, text)
    key = stack.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    boundary = stack.client("iam").create_policy(
        PolicyName="boundary", PolicyDocument=(GIVEN / "boundary.json").read_text())["Policy"]["Arn"]
    place = {"LocationConstraint": stack.env["AWS_REGION"]}
    stack.client("s3").create_bucket(Bucket="access-logs", CreateBucketConfiguration=place)
    return {"PermissionsBoundaryArn": boundary, "RolePath": PATH, "DataKmsKeyArn": key, "KmsKeyArn": key,
            "SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1", "AccessLogBucketName": "access-logs"}


@pytest.fixture(scope="module")
def channel() -> Iterator[StandIn]:
    with StandIn() as running:
        yield running


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    with GitHub("ghp_0123456789abcdef0123456789abcdef0123") as running:
        yield running


@pytest.fixture(scope="module")
def world(start: Callable[..., World], channel: StandIn, github: GitHub) -> World:
    tenant = Tenant()
    tenant.notifications = [{"slack": "platform", "on": ["rotations"]}]
    tenant.managed("due", "+10d", 170)
    tenant.credential("new", tags={"team": "keys"})
    tenant.managed("asked", "+150d", 30, allow={"webhook": ["local"]})
    tenant.managed("leaked", "+150d", 30)
    world = start(tenant, prepare=prepare, parameters={"GitHubAlerts": "on", "GitHubEndpoint": github.url})
    world.client("secretsmanager").put_secret_value(
        SecretId=world.stack.env["KEYWHEEL_NOTIFY_SECRET"],
        SecretString=json.dumps({"slack": {"platform": channel.url + CHANNEL}}))
    [stack] = world.client("cloudformation").describe_stacks(StackName=world.stack.settings.name)["Stacks"]
    given = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    tenant.credentials["new"].fields["kms_key"] = given["KmsKeyArn"]
    world.stack.put_manifest(tenant.manifest())
    return world


def test_what_is_due_is_rotated_told_and_recorded(world: World, channel: StandIn):
    world.sweep_to_rest()
    assert world.dead_letters() == []
    due = world.tenant.credentials["due"]
    assert world.current(due.secret)[0] != due.current.rotation
    for one in (due, world.tenant.credentials["new"]):
        assert world.signs_in(one)
        told(channel, CHANNEL, f"{one.name} has a new client secret")
        recorded(world, one)
    made = world.client("secretsmanager").describe_secret(SecretId=world.tenant.credentials["new"].secret)
    assert made["KmsKeyId"] in world.tenant.credentials["new"].fields["kms_key"] and made["Tags"][0]["Value"] == "keys"


def test_a_system_asks_for_a_rotation(world: World):
    one = world.tenant.credentials["asked"]
    answer = ask.rotate(world.stack, one.name).send(world.stack)
    assert answer.status == 202, answer
    turned(world, one, answer.json["rotation"])


def test_a_leaked_secret_is_replaced(world: World, github: GitHub):
    one = world.tenant.credentials["leaked"]
    github.connect(world.stack)
    github.leak(1, one.current.key.secret)
    assert ask.github(world.stack, ask.alert(1)).send(world.stack).status == 202
    world.rest()
    assert one.current.key.key_id not in world.keys(one) and world.signs_in(one)


def test_every_role_has_the_boundary_and_the_path(world: World):
    iam = world.client("iam")
    roles = [iam.get_role(RoleName=one["RoleName"])["Role"] for one in iam.list_roles()["Roles"]]
    assert {one["Path"] for one in roles} == {PATH} and len(roles) == 7
    assert {one["PermissionsBoundary"]["PermissionsBoundaryArn"].rsplit("/", 1)[1] for one in roles} == {"boundary"}
    assert PATH in world.stack.env["KEYWHEEL_SWEEP_ROLE_ARN"], "the subject that Entra trusts has it too"


def test_a_boundary_that_allows_less_is_felt(world: World):
    """The roles' own policies alone do not decide."""
    iam, arn = world.client("iam"), "arn:aws:iam::111122223333:policy/boundary"
    boundary = (GIVEN / "boundary.json").read_text()
    less = json.loads(boundary)
    less["Statement"][0]["Action"].remove("secretsmanager:ListSecrets")
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(less), SetAsDefault=True)
    try:
        answer = world.stack.invoke("sweep", {})
    finally:
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=boundary, SetAsDefault=True)
    assert "because no permissions boundary allows the secretsmanager:ListSecrets action" in json.dumps(answer)
    assert {one["action"] for one in world.denied()} == {"secretsmanager:ListSecrets"}
