"""Who may do what: IAM's answers to a role's requests, in the words and the shape of each service."""

from __future__ import annotations

import pytest
from conftest import ACCOUNT, allow, deny, policy, told

SECRETS = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret"


@pytest.fixture
def secret(aws, name) -> str:
    """A secret's ARN; its name is in the folder ``own/``, and its tag says whose it is."""
    return aws.client("secretsmanager").create_secret(
        Name=f"own/{name}", SecretString="x", Tags=[{"Key": "team", "Value": "keys"}])["ARN"]


def no_policy(name: str, action: str, resource: str = "") -> str:
    on = f" on resource: {resource}" if resource else ""
    return (f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{name}/session is not authorized to perform: {action}{on} "
            f"because no identity-based policy allows the {action} action")


def test_secrets_manager_names_the_secret_as_the_request_did(role, name, secret):
    manager = role()("secretsmanager")
    for named in (secret, f"own/{name}", "not/there"):
        assert told(manager.put_secret_value, SecretId=named, SecretString="y") == (
            400, "AccessDeniedException", no_policy(name, "secretsmanager:PutSecretValue", named))
    assert told(manager.create_secret, Name="own/new", SecretString="y") == (
        400, "AccessDeniedException", no_policy(name, "secretsmanager:CreateSecret", "own/new"))
    assert told(manager.list_secrets) == (400, "AccessDeniedException", no_policy(name, "secretsmanager:ListSecrets"))


def test_each_service_says_it_in_its_own_way(aws, role, name, queue, bucket):
    url, arn = queue
    topic = aws.client("sns").create_topic(Name=name)["TopicArn"]
    bus = aws.client("events").create_event_bus(Name=name)["EventBusArn"]
    client = role()
    assert told(client("sqs").send_message, QueueUrl=url, MessageBody="x") == (
        403, "AccessDenied", no_policy(name, "sqs:sendmessage", arn))
    assert told(client("sqs").send_message_batch, QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "x"}]) == (
        403, "AccessDenied", no_policy(name, "sqs:sendmessage", arn))
    assert told(client("sns").publish, TopicArn=topic, Message="x") == (
        403, "AuthorizationError", no_policy(name, "SNS:Publish", topic))
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}", "EventBusName": name}
    assert told(client("events").put_events, Entries=[entry]) == (
        400, "AccessDeniedException", no_policy(name, "events:PutEvents", bus))
    assert told(client("s3").get_object, Bucket=bucket, Key="a/b") == (
        403, "AccessDenied", no_policy(name, "s3:GetObject", f'"arn:aws:s3:::{bucket}/a/b"'))
    assert told(client("s3").list_objects_v2, Bucket=bucket) == (
        403, "AccessDenied", no_policy(name, "s3:ListBucket", f'"arn:aws:s3:::{bucket}"'))
    assert told(client("sts").get_web_identity_token, Audience=["a"], SigningAlgorithm="RS256") == (
        403, "AccessDenied", no_policy(name, "sts:GetWebIdentityToken", "*"))
    assert client("sts").get_caller_identity()["Arn"].endswith(f":assumed-role/{name}/session"), "nobody is denied this"


WILDCARDS = {  # a resource of a secret's statement, and whether it is the secret own/NAME's
    "all": ("*", True), "a folder": (f"{SECRETS}:own/*", True), "another folder": (f"{SECRETS}:keywheel/*", False),
    "the six characters": (f"{SECRETS}:own/NAME-??????", True), "five characters": (f"{SECRETS}:own/NAME-?????", False),
    "without its characters": (f"{SECRETS}:own/NAME", False), "another's case": (f"{SECRETS}:OWN/*", False),
    "any region": (f"arn:aws:secretsmanager:*:{ACCOUNT}:secret:own/*", True),
    "another account": ("arn:aws:secretsmanager:eu-central-1:444455556666:secret:own/*", False),
}


@pytest.mark.parametrize("what", WILDCARDS)
def test_a_resource_with_wildcards(role, name, secret, what):
    resource, its_own = WILDCARDS[what]
    manager = role(allow("secretsmanager:DescribeSecret", resource.replace("NAME", name)))("secretsmanager")
    assert (told(manager.describe_secret, SecretId=f"own/{name}") is None) == its_own


@pytest.mark.parametrize(("action", "allowed"), [
    ("*", True), ("secretsmanager:*", True), ("secretsmanager:Describe*", True),
    ("SecretsManager:describesecret", True), ("secretsmanager:?escribeSecret", True),
    (["sqs:*", "secretsmanager:DescribeSecret"], True), ("secretsmanager:Get*", False), ("sqs:*", False)])
