"""RotateSecret calls the function's four steps as Secrets Manager does."""

from __future__ import annotations

import uuid

import pytest
from botocore.exceptions import ClientError
from conftest import until

FUNCTION = """
import boto3
from pathlib import Path

def handle(event):
    sm, secret, token = boto3.client("secretsmanager"), event["SecretId"], event["ClientRequestToken"]
    print("step", event["Step"], token, flush=True)
    if event["Step"] == "createSecret":
        sm.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString="new", VersionStages=["AWSPENDING"])
    description = sm.describe_secret(SecretId=secret)
    if event["Step"] == "testSecret" and "fail" in description.get("Description", ""):
        raise RuntimeError("told to fail")
    if event["Step"] == "finishSecret":
        current = next(v for v, labels in description["VersionIdsToStages"].items() if "AWSCURRENT" in labels)
        sm.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token,
                                       RemoveFromVersionId=current)
        sm.update_secret_version_stage(SecretId=secret, VersionStage="AWSPENDING", RemoveFromVersionId=token)
"""


@pytest.fixture(scope="module")
def function(aws) -> str:
    arn = aws.function("rotation", FUNCTION, [{"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}])
    aws.client("lambda").add_permission(
        FunctionName="rotation", StatementId="rotation", Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com", SourceAccount=aws.ready["account"])
    return arn


@pytest.fixture
def sm(aws):
    return aws.client("secretsmanager")


def steps(aws, token: str) -> list[str]:
    return [call["event"]["Step"] for call in aws.local("GET", "invocations")
            if call["function"] == "rotation" and call["event"]["ClientRequestToken"] == token]


def at_rest(aws):
    return until(lambda: not aws.local("GET", "idle")["rotations"])


def test_four_steps_in_order_and_the_outcome_shows(aws, sm, function, name):
    before = sm.create_secret(Name=name, SecretString="old")["VersionId"]
    token = str(uuid.uuid4())
    answer = sm.rotate_secret(SecretId=name, ClientRequestToken=token, RotationLambdaARN=function,
                              RotationRules={"AutomaticallyAfterDays": 30})
    assert answer["VersionId"] == token
    until(lambda: "LastRotatedDate" in sm.describe_secret(SecretId=name))
    shown = sm.describe_secret(SecretId=name)
    assert steps(aws, token) == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    assert shown["VersionIdsToStages"] == {before: ["AWSPREVIOUS"], token: ["AWSCURRENT"]}
    assert shown["RotationEnabled"] and shown["RotationLambdaARN"] == function
    assert shown["RotationRules"] == {"AutomaticallyAfterDays": 30}
    event = aws.local("GET", "invocations")[-1]["event"]
    assert event["SecretId"] == shown["ARN"] and event["RotationToken"]


def test_a_failed_step_leaves_awspending_and_a_retry_goes_on_with_it(aws, sm, function, name):
    sm.create_secret(Name=name, SecretString="old", Description="fail")
    token = sm.rotate_secret(SecretId=name, RotationLambdaARN=function)["VersionId"]
    at_rest(aws)
    assert steps(aws, token) == ["createSecret", "setSecret", "testSecret"]
    assert sm.describe_secret(SecretId=name)["VersionIdsToStages"][token] == ["AWSPENDING"]

    sm.update_secret(SecretId=name, Description="well")
    with pytest.raises(ClientError, match="A previous rotation isn't complete. That rotation will be reattempted."):
        sm.rotate_secret(SecretId=name)
    until(lambda: "LastRotatedDate" in sm.describe_secret(SecretId=name))
    assert sm.get_secret_value(SecretId=name)["VersionId"] == token


def test_the_scheduler_retries_by_itself(aws, sm, function, name):
    sm.create_secret(Name=name, SecretString="old", Description="fail")
    sm.rotate_secret(SecretId=name, RotationLambdaARN=function)
    at_rest(aws)
    sm.update_secret(SecretId=name, Description="well")
    assert aws.local("POST", "rotations/retry", {"SecretId": name}) == {"started": True}
    until(lambda: "LastRotatedDate" in sm.describe_secret(SecretId=name))


def test_cancel_ends_it_and_leaves_the_labels(aws, sm, function, name):
    sm.create_secret(Name=name, SecretString="old", Description="fail")
    token = sm.rotate_secret(SecretId=name, RotationLambdaARN=function)["VersionId"]
    at_rest(aws)
    sm.cancel_rotate_secret(SecretId=name)
    shown = sm.describe_secret(SecretId=name)
    assert shown["RotationEnabled"] is False
    assert shown["VersionIdsToStages"][token] == ["AWSPENDING"]


def test_secrets_manager_must_be_permitted_to_invoke(aws, sm, name):
    sm.create_secret(Name=name, SecretString="old")
    unpermitted = aws.function(f"{name}-closed", FUNCTION)
    with pytest.raises(sm.exceptions.ClientError, match="cannot invoke the specified Lambda function"):
        sm.rotate_secret(SecretId=name, RotationLambdaARN=unpermitted)
    assert "RotationEnabled" not in sm.describe_secret(SecretId=name)


def test_not_at_once_runs_one_trial_and_leaves_no_version_labelled(aws, sm, function, name):
    before = sm.create_secret(Name=name, SecretString="old")["VersionId"]
    token = str(uuid.uuid4())
    sm.rotate_secret(SecretId=name, ClientRequestToken=token, RotationLambdaARN=function, RotateImmediately=False,
                     RotationRules={"AutomaticallyAfterDays": 30})
    at_rest(aws)
    assert steps(aws, token) == ["testSecret"]
    assert sm.describe_secret(SecretId=name)["VersionIdsToStages"] == {before: ["AWSCURRENT"]}
