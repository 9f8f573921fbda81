"""What was recorded from AWS of queues that feed functions, of SNS, STS and EventBridge Scheduler."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from conftest import until

WINDOW = ("InvalidParameterValueException", "Maximum batch window in seconds must be greater than 0 if maximum batch "
          "size is greater than 10")
NO_QUEUE = ("InvalidParameterValueException", "Error occurred while ReceiveMessage. SQS Error Code: "
            "AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist.")
SECONDS = 3  # a function may take, and its queue keeps a message from others
RECEIVES = [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]
ANSWERS = """
import json

def handle(event):
    first = json.loads(event["Records"][0]["body"])
    if first.get("raise"):
        raise RuntimeError("told to fail")
    failures = [{"itemIdentifier": record["messageId"]} for record in event["Records"]
                if int(record["attributes"]["ApproximateReceiveCount"]) <= json.loads(record["body"]).get("fail", 0)]
    return first.get("answer", {"batchItemFailures": failures})
"""


def refusal(call, **parameters: object) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def make_queue(aws, name: str, **attributes: str) -> tuple[str, str]:
    sqs = aws.client("sqs")
    suffix = ".fifo" if "FifoQueue" in attributes else ""
    url = sqs.create_queue(QueueName=name + suffix, Attributes=attributes)["QueueUrl"]
    shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, shown["Attributes"]["QueueArn"]


def make_source(aws, name: str, *, most: int = 2, **attributes: str) -> tuple[str, str, str]:
    fifo = {key: value for key, value in attributes.items() if key == "FifoQueue"}
    dead, dead_arn = make_queue(aws, f"{name}-dead", **fifo)
    url, arn = make_queue(aws, name, VisibilityTimeout=str(SECONDS), RedrivePolicy=json.dumps(
        {"deadLetterTargetArn": dead_arn, "maxReceiveCount": most}), **attributes)
    return url, arn, dead


def calls(aws, name: str) -> list[list[tuple[str, str]]]:
    """Of each invocation the bodies and how often each was received."""
    return [[(record["body"], record["attributes"]["ApproximateReceiveCount"]) for record in call["event"]["Records"]]
            for call in aws.local("GET", "invocations") if call["function"] == name]


def letters(aws, url: str) -> list[str]:
    messages = until(lambda: aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"))
    return [message["Body"] for message in messages]


@pytest.fixture
def consumer(aws, name) -> str:
    aws.function(name, ANSWERS, RECEIVES, Timeout=SECONDS)
    return name


def connect(aws, name: str, arn: str, **more: object) -> dict:
    answer = aws.client("lambda").create_event_source_mapping(FunctionName=name, EventSourceArn=arn, **more)
    return answer


REPORTS = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
TWICE = {  # what a function does: body, what the mapping says
    "raises": (json.dumps({"raise": True}), {}), "raises, with reports": (json.dumps({"raise": True}), REPORTS)}


@pytest.mark.parametrize("what", TWICE)
def test_a_batch_that_failed_comes_again_and_then_dies(aws, consumer, what):
    body, settings = TWICE[what]
    url, arn, dead = make_source(aws, consumer)
    connect(aws, consumer, arn, BatchSize=1, **settings)
    aws.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    assert letters(aws, dead) == [body]
    assert calls(aws, consumer) == [[(body, "1")], [(body, "2")]]


def test_a_report_that_names_no_message_fails_the_whole_batch(aws, consumer):
    url, arn, dead = make_source(aws, consumer)
    connect(aws, consumer, arn, BatchSize=1, **REPORTS)
    body = json.dumps({"answer": {"batchItemFailures": [{"foo": "notvalid"}]}})
    aws.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    assert letters(aws, dead) == [body]
    assert calls(aws, consumer) == [[(body, "1")], [(body, "2")]]


def test_an_empty_report_is_a_success(aws, consumer):
    url, arn, _ = make_source(aws, consumer)
    connect(aws, consumer, arn, BatchSize=1, **REPORTS)
    body = json.dumps({"answer": {}})
    aws.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    until(lambda: calls(aws, consumer))

    def left() -> set[str]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return set(aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())

    until(lambda: left() == {"0"})
    assert calls(aws, consumer) == [[(body, "1")]]


def test_only_the_reported_messages_of_a_group_come_again(aws, consumer):
    url, arn, dead = make_source(aws, consumer, FifoQueue="true")
    bodies = [json.dumps({"message": number, "fail": fail}) for number, fail in enumerate((0, 1, 1, 2), 1)]
    aws.client("sqs").send_message_batch(QueueUrl=url, Entries=[
        {"Id": f"message-{number}", "MessageBody": body, "MessageGroupId": "1", "MessageDeduplicationId": f"d{number}"}
        for number, body in enumerate(bodies)])
    connect(aws, consumer, arn, BatchSize=10, **REPORTS)
    assert letters(aws, dead) == [bodies[3]]
    assert calls(aws, consumer) == [[(body, "1") for body in bodies], [(body, "2") for body in bodies[1:]]]


def test_what_a_mapping_shows(aws, consumer):
    _, arn = make_queue(aws, f"{consumer}-plain")
    answer = connect(aws, consumer, arn)
    assert (answer["BatchSize"], answer["MaximumBatchingWindowInSeconds"]) == (10, 0)
    assert answer["FunctionResponseTypes"] == []
    assert answer["EventSourceArn"] == arn and answer["FunctionArn"].endswith(f":function:{consumer}")
    assert refusal(aws.client("lambda").update_event_source_mapping, UUID=answer["UUID"], BatchSize=15) == WINDOW


def test_a_batch_over_ten_needs_a_window(aws, consumer):
    _, arn = make_queue(aws, f"{consumer}-plain")
    assert refusal(connect, aws=aws, name=consumer, arn=arn, BatchSize=15) == WINDOW


def test_a_second_mapping_of_the_same_two(aws, consumer):
    _, arn = make_queue(aws, f"{consumer}-plain")
    uuid = connect(aws, consumer, arn)["UUID"]
    code, message = refusal(connect, aws=aws, name=consumer, arn=arn)
    assert (code, message) == ("ResourceConflictException", (
        f'An event source mapping with SQS arn (" {arn} ") and function (" {consumer} ") already exists. Please update '
        f"or delete the existing mapping with UUID {uuid}"))


def test_a_mapping_of_a_queue_that_is_not_there(aws, consumer):
    arn = f"arn:aws:sqs:{aws.ready['region']}:{aws.ready['account']}:not-there"
    assert refusal(connect, aws=aws, name=consumer, arn=arn) == NO_QUEUE


TOPIC = "arn:aws:sns:eu-central-1:111122223333:not-there"
PUBLISHED = {
    "no such topic": ({"TopicArn": TOPIC, "Message": "m"}, ("NotFound", "Topic does not exist")),
    "no ARN": ({"TopicArn": "randomstring", "Message": "m"}, (
        "InvalidParameter", "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1")),
    "no message": ({"Message": ""}, ("InvalidParameter", "Invalid parameter: Empty message")),
    "over 256 KiB": ({"Message": "a" * 262_145}, ("InvalidParameter", "Invalid parameter: Message too long")),
}


@pytest.mark.parametrize("what", PUBLISHED)
def test_what_a_topic_refuses(aws, name, what):
    parameters, expected = PUBLISHED[what]
    sns = aws.client("sns")
    topic = sns.create_topic(Name=name)["TopicArn"]
    assert refusal(sns.publish, **{"TopicArn": topic} | parameters) == expected


def test_what_a_topic_answers(aws, name):
    sns = aws.client("sns")
    answer = sns.publish(TopicArn=sns.create_topic(Name=name)["TopicArn"], Message="m")
    assert set(answer) == {"MessageId", "ResponseMetadata"}


def schedule(aws, name: str, expression: str):
    return aws.client("scheduler").create_schedule(
        Name=name, ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"}, Target={
            "Arn": f"arn:aws:lambda:eu-central-1:111122223333:function:{name}",
            "RoleArn": f"arn:aws:iam::111122223333:role/{name}"})


@pytest.mark.parametrize("expression", [
    "cron(0 1 * * * *)", "cron(7 20 * * NOT *)", "cron(INVALID)", "cron(0 dummy ? * MON-FRI *)", "cron(71 8 1 * ? *)",
    "cron()", "rate(10 seconds)", "rate(10 years)", "rate()", "rate(10)", "rate(10 minutess)", "rate(foo minutes)",
    "rate(-10 minutes)"])
def test_a_schedule_that_is_none(aws, name, expression):
    assert refusal(schedule, aws=aws, name=name, expression=expression) == (
        "ValidationException", f"Invalid Schedule Expression {expression}.")


@pytest.mark.parametrize("expression", [
    "cron(0-15/1 8-8 ? * 2,3,4,5,6,7 *)", "cron(30-30 13-13 ? * 2,4,6 *)", "cron(1-31/30 1-1 ? * 1,7 *)",
    "cron(0 18 ? * MON-FRI *)", "cron(*/15 * * * ? *)", "cron(0-59/10 0-23/2 ? * * *)"])
def test_a_schedule(aws, name, expression):
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                                                     "Principal": {"Service": "scheduler.amazonaws.com"}}]}
    aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    assert schedule(aws, name, expression)["ScheduleArn"].endswith(f":schedule/default/{name}")


ROLE = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                                                "Principal": {"AWS": "111122223333"}}]}


def test_a_role_taken_on(aws, name):
    role = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ROLE))["Role"]
    answer = aws.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="session")
    assert set(answer) - {"ResponseMetadata", "PackedPolicySize"} == {"AssumedRoleUser", "Credentials"}
    assert answer["AssumedRoleUser"] == {"Arn": f"arn:aws:sts::111122223333:assumed-role/{name}/session",
                                         "AssumedRoleId": f"{role['RoleId']}:session"}
