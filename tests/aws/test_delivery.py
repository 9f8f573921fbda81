"""Queues and events reach functions as AWS delivers them; faults strike; everything sent is on record."""

from __future__ import annotations

import json
import time
import uuid
from urllib.error import HTTPError

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from conftest import allow, policy, until

CONSUMER = """
import json, os, time

def handle(event):
    for record in event["Records"]:
        job = json.loads(record["body"])
        print("job", job["name"], record["attributes"]["ApproximateReceiveCount"], flush=True)
        time.sleep(job.get("seconds", 0))
        if "report" in job:
            return {"batchItemFailures": job["report"]}
        if job.get("fail"):
            return {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    return {"batchItemFailures": []}
"""
MAY_RECEIVE = [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]


@pytest.fixture
def queue(aws, name):
    """A FIFO queue with a dead-letter queue and a consumer, one message a batch."""
    sqs = aws.client("sqs")
    dead = sqs.create_queue(QueueName=f"{name}-dead.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    url = sqs.create_queue(QueueName=f"{name}.fifo", Attributes={
        "FifoQueue": "true", "VisibilityTimeout": "30",
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})})["QueueUrl"]
    source = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.function(name, CONSUMER, MAY_RECEIVE)
    aws.client("lambda").create_event_source_mapping(
        FunctionName=name, EventSourceArn=source, BatchSize=1, FunctionResponseTypes=["ReportBatchItemFailures"])
    return url, dead


def send(aws, url: str, group: str, **job: object) -> None:
    job = {"name": uuid.uuid4().hex} | job
    aws.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(job), MessageGroupId=group,
                                   MessageDeduplicationId=uuid.uuid4().hex)


def calls(aws, name: str) -> list[dict]:
    return [call for call in aws.local("GET", "invocations") if call["function"] == name]


def done(aws, name: str, count: int) -> list[dict]:
    return until(lambda: len([c for c in calls(aws, name) if c["ended"]]) >= count) and calls(aws, name)


def test_groups_run_side_by_side_and_a_group_in_order(aws, name, queue):
    for group in ("a", "b"):
        for number in (1, 2):
            send(aws, queue[0], group, name=f"{group}{number}", seconds=1)
    ran = done(aws, name, 4)
    spans = {json.loads(call["event"]["Records"][0]["body"])["name"]: (call["started"], call["ended"]) for call in ran}
    assert spans["a1"][1] <= spans["a2"][0] and spans["b1"][1] <= spans["b2"][0]
    assert spans["b1"][0] < spans["a1"][1], "two groups at once"


REPORTS = {
    "an empty id": [{"itemIdentifier": ""}], "null": [{"itemIdentifier": None}], "no id": [{}], "a bare id": ["x"],
    "another's id": [{"itemIdentifier": "00000000-0000-0000-0000-000000000000"}], "no list": {"itemIdentifier": "x"}}


@pytest.mark.parametrize("what", REPORTS)
def test_a_report_that_lambda_cannot_read_fails_the_whole_batch(aws, name, queue, what):
    """As Lambda's guide lists them: a message called done would be lost."""
    url, dead = queue
    aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    send(aws, url, "a", name="reported", report=REPORTS[what])
    done(aws, name, 2)
    [letter] = until(lambda: aws.client("sqs").receive_message(QueueUrl=dead).get("Messages"))
    assert json.loads(letter["Body"])["name"] == "reported"


def test_a_failed_message_waits_out_its_visibility_then_dies(aws, name, queue):
    url, dead = queue
    sqs = aws.client("sqs")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    send(aws, url, "a", name="broken", fail=True)
    done(aws, name, 2)
    first, second = calls(aws, name)
    assert second["started"] - first["started"] >= 1
    letter = until(lambda: sqs.receive_message(QueueUrl=dead).get("Messages"))
    assert json.loads(letter[0]["Body"])["name"] == "broken"


def test_time_passes_for_messages_that_wait_when_it_is_told_to(aws, name, queue):
    url, _ = queue
    send(aws, url, "a", fail=True)
    done(aws, name, 1)
    until(lambda: not aws.local("GET", "idle")["busy"])
    assert aws.local("POST", "queues/advance", {"advance_seconds": 10})["visible"][url] == 0, "20 s are left"
    assert aws.local("POST", "queues/advance", {"advance_seconds": 21})["visible"][url] == 1
    assert len(done(aws, name, 2)) == 2


def test_a_visibility_the_consumer_set_is_kept(aws, name, queue):
    """``Retry-After``: the message comes back when its consumer said."""
    url, _ = queue
    send(aws, url, "a", name="slow", fail=True, seconds=1)
    record = until(lambda: calls(aws, name))[0]["event"]["Records"][0]
    aws.client("sqs").change_message_visibility(
        QueueUrl=url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=3)
    first, second, *_ = done(aws, name, 2)
    assert 2.5 < second["started"] - first["started"] < 10


