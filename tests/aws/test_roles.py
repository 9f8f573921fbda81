"""What services do in a role's name: what the role does not allow, they do not do, or refuse to be set up for."""

from __future__ import annotations

import json

import pytest
from conftest import ACCOUNT, allow, policy, until
from test_deployment import reasons
from test_quotas import deployed, refusal

READS = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
ECHO = "def handle(event): print('handled', flush=True)"
FAIL = "def handle(event): raise RuntimeError('no')"


def trust(service: str, **more: object) -> dict:
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}} | more]}


@pytest.mark.parametrize("lacking", READS)
def test_lambda_reads_no_queue_that_the_role_may_not_read(aws, name, queue, lacking):
    _, arn = queue
    told = f"The function execution role does not have permissions to call {lacking.removeprefix('sqs:')} on SQS"
    aws.function(name, ECHO, [allow([one for one in READS if one != lacking], arn)])
    source = {"FunctionName": name, "EventSourceArn": arn}
    assert refusal(aws.client("lambda").create_event_source_mapping, **source) == (
        "InvalidParameterValueException", told)
    stack = deployed(aws, name, {"Source": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": source}})
    assert stack["StackStatus"] != "CREATE_COMPLETE" and told in reasons(aws, name)


def test_a_role_that_loses_a_queue_reads_it_no_more(aws, name, queue):
    url, arn = queue
    aws.function(name, ECHO, [allow(READS, arn)])
    aws.client("lambda").create_event_source_mapping(FunctionName=name, EventSourceArn=arn)
    sqs, iam = aws.client("sqs"), aws.client("iam")

    def handled() -> int:
        return sum(call["function"] == name for call in aws.local("GET", "invocations"))

    sqs.send_message(QueueUrl=url, MessageBody="1")
    until(lambda: handled() == 1)
    iam.put_role_policy(RoleName=f"{name}-role", PolicyName="own", PolicyDocument=policy(allow("sqs:SendMessage")))
    sqs.send_message(QueueUrl=url, MessageBody="2")
    waiting = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, VisibilityTimeout=0)["Messages"]
    assert [one["Body"] for one in waiting] == ["2"] and handled() == 1
    iam.put_role_policy(RoleName=f"{name}-role", PolicyName="own", PolicyDocument=policy(allow(READS, arn)))
    until(lambda: handled() == 2)


def test_lambda_writes_the_logs_that_the_role_may_write(aws, name):
    group = f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:/aws/lambda"
    aws.function(name, ECHO, [allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"{group}/{name}:*")])
    aws.function(f"{name}-2", ECHO, [allow("logs:PutLogEvents", f"{group}/{name}-2:*")])
    for function in (name, f"{name}-2"):
        aws.client("lambda").invoke(FunctionName=function, Payload=b"{}")
    logs = aws.client("logs")
    groups = [one["logGroupName"] for one in logs.describe_log_groups(
        logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]]
    assert groups == [f"/aws/lambda/{name}"], "a stream cannot be made without its permission"
    assert any("handled" in event["message"] for event in logs.filter_log_events(logGroupName=groups[0])["events"])


def test_what_failed_goes_where_the_role_may_send_it(aws, name, queue):
    url, arn = queue
    aws.function(name, FAIL)
    put = aws.client("lambda").put_function_event_invoke_config
    config = {"FunctionName": name, "MaximumRetryAttempts": 0,
              "DestinationConfig": {"OnFailure": {"Destination": arn}}}
    assert refusal(put, **config) == (
        "InvalidParameterValueException", "The function execution role does not have permissions to call "
        "SendMessage on SQS")
    aws.client("iam").put_role_policy(RoleName=f"{name}-role", PolicyName="own", PolicyDocument=policy(
        allow("sqs:SendMessage", arn)))
    put(**config)
    aws.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b'{"mine": 1}')
    letter = aws.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"][0]
    assert json.loads(letter["Body"])["requestPayload"] == {"mine": 1}


