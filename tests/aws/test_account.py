"""What an account shows of itself: limits, subscriptions that are not confirmed, invocations that failed for good."""

from __future__ import annotations

import json

import pytest
from conftest import until

FAILS = """
def handle(event):
    raise RuntimeError("no sign-in")
"""


def test_the_account_settings_follow_the_quotas_and_the_reservations(aws, name):
    functions = aws.client("lambda")
    aws.function(name, FAILS)
    aws.local("POST", "quotas", {"concurrent_executions": 300})
    try:
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=20)
        limit = functions.get_account_settings()["AccountLimit"]
        assert (limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]) == (300, 280)
    finally:
        functions.delete_function_concurrency(FunctionName=name)
        aws.local("POST", "quotas", {"concurrent_executions": 10})
    limit = functions.get_account_settings()["AccountLimit"]
    assert (limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]) == (10, 10)


def test_the_info_of_a_federation_that_is_off_is_an_error(aws):
    iam = aws.client("iam")
    assert iam.get_outbound_web_identity_federation_info()["JwtVendingEnabled"] is True
    iam.disable_outbound_web_identity_federation()
    try:
        with pytest.raises(iam.exceptions.ClientError) as refused:
            iam.get_outbound_web_identity_federation_info()
        assert refused.value.response["Error"]["Code"] == "FeatureDisabled"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    finally:
        iam.enable_outbound_web_identity_federation()


def test_a_subscription_by_mail_has_no_arn_before_it_is_confirmed(aws, name):
    sns, queue = aws.client("sns"), f"arn:aws:sqs:{aws.ready['region']}:{aws.ready['account']}:{name}"
    topic = sns.create_topic(Name=name)["TopicArn"]
    made = sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="ada@example.com")
    assert made["SubscriptionArn"] == "pending confirmation"
    aws.client("sqs").create_queue(QueueName=name)
    sure = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)["SubscriptionArn"]
    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [one["SubscriptionArn"] for one in listed] == ["PendingConfirmation", sure]


def test_a_destination_is_told_when_an_invocation_failed_for_good(aws, name):
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    send = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn}
    aws.function(name, FAILS, [send])
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": arn}})
    aws.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    [message] = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    told = json.loads(message["Body"])
    assert told["version"] == "1.0" and told["timestamp"].endswith("Z")
    assert told["responseContext"]["functionError"] and "no sign-in" in told["responsePayload"]["errorMessage"]
