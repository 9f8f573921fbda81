"""SQS's answers, as recorded from AWS: what Keywheel's FIFO queues and their messages rest on."""

from __future__ import annotations

import json
import uuid

import pytest
from botocore.exceptions import ClientError

FIFO = {"FifoQueue": "true"}
BAD = "InvalidParameterValue"
TOO_MANY = ("AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10. You have sent 20.")
BAD_ID = ("AWS.SimpleQueueService.InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, "
          "hyphens and underscores. It can be at most 80 letters long.")
NO_DEDUPLICATION = (BAD, "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
                    "provided explicitly")
NO_GROUP = "The request must contain the parameter MessageGroupId."
GONE = ("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
ENCRYPTED_TWICE = ("InvalidAttributeName", "You can use one type of server-side encryption (SSE) at one time. You can "
                   "either enable KMS SSE or SQS SSE.")


def too_long(most: int) -> tuple[str, str]:
    return BAD, f"One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."


EMPTY = ("MissingParameter", "The request must contain the parameter MessageBody.")


def entries(count: int, size: int = 1, **more: str) -> dict:
    return {"Entries": [{"Id": f"n{number}", "MessageBody": "a" * size, **more} for number in range(count)]}


def handles(count: int, **more: object) -> dict:
    return {"Entries": [{"Id": f"n{number}", "ReceiptHandle": "h", **more} for number in range(count)]}


K = {"k": {"DataType": "String", "StringValue": "x"}}  # eight bytes
REFUSALS = {  # what: attributes of the queue, operation, parameters, code and message
    "eleven messages asked for": ({}, "receive_message", {"MaxNumberOfMessages": 11}, (
        BAD, "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.")),
    "a message over 1 MiB": ({}, "send_message", {
        "MessageBody": "a" * 1_048_569, "MessageAttributes": K}, too_long(1_048_576)),
    "a message over the queue's own limit": ({"MaximumMessageSize": "1024"}, "send_message", {
        "MessageBody": "a" * 1017, "MessageAttributes": K}, too_long(1024)),
    "a batch over 1 MiB": ({}, "send_message_batch", {"Entries": [
        {"Id": "a", "MessageBody": "a" * 1_048_568, "MessageAttributes": K}, {"Id": "b", "MessageBody": "a"}]}, (
        "AWS.SimpleQueueService.BatchRequestTooLong",
        "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.")),
    "a delay of one message of a FIFO queue": (FIFO, "send_message", {
        "MessageBody": "a", "MessageGroupId": "g", "MessageDeduplicationId": "d", "DelaySeconds": 2}, (
        BAD, "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid "
        "for this queue type.")),
    "twenty messages in a batch": ({}, "send_message_batch", entries(20), TOO_MANY),
    "twenty deletions in a batch": ({}, "delete_message_batch", handles(20), TOO_MANY),
    "twenty visibilities in a batch": ({}, "change_message_visibility_batch", handles(20, VisibilityTimeout=1),
                                       TOO_MANY),
    "an id of an entry with a colon": ({}, "send_message_batch", {"Entries": [{"Id": "a:b", "MessageBody": "a"}]},
                                       BAD_ID),
    **{f"an id {given!r} of a deletion": ({}, "delete_message_batch", {"Entries": [
        {"Id": given, "ReceiptHandle": "h"}]}, BAD_ID) for given in ("", "testLongId" * 10, "invalid:id")},
    "a batch without deduplication": (FIFO, "send_message_batch", entries(1, MessageGroupId="g"), NO_DEDUPLICATION),
    "a batch without a group": (FIFO, "send_message_batch", entries(1, MessageDeduplicationId="d"), (BAD, NO_GROUP)),
    "a message without deduplication": (FIFO, "send_message", {"MessageBody": "a", "MessageGroupId": "g"},
                                        NO_DEDUPLICATION),
    "a message without a body": ({}, "send_message", {"MessageBody": ""}, EMPTY),
    "a message without a group": (FIFO, "send_message", {"MessageBody": "a", "MessageDeduplicationId": "d"}, (
        "MissingParameter", NO_GROUP)),
    "a standard queue made FIFO": ({}, "set_queue_attributes", {"Attributes": FIFO}, (
        "InvalidAttributeName", "Unknown Attribute FifoQueue.")),
    "a FIFO queue made standard": (FIFO, "set_queue_attributes", {"Attributes": {"FifoQueue": "false"}}, (
        "InvalidAttributeValue", "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not "
        "supported.")),
    "two kinds of encryption": ({"KmsMasterKeyId": "testKeyId"}, "set_queue_attributes", {"Attributes": {
        "SqsManagedSseEnabled": "true", "KmsMasterKeyId": "testKeyId"}}, ENCRYPTED_TWICE),
    "an empty attribute of a message": ({}, "send_message", {"MessageBody": "a", "MessageAttributes": {
        "ErrorDetails": {"StringValue": "", "DataType": "String"}}}, (
        BAD, "Message (user) attribute 'ErrorDetails' must contain a non-empty value of type 'String'.")),
}


@pytest.fixture
def sqs(aws):
    return aws.client("sqs")


def make(sqs, name: str, **attributes: str) -> str:
    suffix = ".fifo" if "FifoQueue" in attributes else ""
    return sqs.create_queue(QueueName=name + suffix, Attributes=attributes)["QueueUrl"]


def refusal(call, **parameters: object) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400 and error["Error"]["Type"] == "Sender"
    return error["Error"]["Code"], error["Error"]["Message"]


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refusal(sqs, name, what):
    attributes, operation, parameters, expected = REFUSALS[what]
    url = make(sqs, name, **attributes)
    assert refusal(getattr(sqs, operation), QueueUrl=url, **parameters) == expected


@pytest.mark.parametrize("operation", ["get_queue_url", "send_message"])
def test_a_queue_that_is_not_there(sqs, name, operation):
    url = make(sqs, name).replace(name, "not-there")
    parameters = {"QueueName": "not-there"} if operation == "get_queue_url" else {"QueueUrl": url, "MessageBody": "a"}
    assert refusal(getattr(sqs, operation), **parameters) == GONE


def test_a_queue_made_again_with_another_setting(sqs, name):
    make(sqs, name, **FIFO, ContentBasedDeduplication="true")
    assert refusal(sqs.create_queue, QueueName=f"{name}.fifo", Attributes=FIFO | {
        "ContentBasedDeduplication": "false"}) == (
        "QueueAlreadyExists",
        "A queue already exists with the same name and a different value for attribute ContentBasedDeduplication")


def test_the_attributes_of_a_fifo_queue(sqs, name):
    url = make(sqs, name, **FIFO, ContentBasedDeduplication="true")
    shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    for given in ("CreatedTimestamp", "LastModifiedTimestamp"):
        assert shown.pop(given).isdecimal()
    assert shown.pop("QueueArn").endswith(f":{name}.fifo")
    assert shown == {
        "ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesDelayed": "0",
        "ApproximateNumberOfMessagesNotVisible": "0", "ContentBasedDeduplication": "true",
        "DeduplicationScope": "queue", "DelaySeconds": "0", "FifoQueue": "true", "FifoThroughputLimit": "perQueue",
        "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true", "VisibilityTimeout": "30"}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"ContentBasedDeduplication": "false"})
    shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ContentBasedDeduplication"])
    assert shown["Attributes"] == {"ContentBasedDeduplication": "false"}