def test_a_duplicate_within_the_window_is_dropped(aws, name, queue):
    for _ in range(2):
        aws.client("sqs").send_message(QueueUrl=queue[0], MessageBody='{"name": "once"}', MessageGroupId="a",
                                       MessageDeduplicationId="the-same")
    send(aws, queue[0], "a", name="last")
    done(aws, name, 2)
    assert len(calls(aws, name)) == 2


def test_permission_to_send_is_permission_to_send_a_batch(aws, name):
    url = aws.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    aws.function(name, """
import boto3

def handle(event):
    boto3.client("sqs").send_message_batch(QueueUrl=event["url"], Entries=[{"Id": "1", "MessageBody": "x"}])
""", [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}])
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps({"url": url}).encode())
    assert "FunctionError" not in answer, answer["Payload"].read()


def let_send(aws, url: str, arn: str, rule: str) -> None:
    """A queue's policy that lets EventBridge send what a rule matched."""
    aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(allow(
        "sqs:SendMessage", arn, Principal={"Service": "events.amazonaws.com"},
        Condition={"ArnEquals": {"aws:SourceArn": rule}}))})


def test_an_event_reaches_a_function_with_permission_else_the_dead_letter_queue(aws, name):
    events, sqs = aws.client("events"), aws.client("sqs")
    arn = aws.function(name, "def handle(event):\n    return event['detail']\n")
    dead = sqs.create_queue(QueueName=name)["QueueUrl"]
    dead_arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.create_event_bus(Name=name)
    rule = events.put_rule(Name=name, EventBusName=name, EventPattern='{"source": ["keywheel"]}')["RuleArn"]
    events.put_targets(Rule=name, EventBusName=name,
                       Targets=[{"Id": "f", "Arn": arn, "DeadLetterConfig": {"Arn": dead_arn}}])
    let_send(aws, dead, dead_arn, rule)
    entry = {"Source": "keywheel", "DetailType": "t", "Detail": '{"n": 1}', "EventBusName": name}
    events.put_events(Entries=[entry])
    assert until(lambda: sqs.receive_message(QueueUrl=dead).get("Messages"))
    aws.client("lambda").add_permission(FunctionName=name, StatementId="bus", Action="lambda:InvokeFunction",
                                        Principal="events.amazonaws.com", SourceArn=rule)
    events.put_events(Entries=[entry])
    assert done(aws, name, 1)[0]["event"]["detail"] == {"n": 1}


def test_an_event_reaches_a_queue_whose_policy_lets_it_else_the_dead_letter_queue(aws, name):
    events, sqs = aws.client("events"), aws.client("sqs")
    urls = {end: sqs.create_queue(QueueName=f"{name}-{end}")["QueueUrl"] for end in ("queue", "dead")}
    arns = {end: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            for end, url in urls.items()}
    events.create_event_bus(Name=name)
    pattern = '{"source": ["keywheel"], "detail-type": [{"prefix": "keywheel.key."}]}'
    rule = events.put_rule(Name=name, EventBusName=name, EventPattern=pattern)["RuleArn"]
    events.put_targets(Rule=name, EventBusName=name, Targets=[
        {"Id": "q", "Arn": arns["queue"], "DeadLetterConfig": {"Arn": arns["dead"]}}])
    let_send(aws, urls["dead"], arns["dead"], rule)
    kinds = "keywheel.key.minted", "keywheel.sweep.continued"
    entries = [{"Source": "keywheel", "DetailType": kind, "Detail": '{"n": 1}', "EventBusName": name} for kind in kinds]
    events.put_events(Entries=entries)
    assert until(lambda: sqs.receive_message(QueueUrl=urls["dead"]).get("Messages"))
    let_send(aws, urls["queue"], arns["queue"], rule)
    events.put_events(Entries=entries)
    [message] = until(lambda: sqs.receive_message(QueueUrl=urls["queue"], MaxNumberOfMessages=10).get("Messages"))
    body = json.loads(message["Body"])
    assert (body["detail-type"], body["source"], body["detail"]) == ("keywheel.key.minted", "keywheel", {"n": 1})
    assert not sqs.receive_message(QueueUrl=urls["queue"]).get("Messages")


@pytest.fixture
def faulty(aws):
    yield lambda **rule: aws.local("POST", "faults", {"callers": "all"} | rule)
    aws.local("DELETE", "faults")


def test_an_answer_can_be_lost_after_the_work_was_done(aws, name, faulty):
    sm = aws.client("secretsmanager")
    faulty(kind="lost_answer", service="secretsmanager", operation="CreateSecret", count=1)
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        sm.create_secret(Name=name, SecretString="a")
    assert sm.get_secret_value(SecretId=name)["SecretString"] == "a"


