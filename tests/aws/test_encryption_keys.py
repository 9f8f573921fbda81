"""Customer managed keys: who may not use the key gets nothing of what is encrypted with it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from conftest import ACCOUNT, allow, policy, told
from test_deployment import reasons
from test_quotas import deployed

OWNER = allow("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
KMS = "Access to KMS is not allowed"


@pytest.fixture
def key(aws) -> str:
    """A key whose use is the account's own affair, by IAM."""
    return aws.client("kms").create_key(Policy=policy(OWNER))["KeyMetadata"]["Arn"]


@pytest.fixture
def allowed(aws, role, name) -> Callable:
    """Takes on a role that may do all but what KMS does; then it is allowed these actions of a key."""
    def made(key: str, *actions: str, **more: object):
        client = role(allow(["secretsmanager:*", "sqs:*", "sns:*", "s3:*"]))
        if actions:
            aws.client("iam").put_role_policy(RoleName=name, PolicyName="key", PolicyDocument=policy(
                allow(list(actions), key, **more)))
        return client
    return made


def test_a_secret_of_a_key(aws, allowed, key, name):
    secret = aws.client("secretsmanager").create_secret(Name=name, SecretString="x", KmsKeyId=key)["ARN"]
    manager = allowed(key)("secretsmanager")
    assert told(manager.get_secret_value, SecretId=secret) == (400, "AccessDeniedException", KMS)
    assert told(manager.put_secret_value, SecretId=secret, SecretString="y") == (400, "AccessDeniedException", KMS)
    assert told(manager.create_secret, Name=f"{name}-2", SecretString="y", KmsKeyId=key)[2] == KMS
    assert told(manager.describe_secret, SecretId=secret) is None, "nothing of it is encrypted"


def test_a_secret_of_a_key_that_the_role_may_use(aws, allowed, key, name):
    secret = aws.client("secretsmanager").create_secret(Name=name, SecretString="x", KmsKeyId=key)["ARN"]
    through = {"StringEquals": {"kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com"},
               "StringLike": {"kms:EncryptionContext:SecretARN": secret[:-6] + "??????"}}
    client = allowed(key, "kms:Decrypt", Condition=through)
    manager = client("secretsmanager")
    assert told(manager.get_secret_value, SecretId=secret) is None
    assert told(manager.put_secret_value, SecretId=secret, SecretString="y")[2] == KMS, "that takes a data key"
    assert told(client("kms").decrypt, KeyId=key, CiphertextBlob=b"x")[1] == "AccessDeniedException", "not directly"


@pytest.mark.parametrize("condition", [
    {"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}},
    {"StringLike": {"kms:EncryptionContext:SecretARN": "*:secret:another-??????"}}])
def test_a_condition_that_is_not_met(aws, allowed, key, name, condition):
    secret = aws.client("secretsmanager").create_secret(Name=name, SecretString="x", KmsKeyId=key)["ARN"]
    manager = allowed(key, "kms:Decrypt", Condition=condition)("secretsmanager")
    assert told(manager.get_secret_value, SecretId=secret)[2] == KMS


def test_the_keys_own_policy_must_allow_too(aws, allowed, name):
    locked = aws.client("kms").create_key(Policy=policy(allow(
        "kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/another"})))["KeyMetadata"]["Arn"]
    secret = aws.client("secretsmanager").create_secret(Name=name, SecretString="x", KmsKeyId=locked)["ARN"]
    assert told(allowed(locked, "kms:*")("secretsmanager").get_secret_value, SecretId=secret)[2] == KMS


def test_a_queue_of_a_key(aws, allowed, key, queue):
    url, _ = queue
    aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": key})
    sqs = allowed(key, "kms:Decrypt")("sqs")
    status, code, message = told(sqs.send_message, QueueUrl=url, MessageBody="x")
    assert (status, code) == (400, "KMS.AccessDeniedException")
    assert f"not authorized to perform: kms:GenerateDataKey on resource: {key}" in message
    assert told(sqs.receive_message, QueueUrl=url) is None


def test_a_topic_of_a_key(aws, allowed, key, name):
    topic = aws.client("sns").create_topic(Name=name, Attributes={"KmsMasterKeyId": key})["TopicArn"]
    sns = allowed(key, "kms:GenerateDataKey")("sns")
    assert told(sns.publish, TopicArn=topic, Message="x")[:2] == (400, "KMSAccessDenied"), "that takes kms:Decrypt too"


@pytest.mark.parametrize("actions", [("kms:Decrypt",), ("kms:GenerateDataKey",)])
def test_a_bucket_of_a_key(aws, allowed, key, bucket, actions):
    s3 = aws.client("s3")
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]})
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    mine = allowed(key, *actions)("s3")
    read, written = (told(mine.get_object, Bucket=bucket, Key="a"), told(mine.put_object, Bucket=bucket, Key="b"))
    denied = written if actions == ("kms:Decrypt",) else read
    assert [read is None, written is None].count(True) == 1
    assert denied[:2] == (403, "AccessDenied") and f"on resource: {key} because no identity-based" in denied[2]


def test_a_queue_takes_events_where_its_key_lets_eventbridge(aws, key, queue, name):
    """Its own policy is not enough: what cannot be encrypted is not delivered."""
    url, arn = queue
    events, sqs, kms = aws.client("events"), aws.client("sqs"), aws.client("kms")
    events.create_event_bus(Name=name)
    rule = events.put_rule(Name=name, EventBusName=name, EventPattern='{"source": ["keywheel"]}')["RuleArn"]
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "q", "Arn": arn}])
    of_rule = {"Condition": {"ArnEquals": {"aws:SourceArn": rule}}, "Principal": {"Service": "events.amazonaws.com"}}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={
        "KmsMasterKeyId": key, "Policy": policy(allow("sqs:SendMessage", arn, **of_rule))})
    for number, key_policy in enumerate((policy(OWNER), policy(OWNER, allow(["kms:GenerateDataKey*", "kms:Decrypt"],
                                                                            "*", **of_rule)))):
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy)
        events.put_events(Entries=[{"Source": "keywheel", "DetailType": "t", "Detail": json.dumps({"number": number}),
                                    "EventBusName": name}])
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(message["Body"])["detail"] == {"number": 1}


@pytest.mark.parametrize(("group", "allowed"), [("own", True), ("another", False)])
def test_a_log_group_of_a_key(aws, key, name, group, allowed):
    logs = f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:/{name}"
    aws.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=policy(OWNER, allow(
        ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
        Principal={"Service": "logs.eu-central-1.amazonaws.com"},
        Condition={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"{logs}/own"}})))
    stack = deployed(aws, name, {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": {
        "LogGroupName": f"/{name}/{group}", "KmsKeyId": key}}})
    assert (stack["StackStatus"] == "CREATE_COMPLETE") == allowed
    if not allowed:
        assert "does not exist or is not allowed to be used with Arn" in reasons(aws, name)


def test_a_stacks_bucket_has_its_key(aws, key, name):
    stack = deployed(aws, name, {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {
        "BucketName": name, "BucketEncryption": {"ServerSideEncryptionConfiguration": [{
            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
            "BucketKeyEnabled": True}]}}}})
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons(aws, name)
    [rule] = aws.client("s3").get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == key and rule["BucketKeyEnabled"]
