"""Secrets Manager's answers that need more than one client call: raw requests, lists, policies, rotations, stacks."""

from __future__ import annotations

import json
import urllib.request
import uuid
from urllib.error import HTTPError

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from conftest import until
from stories import NAMED, Error, Story, described, named, versions

ROTATE = """
import boto3

def handle(event):
    sm, secret, token = boto3.client("secretsmanager"), event["SecretId"], event["ClientRequestToken"]
    if event["Step"] == "createSecret":
        sm.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")
        sm.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString="new", VersionStages=["AWSPENDING"])
    if event["Step"] == "finishSecret":
        labels = sm.describe_secret(SecretId=secret)["VersionIdsToStages"]
        current = next(version for version, names in labels.items() if "AWSCURRENT" in names)
        sm.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token,
                                       RemoveFromVersionId=current)
        sm.update_secret_version_stage(SecretId=secret, VersionStage="AWSPENDING", RemoveFromVersionId=token)
"""


@pytest.fixture
def sm(aws):
    return aws.client("secretsmanager")


@pytest.fixture(scope="module")
def function(aws) -> str:
    arn = aws.function("recorded-rotation", ROTATE,
                       [{"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}])
    aws.client("lambda").add_permission(FunctionName="recorded-rotation", StatementId="rotation",
                                        Action="lambda:InvokeFunction", Principal="secretsmanager.amazonaws.com")
    return arn


def raw(aws, operation: str, **parameters: object) -> tuple[int, dict]:
    """A request as no SDK would send it, signed by hand."""
    request = AWSRequest("POST", aws.endpoint + "/", data=json.dumps(parameters).encode(), headers={
        "X-Amz-Target": f"secretsmanager.{operation}", "Content-Type": "application/x-amz-json-1.1"})
    keys = Credentials(aws.ready["access_key_id"], aws.ready["secret_access_key"])
    SigV4Auth(keys, "secretsmanager", aws.ready["region"]).add_auth(request)
    sent = urllib.request.Request(request.url, request.data, dict(request.headers.items()))
    try:
        with urllib.request.urlopen(sent, timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("operation, code", [
    ("CreateSecret", "InvalidRequestException"), ("UpdateSecret", "InvalidRequestException"),
    ("PutSecretValue", "InvalidRequestException"), ("RotateSecret", "InvalidParameterException")])
def test_a_request_without_a_token_is_refused(aws, name, operation, code):
    which = {"Name" if operation == "CreateSecret" else "SecretId": name}
    assert raw(aws, operation, SecretString="thisisthesecret", Description="d", **which) == (400, {
        "__type": code, "Message": "You must provide a ClientRequestToken value. We recommend a UUID-type value."})


def test_a_binary_value_travels_as_base64(aws, sm, name):
    made = sm.create_secret(Name=name, SecretBinary="footest")
    status, answer = raw(aws, "GetSecretValue", SecretId=name)
    assert isinstance(answer.pop("CreatedDate"), float) and status == 200
    assert answer == {"ARN": made["ARN"], "Name": name, "SecretBinary": "Zm9vdGVzdA==",
                      "VersionId": made["VersionId"], "VersionStages": ["AWSCURRENT"]}


def test_errors_of_the_service_say_message_with_a_capital(aws, name):
    missing = "Secrets Manager can't find the specified secret."
    for operation in ("GetSecretValue", "DeleteSecret"):
        status, answer = raw(aws, operation, SecretId=name)
        assert (status, answer["Message"], "message" in answer) == (400, missing, False)


def listed(sm, **parameters: object) -> list[dict]:
    pages = sm.get_paginator("list_secrets").paginate(**parameters)
    return [secret for page in pages for secret in page["SecretList"]]


def test_a_list_shows_each_secret_each_time(sm, name):
    story = Story(sm, name)
    story.ask("create_secret", SecretString="my_secret", Description="testing")
    for _ in range(3):
        [shown] = [secret for secret in listed(sm) if secret["Name"] == name]
        assert story.shown(shown) == named(CreatedDate="TIME", LastChangedDate="TIME", Description="testing",
                                           SecretVersionsToStages={"v1": ["AWSCURRENT"]})


def test_a_list_shows_several_secrets(sm, name):
    arns = {sm.create_secret(Name=f"{name}-{number}", SecretString="a", Description="d")["ARN"] for number in range(3)}
    assert {secret["ARN"] for secret in listed(sm) if secret["Name"].startswith(name)} == arns


FILTERS = [
    ([("name", "/")], "24"), ([("name", "!/")], "13"), ([("name", "testing1 one")], ""),
    ([("description", "a")], "123"), ([("description", "!a")], "4"), ([("description", "a secret")], "12"),
    ([("description", "!c")], "1234"),
    ([("description", "a"), ("name", "secret")], ""), ([("description", "a"), ("name", "an")], ""),
]


@pytest.fixture(scope="module")
def four(aws) -> dict[str, str]:
    mark, client = uuid.uuid4().hex, aws.client("secretsmanager")
    names = {f"testing1/one-{mark}": ("1", "a secret"), f"/testing2/two-{mark}": ("2", "an secret"),
             f"testing3/three-{mark}": ("3", "asecret"), f"/testing4/four-{mark}": ("4", "thesecret")}
    for name, (_, description) in names.items():
        client.create_secret(Name=name, SecretString="secret", Description=description)
    return {name: number for name, (number, _) in names.items()}


@pytest.mark.parametrize("filters, found", FILTERS)
def test_a_list_is_filtered(sm, four, filters, found):
    shown = listed(sm, Filters=[{"Key": key, "Values": [text]} for key, text in filters])
    assert "".join(sorted(four[secret["Name"]] for secret in shown if secret["Name"] in four)) == found


def test_a_policy_of_a_secret(sm, name):
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]}
    story = Story(sm, name)
    story.ask("create_secret", SecretString="my_secret")
    assert story.ask("put_resource_policy", ResourcePolicy=json.dumps(policy)) == NAMED
    answer = story.ask("get_resource_policy")
    assert json.loads(answer.pop("ResourcePolicy")) == policy and answer == NAMED
    assert story.ask("delete_resource_policy") == NAMED


def rotated(**labels: list[str]) -> dict:
    return described(labels, Description="testing", LastAccessedDate="TIME", LastRotatedDate="TIME",
                     NextRotationDate="TIME", RotationEnabled=True, RotationLambdaARN="FUNCTION",
                     RotationRules={"AutomaticallyAfterDays": 1})


def rotate(aws, sm, story: Story, **settings: object) -> dict:
    before = sm.describe_secret(SecretId=story.name).get("LastRotatedDate")
    assert story.ask("rotate_secret", **settings) == named(VersionId=f"v{len(story.known)}")
    until(lambda: sm.describe_secret(SecretId=story.name).get("LastRotatedDate") != before)
    until(lambda: not aws.local("GET", "idle")["rotations"])
    return story.ask("describe_secret")


@pytest.mark.parametrize("said", [{"RotateImmediately": True}, {}])
def test_a_rotation(aws, sm, name, function, said):
    story = Story(sm, name)
    story.ask("create_secret", SecretString="my_secret", Description="testing")
    shown = rotate(aws, sm, story, RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 1}, **said)
    assert shown == rotated(v1=["AWSPREVIOUS"], v2=["AWSCURRENT"]) | {"RotationLambdaARN": function}
    assert story.ask("list_secret_version_ids") == versions(("v1", "AWSPREVIOUS"), ("v2", "AWSCURRENT"), read="v1")


def test_a_second_rotation_needs_no_settings(aws, sm, name, function):
    story = Story(sm, name)
    story.ask("create_secret", SecretString="my_secret", Description="testing")
    rotate(aws, sm, story, RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 1})
    shown = rotate(aws, sm, story)
    assert shown == rotated(v2=["AWSPREVIOUS"], v3=["AWSCURRENT"]) | {"RotationLambdaARN": function}
    assert story.ask("list_secret_version_ids") == versions(("v2", "AWSPREVIOUS"), ("v3", "AWSCURRENT"), read="v2")


