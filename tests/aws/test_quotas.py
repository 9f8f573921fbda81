"""What an account may have of AWS: Lambda's concurrency, Secrets Manager's writes in a second, SQS's policies."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from conftest import until


def refusal(call, **arguments) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def policy(*resources: str, actions: str | list[str] = "sqs:SendMessage") -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": actions,
        "Resource": resources[0] if len(resources) == 1 else list(resources)}]})


@pytest.fixture
def queues(aws, name) -> list[tuple[str, str]]:
    """Two queues: URL and ARN."""
    sqs = aws.client("sqs")
    urls = [sqs.create_queue(QueueName=f"{name}-{number}")["QueueUrl"] for number in (1, 2)]
    return [(url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])
            for url in urls]


def test_a_queue_policy_names_one_resource_in_each_statement(aws, name, queues):
    sqs, (url, arn), (_, other) = aws.client("sqs"), *queues
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(arn)})
    refused = "InvalidAttributeValue", "Invalid value for the parameter Policy."
    assert refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes={"Policy": policy(arn, other)}) == refused
    assert refusal(sqs.create_queue, QueueName=f"{name}-3", Attributes={"Policy": policy(arn, other)}) == refused
    for broken in ("no JSON", "{}", policy(arn, actions=[]), policy(arn, actions="s3:GetObject"),
                   policy(arn).replace("events.amazonaws.com", "events"), policy(arn).replace(
                       '"Effect"', '"Condition": {"ArnEqual": {"aws:SourceArn": "x"}}, "Effect"')):
        assert refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes={"Policy": broken}) == refused
    code, message = refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes={
        "Policy": policy(arn, actions=[f"sqs:Action{number}" for number in range(8)])})
    assert code == "OverLimit" and "8 actions were found" in message


def deployed(aws, name: str, resources: dict) -> dict:
    stacks = aws.client("cloudformation")
    stacks.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}),
                        Capabilities=["CAPABILITY_NAMED_IAM"])
    until(lambda: not stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"].endswith("_IN_PROGRESS"))
    return stacks.describe_stacks(StackName=name)["Stacks"][0]


def test_a_stack_with_two_queues_in_one_statement_fails(aws, name):
    both = [{"Fn::GetAtt": [queue, "Arn"]} for queue in ("First", "Second")]

    def stack(resource: object) -> dict:
        document = json.loads(policy("x"))
        document["Statement"][0]["Resource"] = resource
        return {"First": {"Type": "AWS::SQS::Queue"}, "Second": {"Type": "AWS::SQS::Queue"},
                "Policy": {"Type": "AWS::SQS::QueuePolicy", "Properties": {
                    "Queues": [{"Ref": "First"}], "PolicyDocument": document}}}

    assert deployed(aws, name, stack(both[0]))["StackStatus"] == "CREATE_COMPLETE"
    assert "ROLLBACK" in deployed(aws, f"{name}-both", stack(both))["StackStatus"]


def test_a_new_account_has_no_concurrency_to_reserve(aws, name):
    aws.function(name, "def handle(event):\n    pass\n")
    functions = aws.client("lambda")
    code, message = refusal(functions.put_function_concurrency, FunctionName=name, ReservedConcurrentExecutions=1)
    assert code == "InvalidParameterValueException"
    assert message == ("Specified ReservedConcurrentExecutions for function decreases account's "
                       "UnreservedConcurrentExecution below its minimum value of [10].")
    aws.local("POST", "quotas", {"concurrent_executions": 1000})
    try:
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=900)
        assert "below its minimum value of [100]" in refusal(
            functions.put_function_concurrency, FunctionName=name, ReservedConcurrentExecutions=901)[1]
        functions.delete_function_concurrency(FunctionName=name)
    finally:
        aws.local("POST", "quotas", {"concurrent_executions": 10})


def test_a_stack_that_reserves_too_much_fails(aws, name):
    function = {"Type": "AWS::Lambda::Function", "Properties": {
        "Runtime": "provided.al2023", "Handler": "bootstrap", "ReservedConcurrentExecutions": 5,
        "Role": "arn:aws:iam::111122223333:role/r", "Code": {"ZipFile": "x"}}}
    assert "ROLLBACK" in deployed(aws, name, {"Function": function})["StackStatus"]


def test_puts_and_moved_labels_share_fifty_writes_a_second(aws, name):
    manager = aws.client("secretsmanager")
    manager.create_secret(Name=name, SecretString="a")
    current = manager.describe_secret(SecretId=name)["VersionIdsToStages"]
    version = next(iter(current))

    def write(number: int) -> str | None:
        try:
            if number % 2:
                manager.put_secret_value(SecretId=name, SecretString="a", ClientRequestToken=version)
            else:
                manager.update_secret_version_stage(SecretId=name, VersionStage="mine", MoveToVersionId=version)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return None

    aws.local("POST", "quotas", {"writes_per_second": 5})
    try:
        with ThreadPoolExecutor(12) as pool:
            refused = [code for code in pool.map(write, range(60)) if code]
        assert refused and set(refused) == {"ThrottlingException"}
        assert manager.describe_secret(SecretId=name)["Name"] == name  # reads have a quota of their own
        until(lambda: write(0) is None)
    finally:
        assert aws.local("POST", "quotas", {"writes_per_second": 50})["writes_per_second"] == 50
