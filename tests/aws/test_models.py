"""Requests of functions are held against the services' own models, whatever the local AWS would make of them."""

from __future__ import annotations

import contextlib
import json

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

LAX = Config(parameter_validation=False, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


@pytest.fixture
def role(aws, name) -> dict[str, str]:
    """Credentials of a role, as a function has them; the role may do everything."""
    iam = aws.client("iam")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                                                     "Principal": {"AWS": "*"}}]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}))
    made = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"],
            "aws_session_token": made["SessionToken"]}


VALID = {
    ("secretsmanager", "create_secret"): {"Name": "models/one", "SecretString": "a"},
    ("secretsmanager", "put_secret_value"): {"SecretId": "models/one", "SecretBinary": b"b", "VersionStages": ["x"]},
    ("sqs", "send_message"): {"QueueUrl": "http://127.0.0.1/q", "MessageBody": "b", "MessageGroupId": "g"},
    ("events", "put_events"): {"Entries": [{"Source": "keywheel", "DetailType": "t", "Detail": "{}"}]},
    ("s3", "get_object"): {"Bucket": "models-bucket", "Key": "a/b"},
    ("s3", "put_object"): {"Bucket": "models-bucket", "Key": "a/b", "Body": b"x", "IfNoneMatch": "*"},
    ("s3", "list_objects_v2"): {"Bucket": "models-bucket", "Prefix": "a", "MaxKeys": 5},
    ("s3", "put_bucket_versioning"): {"Bucket": "models-bucket", "VersioningConfiguration": {"Status": "Enabled"}},
    ("s3", "get_object_retention"): {"Bucket": "models-bucket", "Key": "a", "VersionId": "v"},
    ("sts", "get_caller_identity"): {},
    ("sts", "assume_role"): {"RoleArn": "arn:aws:iam::111122223333:role/r", "RoleSessionName": "session",
                             "Tags": [{"Key": "k", "Value": "ü"}], "TransitiveTagKeys": ["k"]},
    ("sns", "publish"): {"TopicArn": "arn:aws:sns:eu-central-1:111122223333:t", "Message": "m",
                         "MessageAttributes": {"type": {"DataType": "String", "StringValue": "v"}}},
}
INVALID = {
    "token of 31": ("secretsmanager", "put_secret_value", {"SecretId": "x", "SecretString": "a",
                                                           "ClientRequestToken": "t" * 31}, "valid min length: 32"),
    "token of 65": ("secretsmanager", "put_secret_value", {"SecretId": "x", "SecretString": "a",
                                                           "ClientRequestToken": "t" * 65}, "65 long, where 64"),
    "label of 257": ("secretsmanager", "update_secret_version_stage", {"SecretId": "x", "VersionStage": "l" * 257},
                     "257 long, where 256"),
    "missing": ("secretsmanager", "describe_secret", {}, "SecretId"),
    "another type": ("sqs", "receive_message", {"QueueUrl": "q", "MaxNumberOfMessages": "many"}, "MaxNumberOfMessages"),
    "no events": ("events", "put_events", {"Entries": []}, "min"),
    "unnamed in a form": ("sns", "publish", {"TopicArn": "t"}, "Message"),
    "session name": ("sts", "assume_role", {"RoleArn": "arn:aws:iam::111122223333:role/r", "RoleSessionName": "a b"},
                     "does not match"),
    "value of an enum": ("s3", "put_object", {"Bucket": "models-bucket", "Key": "k", "StorageClass": "WARM"},
                         "not one of"),
}


def ask(aws, role: dict[str, str], service: str, operation: str, arguments: dict, **more: object) -> list[str]:
    """What was found wrong with one request; ``more`` goes into its body, past what the client knows."""
    before = len(aws.local("GET", "invalid"))
    client = aws.client(service, config=LAX, **role)

    def add(params: dict, **_: object) -> None:
        params["body"] = json.dumps(json.loads(params["body"]) | more)

    if more:
        client.meta.events.register("before-call", add)
    with contextlib.suppress(ClientError):  # what the local AWS itself makes of it is told elsewhere
        getattr(client, operation)(**arguments)
    return aws.local("GET", "invalid")[before:]


@pytest.mark.parametrize(("service", "operation"), VALID)
def test_a_valid_request_has_no_problem(aws, role, service, operation):
    assert ask(aws, role, service, operation, VALID[service, operation]) == []


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_request_is_told(aws, role, case):
    service, operation, arguments, told = INVALID[case]
    found = ask(aws, role, service, operation, arguments)
    assert found and all(line.startswith(f"{service} ") for line in found)
    assert any(told in line for line in found), found


def test_an_unknown_member_is_told(aws, role):
    arguments = VALID["sqs", "send_message"]
    assert any("Nonsense" in line for line in ask(aws, role, "sqs", "send_message", arguments, Nonsense="x"))
    assert any("cannot be read" in line for line in ask(
        aws, role, "secretsmanager", "put_secret_value", {"SecretId": "x"}, SecretBinary="not base64!"))