def send(sqs, url: str, body: str, group: str, deduplication: str | None = None) -> dict:
    more = {"MessageDeduplicationId": deduplication} if deduplication else {}
    return sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, **more)


def received(sqs, url: str, **more: object) -> list[dict]:
    answer = sqs.receive_message(QueueUrl=url, **more)
    assert "Messages" not in answer or answer["Messages"], "an empty answer has no list"
    return answer.get("Messages", [])


def take(sqs, url: str) -> list[str]:
    """The bodies of one receipt, deleted."""
    messages = received(sqs, url)
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in messages]


def test_what_a_message_of_a_fifo_queue_shows(sqs, name):
    url = make(sqs, name, **FIFO, ContentBasedDeduplication="true", VisibilityTimeout="0",
               DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    sent = send(sqs, url, "message-body-1", "group-1", "dedup-1")
    del sent["ResponseMetadata"]
    assert set(sent) == {"MD5OfMessageBody", "MessageId", "SequenceNumber"}
    assert sent["MD5OfMessageBody"] == "19c9e282d65f9733bc6b35d50062c7ee" and uuid.UUID(sent["MessageId"])
    for count in ("1", "2"):
        [message] = received(sqs, url, AttributeNames=["All"], WaitTimeSeconds=2)
        assert set(message) == {"Attributes", "Body", "MD5OfBody", "MessageId", "ReceiptHandle"}
        attributes = message["Attributes"]
        for given in ("ApproximateFirstReceiveTimestamp", "SenderId", "SentTimestamp"):
            assert attributes.pop(given)
        assert attributes == {"ApproximateReceiveCount": count, "MessageDeduplicationId": "dedup-1",
                              "MessageGroupId": "group-1", "SequenceNumber": sent["SequenceNumber"]}


@pytest.mark.parametrize("by_content", [True, False])
def test_a_message_sent_twice_arrives_once_even_after_it_was_deleted(sqs, name, by_content):
    url = make(sqs, name, **FIFO, ContentBasedDeduplication=str(by_content).lower())
    given = None if by_content else "dedup1"
    send(sqs, url, '{"foo": "bar"}', "group-1", given)
    assert take(sqs, url) == ['{"foo": "bar"}']
    send(sqs, url, '{"foo": "bar"}', "group-1", given)
    assert take(sqs, url) == []


@pytest.mark.parametrize("by_content", [True, False])
def test_another_group_does_not_make_another_message(sqs, name, by_content):
    url = make(sqs, name, **FIFO, ContentBasedDeduplication=str(by_content).lower())
    for group in ("group-1", "group-2"):
        send(sqs, url, '{"foo": "bar"}', group, None if by_content else "dedup1")
    assert [take(sqs, url), take(sqs, url)] == [['{"foo": "bar"}'], []]


def test_deduplication_by_group(sqs, name):
    url = make(sqs, name, **FIFO, DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    send(sqs, url, "Test1", "group1", "same-dedup")
    assert take(sqs, url) == ["Test1"]
    send(sqs, url, "Test2", "group2", "same-dedup")
    assert take(sqs, url) == ["Test2"]


def test_a_group_that_was_empty_goes_on(sqs, name):
    url = make(sqs, name, **FIFO)
    send(sqs, url, "Message 1", "g1", "1")
    assert [take(sqs, url), take(sqs, url)] == [["Message 1"], []]
    send(sqs, url, "Message 2", "g1", "2")
    assert take(sqs, url) == ["Message 2"]


def test_a_receipt_is_void_once_the_visibility_is_over(aws, sqs, name):
    url = make(sqs, name, **FIFO, ContentBasedDeduplication="true")
    send(sqs, url, "g1-m1", "1")
    [message] = received(sqs, url)
    aws.local("POST", "queues/advance", {"advance_seconds": 31})
    assert refusal(sqs.delete_message, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"]) == (
        BAD, f"Value {message['ReceiptHandle']} for parameter ReceiptHandle is invalid. Reason: The receipt handle has "
        "expired.")


def test_a_batch_is_refused_entry_by_entry(sqs, name):
    url = make(sqs, name, MaximumMessageSize="1024")
    answer = sqs.send_message_batch(QueueUrl=url, Entries=[
        {"Id": "fits", "MessageBody": "a" * 1024}, {"Id": "over", "MessageBody": "a" * 1025}])
    [sent] = answer["Successful"]
    assert (sent["Id"], sent["MD5OfMessageBody"]) == ("fits", "c9a34cfc85d982698c6ac89f76071abd")
    assert answer["Failed"] == [{"Id": "over", "Code": BAD, "SenderFault": True, "Message": (
        "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes.")}]


@pytest.mark.parametrize("place, left", [(0, []), (1, ["foo"]), (2, ["foo", "bar"])])
def test_a_group_waits_for_its_hidden_message(aws, sqs, name, place, left):
    """Of three messages of a group that were received, one is hidden for longer than the others."""
    url = make(sqs, name, **FIFO, ContentBasedDeduplication="true")
    for body in ("foo", "bar", "baz"):
        send(sqs, url, body, "g")
    messages = received(sqs, url, MaxNumberOfMessages=5)
    assert [message["Body"] for message in messages] == ["foo", "bar", "baz"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=messages[place]["ReceiptHandle"], VisibilityTimeout=120)
    aws.local("POST", "queues/advance", {"advance_seconds": 60})
    assert [message["Body"] for message in received(sqs, url, MaxNumberOfMessages=5)] == left


def test_a_receipt_holds_as_long_as_its_visibility_was_extended(aws, sqs, name):
    url = make(sqs, name, **FIFO, ContentBasedDeduplication="true")
    send(sqs, url, "foobar", "g")
    [message] = received(sqs, url)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=120)
    aws.local("POST", "queues/advance", {"advance_seconds": 60})
    assert set(sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])) == {"ResponseMetadata"}