@pytest.mark.parametrize(("kind", "code"), [("error", "InternalServiceError"), ("throttle", "ThrottlingException")])
def test_a_call_can_fail_before_the_work(aws, name, faulty, kind, code):
    sm = aws.client("secretsmanager")
    faulty(kind=kind, operation="CreateSecret", count=1)
    with pytest.raises(ClientError, match=code):
        sm.create_secret(Name=name, SecretString="a")
    sm.create_secret(Name=name, SecretString="a")
    assert aws.local("GET", "faults")[0]["fired"] == 1


def test_an_error_can_be_one_that_stays(aws, name, faulty):
    sm = aws.client("secretsmanager")
    sm.create_secret(Name=name)
    faulty(kind="error", operation="PutSecretValue", count=1, code="EncryptionFailure", message="The key is disabled.")
    with pytest.raises(ClientError, match="The key is disabled") as told:
        sm.put_secret_value(SecretId=name, SecretString="a")
    assert told.value.response["Error"]["Code"] == "EncryptionFailure"
    assert told.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    sm.put_secret_value(SecretId=name, SecretString="a")


@pytest.mark.parametrize("kind", ["cut", "error", "throttle"])
def test_s3_and_sts_fail_in_their_own_words(aws, name, faulty, kind):
    s3, sts = aws.client("s3"), aws.client("sts")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    faulty(kind=kind, service="s3", operation="PUT", count=1)
    faulty(kind=kind, service="sts", operation="GetCallerIdentity", count=1)
    code = {"error": "InternalError|InternalServiceError", "throttle": "SlowDown|ThrottlingException"}.get(kind)
    for call in (lambda: s3.put_object(Bucket=name, Key="a", Body=b"1"), sts.get_caller_identity):
        with pytest.raises(ClientError if code else ConnectionClosedError, match=code):
            call()
    assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 0, "nothing was done"
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    assert sts.get_caller_identity()["Account"] == aws.ready["account"]


def test_an_answer_can_come_late_or_not_be_waited_for(aws, name, faulty):
    impatient = Config(read_timeout=1, retries={"total_max_attempts": 1})
    sm = aws.client("secretsmanager")
    faulty(kind="stall", service="secretsmanager", operation="CreateSecret", seconds=30, count=1)
    with pytest.raises(ReadTimeoutError):
        aws.client("secretsmanager", config=impatient).create_secret(Name=name, SecretString="a")
    assert sm.get_secret_value(SecretId=name)["SecretString"] == "a", "the work was done"
    faulty(kind="stall", operation="GetSecretValue", seconds=0.1, count=1)
    assert sm.get_secret_value(SecretId=name)["SecretString"] == "a"
    assert [fault["fired"] for fault in aws.local("GET", "faults")] == [1, 1]


@pytest.mark.parametrize("wrong", [
    {"kind": "stall"}, {"kind": "cut", "seconds": 1}, {"kind": "throttle", "code": "No"},
    {"kind": "error", "service": "x"},
])
def test_a_fault_that_cannot_be_meant_is_refused(aws, wrong):
    with pytest.raises(HTTPError, match="400"):
        aws.local("POST", "faults", wrong)


def test_faults_spare_the_tests_own_calls_unless_told(aws, name):
    aws.local("POST", "faults", {"kind": "error"})
    try:
        aws.client("secretsmanager").create_secret(Name=name)
    finally:
        aws.local("DELETE", "faults")


def test_what_was_sent_and_printed_is_on_record(aws, name, queue):
    send(aws, queue[0], "a", name="visible")
    done(aws, name, 1)
    sent = [entry for entry in aws.local("GET", "sent") if "visible" in json.dumps(entry)]
    assert [entry["operation"] for entry in sent] == ["SendMessage"]
    assert until(lambda: "job visible 1" in aws.local("GET", "logs").get(name, []))


def test_a_killed_function_is_a_crash_and_the_message_comes_back(aws, name, queue):
    aws.client("sqs").set_queue_attributes(QueueUrl=queue[0], Attributes={"VisibilityTimeout": "2"})
    send(aws, queue[0], "a", name="long", seconds=15)
    until(lambda: "job long 1" in aws.local("GET", "logs").get(name, []))
    started = time.time()
    assert aws.local("POST", "functions/kill", {"function": name}) == {"killed": 1}
    assert until(lambda: calls(aws, name)[0]["error"])["errorType"] == "Runtime.ExitError"
    until(lambda: len(calls(aws, name)) == 2)
    assert time.time() - started < 15
    aws.local("POST", "functions/kill", {"function": name})


LARGE = """
import os

HELD = b"x" * 600_000_000  # takes the kernel its time to take away

def handle(event):
    return os.getpid()
"""


def test_a_killed_function_is_gone_and_the_next_call_has_a_new_one(aws, name):
    aws.function(name, LARGE)

    def call() -> int:
        answer = aws.client("lambda").invoke(FunctionName=name)
        told = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, told
        return told

    pids = set()
    for _ in range(3):
        pids.add(call())
        aws.local("POST", "functions/kill", {"function": name})
    assert len(pids) == 3
