"""Resources of a stack that AWS refuses: names, sources of functions, rules, schedules."""

from __future__ import annotations

import pytest
from test_quotas import deployed, refusal

TARGET = {"Arn": "arn:aws:sqs:eu-central-1:111122223333:q"}
SCHEDULE = {"ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": {
    "Arn": "arn:aws:lambda:eu-central-1:111122223333:function:f", "RoleArn": "arn:aws:iam::111122223333:role/r"}}
FUNCTION = {"Runtime": "provided.al2023", "Handler": "bootstrap", "Role": "arn:aws:iam::111122223333:role/r",
            "Code": {"ZipFile": "x"}}
PATTERN = {"source": ["keywheel"]}
TRUST = {"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]}


def without(properties: dict, member: str) -> dict:
    return {key: value for key, value in properties.items() if key != member}


REFUSED = {
    "a queue's name": ("AWS::SQS::Queue", {"QueueName": "q" * 81}, "expected maxLength: 80, actual: 81"),
    "a queue's letters": ("AWS::SQS::Queue", {"QueueName": "a b"}, "keyword [pattern]"),
    "a FIFO queue without the suffix": ("AWS::SQS::Queue", {"QueueName": "a", "FifoQueue": True}, "end with .fifo"),
    "the suffix without a FIFO queue": ("AWS::SQS::Queue", {"QueueName": "a.fifo"}, "end with .fifo"),
    "over twelve hours": ("AWS::SQS::Queue", {"VisibilityTimeout": 43201}, "parameter VisibilityTimeout"),
    "a dead-letter queue of another kind": ("AWS::SQS::Queue", {"RedrivePolicy": {
        "deadLetterTargetArn": TARGET["Arn"] + ".fifo", "maxReceiveCount": 5}}, "must be same type of queue"),
    "a FIFO queue as a target": ("AWS::Events::Rule", {"EventPattern": PATTERN, "Targets": [
        {"Id": "a", "Arn": TARGET["Arn"] + ".fifo"}]}, "Parameter(s) SqsParameters must be specified for target: a."),
    "a principal that is none": ("AWS::Lambda::Permission", {
        "FunctionName": "f", "Action": "lambda:InvokeFunction", "Principal": "events"}, "principal was invalid"),
    "a variable that is Lambda's own": ("AWS::Lambda::Function", FUNCTION | {"Environment": {"Variables": {
        "AWS_REGION": "x", "OWN": "y"}}}, "Reserved keys used in this request: AWS_REGION"),
    "variables of more than 4 KB": ("AWS::Lambda::Function", FUNCTION | {"Environment": {"Variables": {
        "OWN": "y" * 4096}}}, "exceeded the 4KB limit"),
    "a function's name": ("AWS::Lambda::Function", FUNCTION | {"FunctionName": "f" * 65}, "actual: 65"),
    "a role's name": ("AWS::IAM::Role", {"RoleName": "r" * 65, "AssumeRolePolicyDocument": TRUST}, "actual: 65"),
    "a bucket's name": ("AWS::S3::Bucket", {"BucketName": "Capital"}, "keyword [pattern]"),
    "a bucket's length": ("AWS::S3::Bucket", {"BucketName": "b" * 64}, "actual: 64"),
    "a bucket called like an address": ("AWS::S3::Bucket", {"BucketName": "10.0.0.1"}, "keyword [pattern]"),
    "a log of accesses in no bucket": ("AWS::S3::Bucket", {"LoggingConfiguration": {
        "DestinationBucketName": "not-there"}}, "The target bucket for logging does not exist"),
    "a rule's name": ("AWS::Events::Rule", {"Name": "r" * 65, "EventPattern": PATTERN}, "actual: 65"),
    "six targets": ("AWS::Events::Rule", {"EventPattern": PATTERN, "Targets": [
        TARGET | {"Id": str(number)} for number in range(6)]}, "exceeds the maximum number allowed"),
    "two targets of one id": ("AWS::Events::Rule", {"EventPattern": PATTERN, "Targets": [
        TARGET | {"Id": "a"}, TARGET | {"Id": "a"}]}, "have the same Id"),
    "a target's id": ("AWS::Events::Rule", {"EventPattern": PATTERN, "Targets": [TARGET | {"Id": "a b"}]}, (
        "regular expression pattern")),
    "a pattern with a bare text": ("AWS::Events::Rule", {"EventPattern": {"source": "keywheel"}}, (
        "Event pattern is not valid")),
    "a schedule without a window": ("AWS::Scheduler::Schedule", without(SCHEDULE, "FlexibleTimeWindow"), (
        "required key [FlexibleTimeWindow]")),
    "a window that is none": ("AWS::Scheduler::Schedule", SCHEDULE | {"FlexibleTimeWindow": {"Mode": "ON"}}, "[enum]"),
    "a schedule without a time": ("AWS::Scheduler::Schedule", without(SCHEDULE, "ScheduleExpression"), (
        "required key [ScheduleExpression]")),
    "a time that is none": ("AWS::Scheduler::Schedule", SCHEDULE | {"ScheduleExpression": "rate(0 hours)"}, (
        "Invalid Schedule Expression rate(0 hours).")),
    "a schedule without a role": ("AWS::Scheduler::Schedule", SCHEDULE | {"Target": without(
        SCHEDULE["Target"], "RoleArn")}, "required key [RoleArn]"),
}


def reasons(aws, stack: str) -> str:
    events = aws.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return " ".join(event.get("ResourceStatusReason", "") for event in events)


@pytest.mark.parametrize("what", REFUSED)
def test_a_stack_fails_whose_resource_aws_refuses(aws, name, what):
    kind, properties, told = REFUSED[what]
    assert deployed(aws, name, {"One": {"Type": kind, "Properties": properties}})["StackStatus"] != "CREATE_COMPLETE"
    assert told in reasons(aws, name)


def test_what_is_right_is_made(aws, name):
    targets = [TARGET | {"Id": str(number)} for number in range(5)]
    scheduled = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "scheduler.amazonaws.com"}}
    role = {"RoleName": "r", "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [scheduled]}}
    stack = deployed(aws, name, {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{name}.fifo", "FifoQueue": True}},
        "Rule": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": PATTERN, "Targets": targets}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": role},
        "Schedule": {"Type": "AWS::Scheduler::Schedule", "Properties": SCHEDULE, "DependsOn": "Role"},
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}})
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons(aws, name)


def test_a_queue_must_keep_a_message_for_as_long_as_the_function_may_take(aws, name):
    """Or it is handed out again while the first is still at it: two rotations of one credential side by side."""
    told = "Queue visibility timeout: 30 seconds is less than Function timeout: 31 seconds"
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.function(name, "def handle(event): return None", [
        {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}], Timeout=31)
    source = {"FunctionName": name, "EventSourceArn": arn}
    mapped = aws.client("lambda").create_event_source_mapping
    assert refusal(mapped, **source) == ("InvalidParameterValueException", told)
    stack = {"Source": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": source}}
    assert deployed(aws, name, stack)["StackStatus"] != "CREATE_COMPLETE"
    assert told in reasons(aws, name)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "31"})
    assert deployed(aws, f"{name}-2", stack)["StackStatus"] == "CREATE_COMPLETE", reasons(aws, f"{name}-2")
    assert refusal(mapped, **source)[0] == "ResourceConflictException"
