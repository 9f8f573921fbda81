"""The parameters for accounts with rules of their own: each reaches every resource, and by default none does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from template import ROOT, Template

ALL = {"WebhookSecret": "w", "GitHubAlerts": "on", "NotifySecret": "n", "NotifyTopicArn": "t", "SignInSecret": "s",
       "KmsKeyArn": "k", "NotifyTopicKmsKeyArn": "k"}
BOUNDARY = "arn:aws:iam::111122223333:policy/boundary"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/1"
RULES = {"PermissionsBoundaryArn": BOUNDARY, "RolePath": "/a/", "DataKmsKeyArn": KEY, "SubnetIds": "subnet-1",
         "SecurityGroupIds": "sg-1", "AccessLogBucketName": "logs"}
ENCRYPTION = {  # of each type of resource: what says its key
    "AWS::Logs::LogGroup": lambda one: one.get("KmsKeyId"),
    "AWS::SQS::Queue": lambda one: one.get("KmsMasterKeyId"),
    "AWS::S3::Bucket": lambda one: default_of(one).get("KMSMasterKeyID"),
}


def default_of(bucket: dict) -> dict:
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return rule["ServerSideEncryptionByDefault"]


def values(template: Template, kind: str, member: str) -> set[Any]:
    return {one.get(member) for one in template.of(kind).values()}


def test_by_default_nothing_of_it_is_there():
    template = Template(**ALL)
    for kind, member in (("AWS::IAM::Role", "PermissionsBoundary"), ("AWS::IAM::Role", "Path"),
                         ("AWS::IAM::ManagedPolicy", "Path")):
        assert values(template, kind, member) == {None}, f"{member}: a path that is said anew replaces the roles"
    assert template.of("AWS::IAM::ManagedPolicy").keys() == {"FunctionsPolicy"}
    assert "VpcConfig" not in template.functions
    for kind, key in ENCRYPTION.items():
        assert {key(one) for one in template.of(kind).values()} == {None}
    assert {one["SqsManagedSseEnabled"] for one in template.of("AWS::SQS::Queue").values()} == {True}
    assert {default_of(one)["SSEAlgorithm"] for one in template.of("AWS::S3::Bucket").values()} == {"AES256"}
    assert values(template, "AWS::S3::Bucket", "LoggingConfiguration") == {None}


def test_each_reaches_every_resource():
    template = Template(**ALL, **RULES)
    assert values(template, "AWS::IAM::Role", "PermissionsBoundary") == {BOUNDARY}
    assert values(template, "AWS::IAM::Role", "Path") == values(template, "AWS::IAM::ManagedPolicy", "Path") == {"/a/"}
    assert template.functions["VpcConfig"] == {"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}
    for kind, key in ENCRYPTION.items():
        assert {key(one) for one in template.of(kind).values()} == {KEY}
    assert {one["SqsManagedSseEnabled"] for one in template.of("AWS::SQS::Queue").values()} == {False}
    assert {default_of(one)["SSEAlgorithm"] for one in template.of("AWS::S3::Bucket").values()} == {"aws:kms"}
    logged = [one["LoggingConfiguration"] for one in template.of("AWS::S3::Bucket").values()]
    assert {one["DestinationBucketName"] for one in logged} == {"logs"}
    assert len({json.dumps(one["LogFilePrefix"]) for one in logged}) == len(logged) == 4, "each below its own name"


@pytest.mark.parametrize(("parameter", "policy"), [("DataKmsKeyArn", "DataKeyPolicy"), ("SubnetIds", "NetworkPolicy")])
def test_what_a_parameter_asks_of_the_roles_is_asked_where_it_is_given(parameter, policy):
    given, without = (Template(**ALL, **some) for some in ({parameter: RULES[parameter]}, {}))
    assert policy in given.of("AWS::IAM::ManagedPolicy") and policy not in without.of("AWS::IAM::ManagedPolicy")
    roles = {one["Role"]["Fn::GetAtt"][0] for one in given.of("AWS::Serverless::Function").values()}
    attached = {name for name, role in given.of("AWS::IAM::Role").items()
                if {"Ref": policy} in role["ManagedPolicyArns"]}
    assert attached >= roles and len(roles) == 6
    assert ("ScheduleRole" in attached) == (policy == "DataKeyPolicy"), "it sends dead letters to a queue of that key"


def actions(statements: list[dict]) -> set[str]:
    return {action for one in statements if one["Effect"] == "Allow"
            for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])}


def test_the_boundary_of_the_docs_allows_what_the_roles_ask_for_and_no_more():
    template = Template(**ALL, **RULES)
    documents = [policy["PolicyDocument"] for role in template.of("AWS::IAM::Role").values()
                 for policy in role["Policies"]]
    documents += [policy["PolicyDocument"] for policy in template.of("AWS::IAM::ManagedPolicy").values()]
    asked = set().union(*(actions(document["Statement"]) for document in documents))
    shown = json.loads((ROOT / "docs/account/boundary.json").read_text())
    assert actions(shown["Statement"]) == asked