def test_a_queue_for_which_nothing_waits(sqs, name):
    url = make(sqs, name)
    for more in ({}, {"WaitTimeSeconds": 0}, {"WaitTimeSeconds": 1}):
        assert received(sqs, url, **more) == []


def test_a_scope_of_groups_needs_no_limit_by_groups(sqs, name):
    url = make(sqs, name, **FIFO, DeduplicationScope="messageGroup")
    for group in ("g1", "g2"):
        send(sqs, url, "Test", group, "same")
    assert sorted(take(sqs, url) + take(sqs, url)) == ["Test", "Test"]


def test_a_message_of_a_fifo_queue_waits_for_the_delay_of_the_queue(aws, sqs, name):
    url = make(sqs, name, **FIFO, DelaySeconds="60")
    sqs.send_message(QueueUrl=url, MessageBody="message-1", MessageGroupId="g", MessageDeduplicationId="d",
                     DelaySeconds=0)
    assert take(sqs, url) == []
    aws.local("POST", "queues/advance", {"advance_seconds": 61})
    assert take(sqs, url) == ["message-1"]


@pytest.mark.parametrize("attribute, told", [
    ("FifoQueue", "Unknown Attribute FifoQueue."),
    ("ContentBasedDeduplication", "Unknown Attribute ContentBasedDeduplication."),
    ("DeduplicationScope", "You can specify the DeduplicationScope only when FifoQueue is set to true."),
    ("FifoThroughputLimit", "You can specify the FifoThroughputLimit only when FifoQueue is set to true.")])
