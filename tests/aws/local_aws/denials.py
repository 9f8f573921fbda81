"""How each service says that IAM denied a request: its code, its status, and AWS's own words."""

from __future__ import annotations

import contextvars
import json
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from ministack.core import iam_actions, iam_evaluator
from ministack.core.iam_evaluator import EvalContext, EvalResult

KMS_FORBIDDEN = "Access to KMS is not allowed"  # Secrets Manager's words for whatever KMS denied
_SNS = "http://sns.amazonaws.com/doc/2010-03-31/"


@dataclass(frozen=True)
class Denial:
    """What was denied. ``resource`` is shown as the service shows it; empty: the service shows none."""

    action: str
    resource: str
    reason: str


_denied: contextvars.ContextVar[Denial | None] = contextvars.ContextVar("denied", default=None)
_all: list[dict[str, str]] = []


def forget() -> None:
    _denied.set(None)


def remember(action: str, resource: str, result: EvalResult) -> None:
    """Keep what was denied for the answer, which MiniStack makes later and knows less of; and for tests."""
    _denied.set(Denial(action, resource, result.reason))
    _all.append({"who": result.principal_arn, "action": action, "resource": resource})


def shown() -> list[dict[str, str]]:
    return list(_all)


def clear() -> None:
    _all.clear()


def _spelled(service: str, action: str) -> str:
    prefix, _, name = action.partition(":")
    return {"sqs": f"sqs:{name.lower()}", "sns": f"SNS:{name}"}.get(service if service == prefix else "", action)


def words(service: str, who: str, denial: Denial) -> str:
    action = _spelled(service, denial.action)
    shown = f'"{denial.resource}"' if service == "s3" and denial.action.startswith("s3:") else denial.resource
    place = f" on resource: {shown}" if denial.resource else ""
    return f"User: {who} is not authorized to perform: {action}{place} {denial.reason.format(action=action)}"


def _json(code: str, told: dict[str, str], **headers: str) -> tuple:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return 400, {"Content-Type": "application/x-amz-json-1.1"} | more, json.dumps({"__type": code} | told).encode()


def _answer(service: str, who: str, denial: Denial, headers: dict[str, str]) -> tuple | None:
    """The services that answer otherwise than MiniStack does."""
    told = words(service, who, denial)
    if service == "kms" or not denial.action.startswith("kms:"):
        is_json = "x-amz-target" in headers and service != "sqs"
        return _json("AccessDeniedException", {"Message": told}) if is_json else None
    match service:
        case "secretsmanager":
            return _json("AccessDeniedException", {"Message": KMS_FORBIDDEN})
        case "sqs":
            return _json("com.amazonaws.sqs#KmsAccessDenied", {"message": told},
                         x_amzn_query_error="KMS.AccessDeniedException;Sender")
        case "sns":
            return 400, {"Content-Type": "text/xml"}, (
                f'<ErrorResponse xmlns="{_SNS}"><Error><Type>Sender</Type><Code>KMSAccessDenied</Code>'
                f"<Message>{escape(told)}</Message></Error></ErrorResponse>").encode()
    return None


def _reasons() -> None:
    """Let each result say which policy decided, for the answer's words."""
    evaluate, combine = iam_evaluator.evaluate, iam_evaluator.combine_resource_policy

    def evaluated(context: EvalContext, policies: list, *limits: list) -> EvalResult:
        result = evaluate(context, policies, *limits)
        if result.decision == "Allow":
            return result
        kind = "an identity-based policy"
        without = evaluate(context, policies)  # what the identity's own policies say, without a boundary
        if result.decision == "Deny":
            kind = kind if without.decision == "Deny" else "a permissions boundary"
            result.reason = f"with an explicit deny in {kind}"
        else:
            kind = "permissions boundary" if without.decision == "Allow" else "identity-based policy"
            result.reason = f"because no {kind} allows the {{action}} action"
        return result

    def combined(identity: EvalResult, *more: Any, **named: Any) -> EvalResult:
        result = combine(identity, *more, **named)
        if result is not identity and result.decision != "Allow":
            result.reason = result.reason.replace("an identity-based", "a resource-based").replace(
                "identity-based", "resource-based")
        return result

    iam_evaluator.evaluate, iam_evaluator.combine_resource_policy = evaluated, combined


def install() -> None:
    _reasons()
    respond = iam_actions.access_denied_response

    def response(service: str, action: str, who: str, request_id: str, *, error_code: str = "", message: str = "",
                 headers: dict | None = None, **more: Any) -> tuple:
        denial = _denied.get()
        if error_code or message or denial is None:
            return respond(service, action, who, request_id, error_code=error_code, message=message, headers=headers,
                           **more)
        answer = _answer(service, who, denial, headers or {})
        return answer or respond(service, action, who, request_id, message=words(service, who, denial),
                                 headers=headers, **more)

    iam_actions.access_denied_response = response
