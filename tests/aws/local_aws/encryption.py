"""Customer managed keys: which key protects a resource, and what of KMS a request then needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ministack import app as ministack
from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext
from ministack.core.responses import get_account_id, get_region
from ministack.services import kms, s3, secretsmanager, sns, sqs

# What a request asks of KMS in the caller's name.
_WRITE, _READ = ("kms:GenerateDataKey", "kms:Decrypt"), ("kms:Decrypt",)
NEEDS = {
    "secretsmanager:CreateSecret": _WRITE, "secretsmanager:PutSecretValue": _WRITE,
    "secretsmanager:UpdateSecret": _WRITE, "secretsmanager:GetSecretValue": _READ,
    "sqs:SendMessage": _WRITE, "sqs:ReceiveMessage": _READ, "sns:Publish": _WRITE,
    "s3:PutObject": _WRITE[:1], "s3:GetObject": _READ, "s3:GetObjectVersion": _READ,
}


def key_arn(named: str | None) -> str | None:
    """The ARN of a customer managed key by whatever names it; ``None``: a key of AWS's own, or none."""
    if not named or "alias/aws/" in named:
        return None
    if record := kms._resolve_key(named):
        return record["Arn"]
    return named if named.startswith("arn:") else f"arn:aws:kms:{get_region()}:{get_account_id()}:key/{named}"


def _of_queue(arn: str) -> str | None:
    queue = sqs._queue_by_arn(arn)
    return queue and queue["attributes"].get("KmsMasterKeyId")


def _of_bucket(name: str) -> tuple[str | None, bool]:
    """The key by default, and whether the bucket has a key of its own for all its objects."""
    text = str(s3._bucket_encryption.get(name) or "")
    found = re.search(r"<KMSMasterKeyID>(.*?)</KMSMasterKeyID>", text)
    return found and found[1], "<BucketKeyEnabled>true" in text


def _protected(service: str, resource: str, asked: str | None) -> tuple[str | None, dict[str, str]]:
    """The key as the resource names it, and the encryption context that the service gives KMS."""
    if service == "secretsmanager":
        _, secret = secretsmanager._resolve(resource)
        return asked or (secret or {}).get("KmsKeyId"), {"SecretARN": resource}
    if service == "sqs":
        return _of_queue(resource), {"aws:sqs:arn": resource}
    if service == "sns":
        topic = sns._topics.get(resource) or {}
        return (topic.get("attributes") or {}).get("KmsMasterKeyId"), {"aws:sns:topicArn": resource}
    if service == "s3":
        bucket = resource.removeprefix("arn:aws:s3:::").partition("/")[0]
        key, of_bucket = _of_bucket(bucket)
        return asked or key, {"aws:s3:arn": f"arn:aws:s3:::{bucket}" if of_bucket else resource}
    return None, {}


def lets(key: str | None, service: str, actions: Iterable[str], **keys: str) -> bool:
    """Whether the policy of a key (if it is a customer's) lets a service use it by itself, in nobody's name."""
    arn = key_arn(key)
    if arn is None or not ministack.AUTH:
        return True
    record = kms._resolve_key(arn)
    return record is not None and all(iam_evaluator.evaluate_resource_policy(record.get("Policy"), EvalContext(
        principal_arn="*", principal_type="Service", principal_account="", action=action, resource_arn=arn,
        region=get_region(), service_context={"aws:sourceaccount": get_account_id(), **keys}), service=service,
    ).decision == "Allow" for action in actions)


def queue_lets(arn: str, service: str, source: str) -> bool:
    """Whether a service may send to a queue as far as the queue's key is concerned."""
    return lets(_of_queue(arn), service, _WRITE, **{"aws:sourcearn": source})


def log_group_fault(properties: dict) -> str | None:
    """Why CloudWatch Logs does not take a key for a log group."""
    arn = f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{properties.get('LogGroupName', '')}"
    allowed = lets(properties.get("KmsKeyId"), f"logs.{get_region()}.amazonaws.com", _WRITE,
                   **{"kms:encryptioncontext:aws:logs:arn": arn})
    return None if allowed else (f"The specified KMS key does not exist or is not allowed to be used with Arn '{arn}' "
                                 "(Service: CloudWatchLogs, Status Code: 400)")


def needs(action: str, resource: str, asked: str | None = None) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Action, key and condition keys of each call of KMS that a request leads to. ``asked``: the key that it names."""
    service = action.partition(":")[0]
    if action not in NEEDS:
        return
    named, context = _protected(service, resource, asked)
    key = key_arn(named)
    if key is None:
        return
    keys = {"kms:viaservice": f"{service}.{get_region()}.amazonaws.com", "kms:calleraccount": get_account_id(),
            **{f"kms:encryptioncontext:{name}".lower(): value for name, value in context.items()}}
    for called in NEEDS[action]:
        yield called, key, keys
