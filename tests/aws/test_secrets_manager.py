"""What Secrets Manager documents beyond labels: limits, deletion, listing, and who may do what."""

from __future__ import annotations

import json
import uuid

import pytest
from botocore.exceptions import ClientError


def refused(call, **parameters) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"]


@pytest.fixture
def sm(aws):
    return aws.client("secretsmanager")


def test_a_token_is_32_to_64_characters_and_becomes_the_version(sm, name):
    # boto3 checks the least length itself, so the shortest refused here is too long
    sm.create_secret(Name=name, SecretString="a")
    assert refused(sm.put_secret_value, SecretId=name, SecretString="b", ClientRequestToken="x" * 65) \
        == "ValidationException"
    token = str(uuid.uuid4())
    assert sm.put_secret_value(SecretId=name, SecretString="b", ClientRequestToken=token)["VersionId"] == token


def test_a_value_holds_65536_bytes(sm, name):
    sm.create_secret(Name=name, SecretString="é" * 32768)
    assert refused(sm.put_secret_value, SecretId=name, SecretString="é" * 32768 + "a") == "ValidationException"


def test_a_label_has_1_to_256_characters(sm, name):
    version = sm.create_secret(Name=name, SecretString="a")["VersionId"]
    sm.update_secret_version_stage(SecretId=name, VersionStage="l" * 256, MoveToVersionId=version)
    assert refused(sm.update_secret_version_stage, SecretId=name, VersionStage="l" * 257,
                   MoveToVersionId=version) == "ValidationException"


def test_a_secret_holds_20_labels(sm, name):
    version = sm.create_secret(Name=name, SecretString="a")["VersionId"]
    for number in range(19):
        sm.update_secret_version_stage(SecretId=name, VersionStage=f"label {number}", MoveToVersionId=version)
    assert refused(sm.update_secret_version_stage, SecretId=name, VersionStage="one too many",
                   MoveToVersionId=version) == "LimitExceededException"
    # moving AWSCURRENT would set AWSPREVIOUS besides
    assert refused(sm.put_secret_value, SecretId=name, SecretString="b") == "LimitExceededException"
    assert list(sm.describe_secret(SecretId=name)["VersionIdsToStages"]) == [version]


def test_a_secret_marked_for_deletion_is_closed_until_restored(sm, name):
    sm.create_secret(Name=name, SecretString="a")
    sm.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    assert refused(sm.get_secret_value, SecretId=name) == "InvalidRequestException"
    assert refused(sm.put_secret_value, SecretId=name, SecretString="b") == "InvalidRequestException"
    assert refused(sm.create_secret, Name=name, SecretString="b") == "InvalidRequestException"
    assert "DeletedDate" in sm.describe_secret(SecretId=name)
    sm.restore_secret(SecretId=name)
    assert sm.get_secret_value(SecretId=name)["SecretString"] == "a"


def test_a_list_gives_100_a_page_with_labels_and_never_a_value(sm, name):
    for number in range(101):
        sm.create_secret(Name=f"{name}/{number:03}", SecretString="sesame")
    pages = list(sm.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [name]}]))
    assert [len(page["SecretList"]) for page in pages] == [100, 1]
    assert "sesame" not in str(pages)
    assert [*pages[1]["SecretList"][0]["SecretVersionsToStages"].values()] == [["AWSCURRENT"]]


def test_a_list_is_filtered_by_ten_values_at_most(sm, name):
    sm.create_secret(Name=name, SecretString="a")
    values = [name, *(f"{name}/{number}" for number in range(10))]
    [listed] = sm.list_secrets(Filters=[{"Key": "name", "Values": values[:10]}])["SecretList"]
    assert listed["Name"] == name
    assert refused(sm.list_secrets, Filters=[{"Key": "name", "Values": values}]) == "ValidationException"


def test_a_list_leaves_out_what_is_marked_for_deletion_unless_asked(sm, name):
    sm.create_secret(Name=f"{name}/stays", SecretString="a")
    sm.create_secret(Name=f"{name}/goes", SecretString="a")
    sm.delete_secret(SecretId=f"{name}/goes", RecoveryWindowInDays=7)

    def listed(**more) -> dict[str, bool]:
        answer = sm.list_secrets(Filters=[{"Key": "name", "Values": [name]}], **more)
        return {one["Name"].removeprefix(f"{name}/"): "DeletedDate" in one for one in answer["SecretList"]}

    assert listed() == {"stays": False}
    assert listed(IncludePlannedDeletion=True) == {"stays": False, "goes": True}
    sm.delete_secret(SecretId=f"{name}/stays", ForceDeleteWithoutRecovery=True)
    assert listed(IncludePlannedDeletion=True) == {"goes": True}
    sm.restore_secret(SecretId=f"{name}/goes")
    assert listed() == {"goes": False}


def test_a_list_can_lag_while_describe_does_not(aws, sm, name):
    version = sm.create_secret(Name=name, SecretString="a")["VersionId"]
    aws.local("POST", "secrets/freeze-list")
    try:
        sm.put_secret_value(SecretId=name, SecretString="b")
        listed = sm.list_secrets(Filters=[{"Key": "name", "Values": [name]}])["SecretList"][0]
        assert listed["SecretVersionsToStages"] == {version: ["AWSCURRENT"]}
        assert sm.describe_secret(SecretId=name)["VersionIdsToStages"][version] == ["AWSPREVIOUS"]
    finally:
        aws.local("DELETE", "secrets/freeze-list")


def test_a_secret_is_found_by_name_arn_and_partial_arn(sm, name):
    arn = sm.create_secret(Name=name, SecretString="a")["ARN"]
    assert arn.startswith("arn:aws:secretsmanager:eu-central-1:111122223333:secret:")
    for which in (name, arn, arn[:-7]):
        assert sm.get_secret_value(SecretId=which)["ARN"] == arn


def test_a_binary_value_comes_back(sm, name):
    sm.create_secret(Name=name, SecretBinary=b"\x00\x01")
    assert sm.get_secret_value(SecretId=name)["SecretBinary"] == b"\x00\x01"


def test_a_role_may_do_what_its_policy_says_and_no_more(aws, sm, name):
    sm.create_secret(Name=name, SecretString="sesame")
    aws.function(name, READER, [{"Effect": "Allow", "Action": "secretsmanager:DescribeSecret", "Resource": "*"}])
    answers = {}
    for operation in ("DescribeSecret", "GetSecretValue"):
        payload = json.dumps({"operation": operation, "secret": name}).encode()
        answers[operation] = json.load(aws.client("lambda").invoke(FunctionName=name, Payload=payload)["Payload"])
    assert answers == {"DescribeSecret": "ok", "GetSecretValue": "AccessDeniedException"}


READER = """
import boto3, os, re
from botocore.exceptions import ClientError

def handle(event):
    call = getattr(boto3.client("secretsmanager"), re.sub("(?<=.)([A-Z])", r"_\\1", event["operation"]).lower())
    try:
        call(SecretId=event["secret"])
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "ok"
"""