def test_a_role_that_does_not_trust_lambda(aws, name):
    told = "The role defined for the function cannot be assumed by Lambda."
    role = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(
        trust("scheduler.amazonaws.com")))["Role"]["Arn"]
    for one in (role, f"{role}-that-is-not"):
        assert refusal(aws.client("lambda").create_function, FunctionName=name, Runtime="provided.al2023", Role=one,
                       Handler="bootstrap", Code={"ZipFile": b"x"}) == ("InvalidParameterValueException", told)
    stack = deployed(aws, name, {"One": {"Type": "AWS::Lambda::Function", "Properties": {
        "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": role, "Code": {"ZipFile": "x"}}}})
    assert stack["StackStatus"] != "CREATE_COMPLETE" and told in reasons(aws, name)


@pytest.mark.parametrize(("trusted", "account", "taken"), [
    ("scheduler.amazonaws.com", ACCOUNT, True), ("scheduler.amazonaws.com", "444455556666", False),
    ("lambda.amazonaws.com", ACCOUNT, False)])
def test_a_role_that_scheduler_takes_on(aws, name, trusted, account, taken):
    """The role's own condition is that Scheduler asks for this account."""
    condition = {"StringEquals": {"aws:SourceAccount": account}}
    role = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(
        trust(trusted, Condition=condition)))["Role"]["Arn"]
    target = {"Arn": f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:{name}", "RoleArn": role}
    schedule = {"Name": name, "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": {"Mode": "OFF"}}
    told = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
    if taken:
        aws.client("scheduler").create_schedule(**schedule, Target=target)
    else:
        assert refusal(aws.client("scheduler").create_schedule, **schedule, Target=target) == (
            "ValidationException", told)


@pytest.mark.parametrize("allowed", [True, False])
def test_scheduler_invokes_what_its_role_may_invoke(aws, name, queue, allowed):
    """What the role may not invoke goes to the dead letters, where the role may send."""
    url, arn = queue
    function = aws.function(name, ECHO)
    iam = aws.client("iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(
        trust("scheduler.amazonaws.com")))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(
        allow("sqs:SendMessage", arn), *[allow("lambda:InvokeFunction", function)] * allowed))
    aws.client("scheduler").create_schedule(
        Name=name, ScheduleExpression="at(2020-01-01T00:00:00)", FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": function, "RoleArn": role, "DeadLetterConfig": {"Arn": arn}, "Input": "{}"})

    def came() -> str | None:
        if any(call["function"] == name for call in aws.local("GET", "invocations")):
            return "invoked"
        letters = aws.client("sqs").receive_message(QueueUrl=url, VisibilityTimeout=0).get("Messages")
        return "dead letter" if letters else None

    assert until(came) == ("invoked" if allowed else "dead letter")


def test_lambda_joins_no_vpc_that_the_role_may_not_join(aws, name):
    told = "The provided execution role does not have permissions to call CreateNetworkInterface on EC2"
    role = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(
        trust("lambda.amazonaws.com")))["Role"]["Arn"]
    function = {"Runtime": "provided.al2023", "Handler": "bootstrap", "Role": role, "Code": {"ZipFile": "x"},
                "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}
    stack = deployed(aws, name, {"One": {"Type": "AWS::Lambda::Function", "Properties": function}})
    assert stack["StackStatus"] != "CREATE_COMPLETE" and told in reasons(aws, name)
    aws.client("iam").put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(allow("ec2:*")))
    stack = deployed(aws, f"{name}-2", {"One": {"Type": "AWS::Lambda::Function", "Properties": function}})
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons(aws, f"{name}-2")


def test_a_stacks_role_has_its_boundary_and_its_path(aws, name):
    iam = aws.client("iam")
    boundary = iam.create_policy(PolicyName=name, PolicyDocument=policy(allow("s3:*")))["Policy"]["Arn"]
    role = {"RoleName": name, "Path": "/a/b/", "AssumeRolePolicyDocument": trust("lambda.amazonaws.com")}
    stack = deployed(aws, name, {"Role": {"Type": "AWS::IAM::Role", "Properties": role | {
        "PermissionsBoundary": boundary}}})
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons(aws, name)
    made = iam.get_role(RoleName=name)["Role"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/a/b/{name}"
    assert made["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    missing = deployed(aws, f"{name}-2", {"Role": {"Type": "AWS::IAM::Role", "Properties": role | {
        "RoleName": f"{name}-2", "PermissionsBoundary": f"{boundary}-that-is-not"}}})
    assert missing["StackStatus"] != "CREATE_COMPLETE"
    assert "does not exist or is not attachable" in reasons(aws, f"{name}-2")