def test_an_action_with_wildcards(role, secret, action, allowed):
    assert (told(role(allow(action))("secretsmanager").describe_secret, SecretId=secret) is None) == allowed


def test_a_deny_counts_above_all(aws, role, name, secret, queue):
    client = role(allow("*"), deny("secretsmanager:Put*", f"{SECRETS}:own/*"))
    assert told(client("secretsmanager").get_secret_value, SecretId=secret) is None
    status, code, message = told(client("secretsmanager").put_secret_value, SecretId=secret, SecretString="y")
    assert (status, code) == (400, "AccessDeniedException")
    assert message.endswith(f"on resource: {secret} with an explicit deny in an identity-based policy")
    url, arn = queue
    aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(
        deny("sqs:SendMessage", arn, Principal="*"))})
    status, code, message = told(client("sqs").send_message, QueueUrl=url, MessageBody="x")
    assert (status, code) == (403, "AccessDenied")
    assert message.endswith("with an explicit deny in a resource-based policy")


def test_a_boundary_is_the_most_that_a_role_may(aws, role, name, secret):
    iam = aws.client("iam")
    boundary = iam.create_policy(PolicyName=name, PolicyDocument=policy(
        allow("*"), deny("secretsmanager:DeleteSecret")))["Policy"]["Arn"]
    manager = role(allow("*"), PermissionsBoundary=boundary)("secretsmanager")
    assert told(manager.get_secret_value, SecretId=secret) is None
    assert told(manager.delete_secret, SecretId=secret)[2].endswith("with an explicit deny in a permissions boundary")
    iam.create_policy_version(PolicyArn=boundary, SetAsDefault=True, PolicyDocument=policy(allow("s3:*")))
    assert told(manager.get_secret_value, SecretId=secret)[2].endswith(
        "because no permissions boundary allows the secretsmanager:GetSecretValue action")


CONDITIONS = {  # and whether they allow the secret whose tag `team` is `keys`
    "a tag": ({"StringEquals": {"secretsmanager:ResourceTag/team": "keys"}}, True),
    "any service's tag": ({"StringEquals": {"aws:ResourceTag/team": "keys"}}, True),
    "another's tag": ({"StringEquals": {"secretsmanager:ResourceTag/team": "pay"}}, False),
    "a tag of another name": ({"StringEquals": {"secretsmanager:ResourceTag/owner": "keys"}}, False),
    "a tag's beginning": ({"StringLike": {"secretsmanager:ResourceTag/team": "k*"}}, True),
    "one of two": ({"StringEquals": {"secretsmanager:ResourceTag/team": ["pay", "keys"]}}, True),
    "a tag that is there": ({"Null": {"secretsmanager:ResourceTag/team": "false"}}, True),
    "its ARN": ({"ArnLike": {"secretsmanager:SecretId": f"{SECRETS}:own/*"}}, True),
    "another's ARN": ({"ArnLike": {"secretsmanager:SecretId": f"{SECRETS}:keywheel/*"}}, False),
    "the label": ({"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}, True),
    "another label": ({"StringEquals": {"secretsmanager:VersionStage": "AWSPENDING"}}, False),
    "two, both": ({"StringEquals": {"secretsmanager:ResourceTag/team": "keys"},
                   "ArnEquals": {"secretsmanager:SecretId": f"{SECRETS}:keywheel/*"}}, False),
}


@pytest.mark.parametrize("what", CONDITIONS)
def test_a_condition(role, secret, what):
    condition, allowed = CONDITIONS[what]
    manager = role(allow("secretsmanager:GetSecretValue", Condition=condition))("secretsmanager")
    refused = told(manager.get_secret_value, SecretId=secret, VersionStage="AWSCURRENT")
    assert (refused is None) == allowed


def test_a_secret_with_tags_needs_two_permissions(aws, role, name):
    made = {"Name": f"own/{name}", "SecretString": "y", "Tags": [{"Key": "a", "Value": "b"}]}
    manager = role(allow("secretsmanager:CreateSecret"))("secretsmanager")
    assert told(manager.create_secret, **made) == (
        400, "AccessDeniedException", no_policy(name, "secretsmanager:TagResource", f"own/{name}"))
    aws.client("iam").put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(
        allow(["secretsmanager:CreateSecret", "secretsmanager:TagResource"], f"{SECRETS}:own/*")))
    assert told(manager.create_secret, **made) is None


def test_s3_denies_the_listing_where_an_object_is_missing(role, name, bucket):
    s3 = role(allow("s3:GetObject"))("s3")
    assert told(s3.get_object, Bucket=bucket, Key="missing") == (
        403, "AccessDenied", no_policy(name, "s3:ListBucket", f'"arn:aws:s3:::{bucket}"'))
