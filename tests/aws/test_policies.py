"""Policies that IAM and S3 were seen to refuse (in reports and in tests that others recorded from AWS)."""

from __future__ import annotations

import json

import pytest
from test_quotas import deployed, refusal

OK = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket"}
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
SYNTAX = "Syntax errors in policy."


def policy(*statements: dict, **more: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)} | more)


IDENTITY = {
    "no version": (json.dumps({"Statement": OK}), "Policy document must be version 2012-10-17 or greater."),
    "a version that is none": (policy(OK, Version="2013-10-17"), SYNTAX),
    "no JSON": ("no JSON", SYNTAX), "no statement": (policy(), SYNTAX),
    "a strange member": (policy(OK, Extra=1), SYNTAX),
    "a strange member of a statement": (policy(OK | {"Extra": 1}), SYNTAX),
    "an effect": (policy(OK | {"Effect": "Maybe"}), SYNTAX),
    "both kinds of action": (policy(OK | {"NotAction": "s3:*"}), SYNTAX),
    "no action": (policy({"Effect": "Allow", "Resource": "*"}), "Policy statement must contain actions."),
    "no resource": (policy({"Effect": "Allow", "Action": "s3:*"}), "Policy statement must contain resources."),
    "a principal": (policy(OK | {"Principal": "*"}), "Policy document should not specify a principal."),
    "two of one id": (policy(OK | {"Sid": "a"}, OK | {"Sid": "a"}), (
        "Statement IDs (SID) in a single policy must be unique.")),
    "an action without a service": (policy(OK | {"Action": "ListBucket"}), (
        "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")),
    "an action with two colons": (policy(OK | {"Action": "s3:s3:ListBucket"}), (
        "Actions/Condition can contain only one colon.")),
    "a service that is none": (policy(OK | {"Action": "a a:ListBucket"}), "Vendor a a is not valid"),
    "a resource that is no ARN": (policy(OK | {"Resource": "bucket"}), 'Resource bucket must be in ARN format or "*".'),
    "a short ARN": (policy(OK | {"Resource": "arn:aws:s3::bucket"}), "The policy failed legacy parsing"),
    "a partition": (policy(OK | {"Resource": "arn:error:s3:::bucket"}), (
        'Partition "error" is not valid for resource "arn:error:s3:::bucket".')),
    "a bucket's region": (policy(OK | {"Resource": "arn:aws:s3:us-east-1::bucket"}), (
        "Resource arn:aws:s3:us-east-1::bucket can not contain region information.")),
    "a condition without an operator": (policy(OK | {"Condition": {"aws:SourceAccount": "1"}}), SYNTAX),
    "an operator that is none": (policy(OK | {"Condition": {"StringEqual": {"aws:SourceAccount": "1"}}}), SYNTAX),
    "an operator with two colons": (policy(OK | {"Condition": {
        "ForAnyValue::StringEqualsIfExists": {"aws:TagKeys": "1"}}}), SYNTAX),
}
TRUSTED = {
    "a resource": (policy(TRUST | {"Resource": "*"}), "Has prohibited field Resource"),
    "no principal": (policy({"Effect": "Allow", "Action": "sts:AssumeRole"}), "Missing required field Principal"),
    "another's action": (policy(TRUST | {"Action": "s3:GetObject"}), (
        "AssumeRole policy may only specify STS AssumeRole actions.")),
    "a service that is none": (policy(TRUST | {"Principal": {"Service": "lambda"}}), (
        'Invalid principal in policy: "SERVICE":"lambda"')),
    "an account that is none": (policy(TRUST | {"Principal": {"AWS": "arn:aws::iam::111122223333:root"}}), (
        'Invalid principal in policy: "AWS":"arn:aws::iam::111122223333:root"')),
    "an operator that is none": (policy(TRUST | {"Condition": {"StringIs": {"aws:SourceAccount": "1"}}}), SYNTAX),
}


@pytest.mark.parametrize("what", IDENTITY)
def test_a_policy_that_a_role_may_not_have(aws, name, what):
    iam, (document, told) = aws.client("iam"), IDENTITY[what]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(TRUST))
    refused = refusal(iam.put_role_policy, RoleName=name, PolicyName="own", PolicyDocument=document)
    assert refused == ("MalformedPolicyDocument", told)
    assert refusal(iam.create_policy, PolicyName=name, PolicyDocument=document) == refused


@pytest.mark.parametrize("what", TRUSTED)
def test_a_role_that_trusts_nobody_there_is(aws, name, what):
    document, told = TRUSTED[what]
    refused = refusal(aws.client("iam").create_role, RoleName=name, AssumeRolePolicyDocument=document)
    assert refused == ("MalformedPolicyDocument", told)


def test_what_iam_takes_is_taken(aws, name):
    iam = aws.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(
        TRUST | {"Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}}))
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(
        OK | {"Action": ["service-prefix:any", "*"], "Resource": ["*", "arn:aws:s3:::bucket/*"]},
        OK | {"Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": "a"}, "Null": {"aws:TokenIssueTime": "true"},
                            "ArnLikeIfExists": {"aws:SourceArn": "*"}}}))


BUCKET = {
    "no such service": ({"Principal": {"Service": "lambda"}}, "Invalid principal in policy"),
    "another service's action": ({"Action": "sqs:SendMessage"}, "Policy has invalid action"),
    "another's bucket": ({"Resource": "arn:aws:s3:::somebody-elses"}, "Policy has invalid resource"),
    "an operator that is none": ({"Condition": {"StringEqual": {"aws:SourceAccount": "1"}}}, (
        "Invalid Condition type : StringEqual")),
}


@pytest.mark.parametrize("what", BUCKET)
def test_a_policy_that_a_bucket_may_not_have(aws, name, what):
    s3, (change, told) = aws.client("s3"), BUCKET[what]
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    good = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{name}/*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    s3.put_bucket_policy(Bucket=name, Policy=policy(good))
    assert refusal(s3.put_bucket_policy, Bucket=name, Policy=policy(good | change)) == ("MalformedPolicy", told)


def test_a_stack_with_such_a_policy_fails(aws, name):
    trust, own = json.loads(policy(TRUST)), json.loads(policy(OK | {"Resource": "bucket"}))
    role = {"AssumeRolePolicyDocument": trust, "Policies": [{"PolicyName": "own", "PolicyDocument": own}]}
    failed = deployed(aws, name, {"Role": {"Type": "AWS::IAM::Role", "Properties": role}})
    assert failed["StackStatus"] != "CREATE_COMPLETE"
    role = {"AssumeRolePolicyDocument": json.loads(policy(TRUST | {"Resource": "*"}))}
    failed = deployed(aws, f"{name}-2", {"Role": {"Type": "AWS::IAM::Role", "Properties": role}})
    assert failed["StackStatus"] != "CREATE_COMPLETE"
    own = {"PolicyName": "own", "PolicyDocument": json.loads(policy(OK))}
    good = {"AssumeRolePolicyDocument": trust, "Policies": [own]}
    made = deployed(aws, f"{name}-3", {"Role": {"Type": "AWS::IAM::Role", "Properties": good}})
    assert made["StackStatus"] == "CREATE_COMPLETE", made
