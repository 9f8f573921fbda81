"""IAM as AWS evaluates it, where MiniStack differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.iam_evaluator import AuthError, EvalResult
from ministack.services import iam, secretsmanager
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS as handlers

from . import denials, encryption

NAMED = "local:named"  # how a request names its secret; Secrets Manager tells of it so
_KEYS = {"Name": "secretsmanager:Name", "KmsKeyId": "secretsmanager:KmsKeyId", "VersionId": "secretsmanager:VersionId",
         "VersionStage": "secretsmanager:VersionStage", "RotationLambdaARN": "secretsmanager:RotationLambdaARN"}
_SSE_KEY = "x-amz-server-side-encryption-aws-kms-key-id"


def of_request(body: bytes) -> dict[str, Any]:
    """The condition keys that a request to Secrets Manager carries."""
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return {}
    if not isinstance(data, dict):
        return {}
    keys = {key: data[member] for member, key in _KEYS.items() if isinstance(data.get(member), str)}
    return keys | {NAMED: data.get("SecretId") or data.get("Name") or ""}


def of_secret(arn: str) -> dict[str, Any]:
    """The condition keys that come from the secret itself: its ARN, its tags and its rotation function."""
    _, secret = secretsmanager._resolve(arn)
    if secret is None:
        return {}
    keys: dict[str, Any] = {"secretsmanager:SecretId": secret["ARN"]}
    if function := secret.get("RotationLambdaARN"):
        keys["secretsmanager:resource/AllowRotationLambdaArn"] = function
    for tag in secret.get("Tags") or []:
        keys |= {f"{prefix}:ResourceTag/{tag['Key']}": tag["Value"] for prefix in ("aws", "secretsmanager")}
    return keys


def _more(action: str, resource: str, context: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """What a request needs beside its own action: service, action, resource and condition keys."""
    if action == "secretsmanager:CreateSecret" and context.get("aws:TagKeys"):
        yield "secretsmanager", "secretsmanager:TagResource", resource, context
    asked = context.get("secretsmanager:KmsKeyId") or context.get(_SSE_KEY)
    for called, key, keys in encryption.needs(action, resource, asked):
        yield "kms", called, key, keys


def _shown(service: str, resource: str, context: dict[str, Any]) -> str:
    """A resource as a denial shows it. Secrets Manager shows what the request named, or nothing."""
    return context.get(NAMED, resource) if service == "secretsmanager" else resource


def _enforcing() -> None:
    enforce = iam_evaluator.enforce

    def enforced(access_key: str, action: str, service: str, region: str, resource_arn: str = "*",
                 service_context: dict[str, Any] | None = None) -> EvalResult | AuthError | None:
        denials.forget()
        context = dict(service_context or {})
        if service == "secretsmanager":
            context |= of_secret(resource_arn)
        denied = enforce(access_key, action, service, region, resource_arn, context)
        if isinstance(denied, EvalResult):
            denials.remember(action, _shown(service, resource_arn, context), denied)
        if denied:
            return denied
        for other, needed, on, keys in _more(action, resource_arn, context):
            denied = enforce(access_key, needed, other, region, on, keys)
            if denied:
                denials.remember(needed, _shown(other, on, keys), denied)
                return denied
        return None

    iam_evaluator.enforce = enforced


def _boundaries() -> None:
    """A template's permissions boundary of a role, which MiniStack drops."""
    create, update = handlers["AWS::IAM::Role"]["create"], handlers["AWS::IAM::Role"]["update"]

    def bounded(name: str, properties: dict) -> None:
        boundary = properties.get("PermissionsBoundary")
        if boundary and iam._lookup_policy(boundary) is None:
            raise ValueError(f"Scope ARN: {boundary} does not exist or is not attachable. "
                             "(Service: Iam, Status Code: 404)")
        if boundary:
            iam._roles[name]["PermissionsBoundary"] = boundary
        else:
            iam._roles[name].pop("PermissionsBoundary", None)

    def created(logical_id: str, properties: dict, *more: Any) -> tuple[str, dict]:
        name, attributes = create(logical_id, properties, *more)
        bounded(name, properties)
        return name, attributes

    def updated(physical_id: str, old: dict, new: dict, *more: Any, **named: Any) -> tuple[str, dict]:
        name, attributes = update(physical_id, old, new, *more, **named)
        bounded(name, new)
        return name, attributes

    handlers["AWS::IAM::Role"] = handlers["AWS::IAM::Role"] | {"create": created, "update": updated}


def install(ministack: Any) -> None:
    """``ministack``: its application module."""
    extract, pin = iam_actions.extract_iam_action, ministack.pin_request_origin
    context_of, of_objects = iam_actions.request_tag_context, iam_actions.s3_service_context

    def action(service: str, *arguments: Any) -> str | None:
        """SendMessage permits SendMessageBatch, and so on: SQS has no actions for batches."""
        found = extract(service, *arguments)
        return found.removesuffix("Batch") if service == "sqs" and found else found

    def origin(source_ip: str, secure_transport: bool) -> None:
        """Policies that ask for TLS hold on AWS; here loopback stands for it."""
        pin(source_ip, True)

    def context(service: str, action: str, body: bytes, params: dict) -> dict:
        found = context_of(service, action, body, params)
        return found | of_request(body) if service == "secretsmanager" else found

    def of_object(action: str, query: dict | None, path: str = "", headers: dict | None = None) -> dict[str, Any]:
        found = of_objects(action, query, path, headers)
        key = (headers or {}).get(_SSE_KEY)
        return found | ({_SSE_KEY: key} if key else {})

    iam_actions.extract_iam_action = action
    iam_actions.request_tag_context, iam_actions.s3_service_context = context, of_object
    ministack.pin_request_origin = origin
    denials.install()
    _enforcing()
    _boundaries()
