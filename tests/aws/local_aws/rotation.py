"""RotateSecret: the function's four steps, called as Secrets Manager calls them."""

from __future__ import annotations

import logging
import threading
import time
import uuid

from ministack.core.lambda_runtime import _account_region_from_function_config
from ministack.core.responses import _request_account_id, _request_region

from . import functions
from . import secret_rules as rules
from .secret_rules import Refused

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
log = logging.getLogger("local_aws.rotation")
_running: dict[str, str] = {}  # secret ARN -> the token being worked on
_lock = threading.Lock()


def _check_function(secret: dict, arn: str | None) -> str:
    if not arn:
        raise Refused("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
    if functions.find(arn) is None or not functions.may_invoke(
            arn, "secretsmanager.amazonaws.com", source_arn=secret["ARN"]):
        raise Refused("AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function. Ensure "
                      "that the function policy grants access to the principal secretsmanager.amazonaws.com.")
    return arn


def rotate(secret: dict, token: str, data: dict) -> dict:
    """Store the configuration, then start a rotation; the steps go on after the answer."""
    arn = _check_function(secret, data.get("RotationLambdaARN") or secret.get("RotationLambdaARN"))
    settings = data.get("RotationRules") or secret.get("RotationRules")
    named = {"ARN": secret["ARN"], "Name": secret["Name"]}
    pending = rules.holder(secret["Versions"], rules.PENDING)
    current = rules.holder(secret["Versions"], rules.CURRENT)
    if pending is not None and pending not in (current, token):
        retry(secret)  # "That rotation will be reattempted."
        raise Refused("InvalidRequestException",
                      "A previous rotation isn't complete. That rotation will be reattempted.")
    secret.update(RotationLambdaARN=arn, RotationRules=settings, RotationEnabled=True)
    if days := (settings or {}).get("AutomaticallyAfterDays"):
        secret["NextRotationDate"] = time.time() + days * 86400
    if data.get("RotateImmediately", True) is False:
        _start(secret, token, ("testSecret",), trial=True)
        return named
    if token == pending:
        retry(secret)
    elif token not in secret["Versions"] or not rules.has_value(secret["Versions"][token]):
        rules.begin_rotation(secret, token)
        _start(secret, token, STEPS)
    return named | {"VersionId": token}


def retry(secret: dict) -> bool:
    """Call the four steps again for the pending version, as the service does some time after a failure."""
    pending = rules.holder(secret["Versions"], rules.PENDING)
    if pending is None or pending == rules.holder(secret["Versions"], rules.CURRENT):
        return False
    if not (secret.get("RotationEnabled") and secret.get("RotationLambdaARN")):
        return False
    return _start(secret, pending, STEPS)


def cancel(secret: dict) -> dict:
    if not secret.get("RotationLambdaARN"):
        raise Refused("InvalidRequestException", "You tried to cancel a rotation that was never configured.")
    secret["RotationEnabled"] = False
    secret.pop("NextRotationDate", None)
    with _lock:
        token = _running.pop(secret["ARN"], None)
    named = {"ARN": secret["ARN"], "Name": secret["Name"]}
    return named | ({"VersionId": token} if token else {})


def _start(secret: dict, token: str, steps: tuple[str, ...], *, trial: bool = False) -> bool:
    with _lock:
        if secret["ARN"] in _running:
            return False
        _running[secret["ARN"]] = token
    if trial:
        rules.begin_rotation(secret, token)
    threading.Thread(target=_run, args=(secret, token, steps, trial), daemon=True, name="rotation").start()
    return True


def _run(secret: dict, token: str, steps: tuple[str, ...], trial: bool) -> None:
    record = functions.find(secret["RotationLambdaARN"], anywhere=True)
    account, region = _account_region_from_function_config(record["config"])
    _request_account_id.set(account)
    _request_region.set(region)
    rotation_token = str(uuid.uuid4())
    try:
        for step in steps:
            if _running.get(secret["ARN"]) != token:
                log.info("rotation of %s cancelled before %s", secret["Name"], step)
                return
            event = {"Step": step, "SecretId": secret["ARN"], "ClientRequestToken": token,
                     "RotationToken": rotation_token}
            result = functions.invoke(record, event)
            if result.get("error"):
                log.warning("rotation of %s failed at %s", secret["Name"], step)
                return
        if not trial:
            secret["LastRotatedDate"] = time.time()
    finally:
        if trial:
            rules.move(secret, rules.PENDING, None, token)
        with _lock:
            if _running.get(secret["ARN"]) == token:
                del _running[secret["ARN"]]


def running() -> dict[str, str]:
    return dict(_running)