def test_a_standard_queue_with_an_attribute_of_fifo_queues(sqs, name, attribute, told):
    values = {"DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue", "FifoQueue": "false"}
    assert refusal(sqs.create_queue, QueueName=name, Attributes={attribute: values.get(attribute, "false")}) == (
        "InvalidAttributeName", told)


@pytest.mark.parametrize("given", ["", "a" * 129, "group 123"])
@pytest.mark.parametrize("parameter, attributes", [("MessageGroupId", {}), ("MessageDeduplicationId", FIFO)])
def test_an_id_of_a_message(sqs, name, parameter, attributes, given):
    url, more = make(sqs, name, **attributes), {"MessageGroupId": "g"} if attributes else {}
    assert refusal(sqs.send_message, QueueUrl=url, MessageBody="a", **more, **{parameter: given}) == (
        BAD, f"Value {given} for parameter {parameter} is invalid. Reason: {parameter} can only include alphanumeric "
        "and punctuation characters. 1 to 128 in length.")


def test_a_message_in_a_dead_letter_queue_says_where_it_was(sqs, name):
    dead, source = make(sqs, f"{name}-dead"), make(sqs, name, VisibilityTimeout="0")
    arn, origin = (sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
                   for url in (dead, source))
    sqs.set_queue_attributes(QueueUrl=source, Attributes={
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})})
    sent = sqs.send_message(QueueUrl=source, MessageBody="message-1")
    assert [received(sqs, source)[0]["Body"], received(sqs, source)] == ["message-1", []]
    [letter] = received(sqs, dead, AttributeNames=["All"])
    assert (letter["MessageId"], letter["Attributes"]["ApproximateReceiveCount"]) == (sent["MessageId"], "2")
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == origin