def deployed(aws, name: str, resources: dict) -> None:
    stacks = aws.client("cloudformation")
    stacks.create_stack(StackName=name, TemplateBody=json.dumps({
        "Resources": resources, "Outputs": {one: {"Value": {"Ref": one}} for one in resources}}))
    until(lambda: stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE")


def test_a_secret_of_a_stack_goes_with_it(aws, sm, name):
    deployed(aws, name, {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {
        "Name": name, "Description": "Aurora Password", "GenerateSecretString": {"PasswordLength": 30}}}})
    shown = sm.describe_secret(SecretId=name)
    assert [*shown["VersionIdsToStages"].values()] == [["AWSCURRENT"]] and shown["Description"] == "Aurora Password"
    aws.client("cloudformation").delete_stack(StackName=name)

    def gone() -> bool:
        try:
            sm.describe_secret(SecretId=name)
        except ClientError as error:
            refusal = Error((error.response["Error"]["Code"], error.response["Error"]["Message"]))
            return refusal == ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return False

    until(gone)


@pytest.mark.parametrize("block", [{"BlockPublicPolicy": True}, {}])
def test_the_policy_of_a_secret_in_a_stack_is_named_by_the_secret(aws, sm, name, block):
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "secretsmanager:ReplicateSecretToRegions", "Resource": "*"}]}
    deployed(aws, name, {
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": name, "SecretString": "a"}},
        "Policy": {"Type": "AWS::SecretsManager::ResourcePolicy", "Properties": {
            "SecretId": {"Ref": "Secret"}, "ResourcePolicy": policy, **block}}})
    outputs = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    arn = sm.describe_secret(SecretId=name)["ARN"]
    assert {one["OutputKey"]: one["OutputValue"] for one in outputs} == {"Secret": arn, "Policy": arn}
    assert json.loads(sm.get_resource_policy(SecretId=name)["ResourcePolicy"]) == policy
