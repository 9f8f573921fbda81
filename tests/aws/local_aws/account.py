"""What an account shows where MiniStack shows less: limits, subscriptions to confirm, invocations that failed."""

from __future__ import annotations

import datetime
import hashlib
import json
import uuid

from ministack.core.responses import json_response
from ministack.services import lambda_svc, sns, sqs

from . import quotas

_BY_MAIL = {"email", "email-json"}  # somebody has to open a link before they are subscribed
_SIZES = {"TotalCodeSize": 80_530_636_800, "CodeSizeUnzipped": 262_144_000, "CodeSizeZipped": 52_428_800}


def _settings() -> tuple:
    """GetAccountSettings, by the quotas of this account."""
    limit, unreserved = quotas.concurrency()
    functions = [lambda_svc._functions[name] for name in lambda_svc._functions]
    size = sum(len(one.get("code_zip") or b"") for one in functions)
    return json_response({
        "AccountLimit": _SIZES | {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": unreserved},
        "AccountUsage": {"TotalCodeSize": size, "FunctionCount": len(functions)}})


def _envelope(body: str) -> str:
    """What Lambda tells a destination, with the fields that MiniStack leaves out."""
    told = json.loads(body)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    context = {"requestId": str(uuid.uuid4())} | told["requestContext"]
    answer = told["responseContext"] | {"executedVersion": "$LATEST"}
    return json.dumps({"version": "1.0", "timestamp": now} | told
                      | {"requestContext": context, "responseContext": answer})


def install() -> None:
    subscribe, listed = sns._subscribe, sns._list_subscriptions_by_topic
    failed = lambda_svc._route_async_failure

    def subscribed(parameters: dict) -> tuple:
        answer = subscribe(parameters)
        topic, _ = sns._get_topic(sns._p(parameters, "TopicArn"))
        if topic is None or sns._p(parameters, "Protocol") not in _BY_MAIL:
            return answer
        made = topic["subscriptions"][-1]
        if made["endpoint"] == sns._p(parameters, "Endpoint") and not made["token"]:
            made |= {"confirmed": False, "token": str(uuid.uuid4())}
            made["attributes"] |= {"PendingConfirmation": "true", "ConfirmationWasAuthenticated": "false"}
            sns._refresh_subscription_counts(topic)
        status, headers, body = answer
        return status, headers, body.replace(made["arn"].encode(), b"pending confirmation")

    def of_topic(parameters: dict) -> tuple:
        """A subscription has no ARN before it is confirmed."""
        status, headers, body = listed(parameters)
        topic, _ = sns._get_topic(sns._p(parameters, "TopicArn"))
        for one in topic["subscriptions"] if topic else []:
            if not one["confirmed"]:
                shown = f"<SubscriptionArn>{one['arn']}<".encode()
                body = body.replace(shown, b"<SubscriptionArn>PendingConfirmation<")
        return status, headers, body

    def told(target: str, *more: object) -> None:
        failed(target, *more)
        queue = sqs._queue_by_arn(target)
        if queue and queue["messages"]:
            message = queue["messages"][-1]
            message["body"] = _envelope(message["body"])
            message["md5_body"] = hashlib.md5(message["body"].encode()).hexdigest()

    lambda_svc._get_account_settings, lambda_svc._route_async_failure = _settings, told
    sns._subscribe, sns._list_subscriptions_by_topic = subscribed, of_topic
