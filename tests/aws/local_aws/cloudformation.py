"""CloudFormation resources MiniStack lacks, and a secret whose Ref is its ARN."""

from __future__ import annotations

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS as handlers

from . import rotation, secrets_manager
from . import secret_rules as rules
from .secret_rules import Refused


def _secret_create(logical_id: str, props: dict, stack: str) -> tuple[str, dict]:
    name = props.get("Name") or provisioners._physical_name(stack, logical_id)
    if name in secretsmanager._secrets:
        raise ValueError(f"{name} already exists")
    secret = secrets_manager.new_secret(
        name, Description=props.get("Description", ""), Tags=list(props.get("Tags", [])),
        KmsKeyId=props.get("KmsKeyId"))
    if props.get("SecretString") or props.get("GenerateSecretString"):
        rules.put(secret, rules.new_token(), provisioners._sm_secret_string(props), None, None)
    return secret["ARN"], {"Id": secret["ARN"]}


def _secret_update(arn: str, old: dict, new: dict, stack: str, logical_id: str | None = None) -> tuple[str, dict]:
    name, _ = secretsmanager._resolve(arn)
    result, attributes = provisioners._sm_secret_update(name, old, new, stack, logical_id)
    return (arn if result == name else result), attributes


def _secret_delete(arn: str, props: dict) -> None:
    name, secret = secretsmanager._resolve(arn)
    if secret is not None:
        secretsmanager._purge_secret(name, secret)


def _schedule_create(logical_id: str, props: dict, stack: str) -> tuple[str, dict]:
    secret = secrets_manager.find(props["SecretId"])
    try:
        rotation.rotate(secret, rules.new_token(), {
            "RotationLambdaARN": props.get("RotationLambdaARN"),
            "RotationRules": {key: int(value) if key == "AutomaticallyAfterDays" else value
                              for key, value in props.get("RotationRules", {}).items()},
            "RotateImmediately": str(props.get("RotateImmediatelyOnUpdate", True)).lower() == "true"})
    except Refused as refused:
        raise ValueError(f"{refused.code}: {refused.message}") from refused
    return secret["ARN"], {"Id": secret["ARN"]}


def _schedule_update(arn: str, old: dict, new: dict, stack: str) -> tuple[str, dict]:
    return _schedule_create("", new, stack)


def _schedule_delete(arn: str, props: dict) -> None:
    _, secret = secretsmanager._resolve(arn)
    if secret is not None:
        rotation.cancel(secret)


def _policy_create(logical_id: str, props: dict, stack: str) -> tuple[str, dict]:
    secret = secrets_manager.find(props["SecretId"])
    policy = provisioners.json.dumps(props["ResourcePolicy"])
    secretsmanager._put_resource_policy({"SecretId": secret["ARN"], "ResourcePolicy": policy})
    return secret["ARN"], {"Id": secret["ARN"]}


def _policy_update(arn: str, old: dict, new: dict, stack: str) -> tuple[str, dict]:
    return _policy_create("", new, stack)


def _policy_delete(arn: str, props: dict) -> None:
    secretsmanager._delete_resource_policy({"SecretId": arn})


def install() -> None:
    handlers["AWS::SecretsManager::Secret"] = {
        "create": _secret_create, "update": _secret_update, "update_with_logical_id": True, "delete": _secret_delete}
    handlers["AWS::SecretsManager::RotationSchedule"] = {
        "create": _schedule_create, "update": _schedule_update, "delete": _schedule_delete}
    handlers["AWS::SecretsManager::ResourcePolicy"] = {
        "create": _policy_create, "update": _policy_update, "delete": _policy_delete}
