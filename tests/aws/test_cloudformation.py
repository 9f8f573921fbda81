"""Stacks with the resources MiniStack lacks."""

from __future__ import annotations

import json

from conftest import until

FUNCTION = "def handle(event):\n    print(event['Step'], flush=True)\n"


def test_a_secret_with_rotation_and_policy_deploys_and_goes(aws, name):
    arn = aws.function(name, FUNCTION)
    permission = {"FunctionName": name, "Action": "lambda:InvokeFunction", "Principal": "secretsmanager.amazonaws.com"}
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "secretsmanager:DeleteSecret", "Resource": "*"}]}
    template = {
        "Resources": {
            "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": name, "SecretString": "a"}},
            "Permission": {"Type": "AWS::Lambda::Permission", "Properties": permission},
            "Schedule": {"Type": "AWS::SecretsManager::RotationSchedule", "DependsOn": "Permission", "Properties": {
                "SecretId": {"Ref": "Secret"}, "RotationLambdaARN": arn, "RotateImmediatelyOnUpdate": False,
                "RotationRules": {"AutomaticallyAfterDays": 30}}},
            "Policy": {"Type": "AWS::SecretsManager::ResourcePolicy", "Properties": {
                "SecretId": {"Ref": "Secret"}, "ResourcePolicy": policy}}},
        "Outputs": {"Secret": {"Value": {"Ref": "Secret"}}}}
    stacks, sm = aws.client("cloudformation"), aws.client("secretsmanager")
    stacks.create_stack(StackName=name, TemplateBody=json.dumps(template))
    until(lambda: stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"].endswith("_COMPLETE"))
    stack = stacks.describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    shown = sm.describe_secret(SecretId=name)
    assert stack["Outputs"][0]["OutputValue"] == shown["ARN"]
    assert shown["RotationEnabled"] and shown["RotationRules"] == {"AutomaticallyAfterDays": 30}
    assert json.loads(sm.get_resource_policy(SecretId=name)["ResourcePolicy"]) == policy
    stacks.delete_stack(StackName=name)
    until(lambda: not [s for s in sm.list_secrets()["SecretList"] if s["Name"] == name])
