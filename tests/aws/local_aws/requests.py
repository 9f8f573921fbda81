"""Requests to Lambda's event sources, SNS and Scheduler that MiniStack takes and AWS was recorded to refuse."""

from __future__ import annotations

import re

from ministack.core.responses import error_response_json
from ministack.services import lambda_svc, scheduler, sns, sqs
from ministack.services.eventbridge import _parse_cron_fields

_RATE = re.compile(r"rate\([1-9][0-9]* (minute|hour|day)s?\)")
_AT = re.compile(r"at\([0-9-]+T[0-9:]+\)")
_MOST_BYTES = 262_144


def _is_schedule(expression: str) -> bool:
    if expression.startswith("cron("):
        fields = _parse_cron_fields(expression)
        return fields is not None and all(
            set(field) <= set(range(least, most + 1)) and field
            for field, least, most in ((fields[0], 0, 59), (fields[1], 0, 23), (fields[3], 1, 12)))
    return bool(_RATE.fullmatch(expression) or _AT.fullmatch(expression))


def _needs_window(size: object, window: object) -> tuple | None:
    if int(size) > 10 and int(window) == 0:
        return error_response_json("InvalidParameterValueException", "Maximum batch window in seconds must be greater "
                                   "than 0 if maximum batch size is greater than 10", 400)
    return None


def _no_source(data: dict) -> tuple | None:
    """A queue that is not there, or one that feeds the function already."""
    arn = data.get("EventSourceArn", "")
    if ":sqs:" not in arn:
        return None
    if sqs._queue_by_arn(arn) is None:
        return error_response_json(
            "InvalidParameterValueException", "Error occurred while ReceiveMessage. SQS Error Code: AWS."
            "SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist.", 400)
    name = data.get("FunctionName", "").rpartition(":function:")[2]
    for uuid, mapping in lambda_svc._esms.items():
        if mapping["EventSourceArn"] == arn and mapping["FunctionName"] == name:
            return error_response_json(
                "ResourceConflictException", f'An event source mapping with SQS arn (" {arn} ") and function '
                f'(" {name} ") already exists. Please update or delete the existing mapping with UUID {uuid}', 409)
    return None


def _no_publication(parameters: dict) -> tuple | None:
    told = None
    topic = sns._p(parameters, "TopicArn")
    if topic and len(topic.split(":")) < 6:
        told = f"TopicArn Reason: An ARN must have at least 6 elements, not {len(topic.split(':'))}"
    elif not sns._p(parameters, "Message"):
        told = "Empty message"
    elif len(str(sns._p(parameters, "Message")).encode()) > _MOST_BYTES:
        told = "Message too long"
    return told and sns._error("InvalidParameter", f"Invalid parameter: {told}", 400)


def install() -> None:
    create, update, publish = lambda_svc._create_esm, lambda_svc._update_esm, sns._publish
    schedule, topic = scheduler._create_schedule, sns._get_topic

    def created(data: dict) -> tuple:
        window = _needs_window(data.get("BatchSize", 10), data.get("MaximumBatchingWindowInSeconds", 0))
        return window or _no_source(data) or create(data)

    def updated(uuid: str, data: dict) -> tuple:
        known = lambda_svc._esms.get(uuid) or {}
        size, window = (data.get(key, known.get(key, default)) for key, default in (
            ("BatchSize", 10), ("MaximumBatchingWindowInSeconds", 0)))
        return _needs_window(size, window) or update(uuid, data)

    def published(parameters: dict) -> tuple:
        return _no_publication(parameters) or publish(parameters)

    def found(arn: str, *more: object) -> tuple:
        known, error = topic(arn, *more)
        if error is not None and error[0] == 404:
            error = sns._error("NotFound", "Topic does not exist", 404)
        return known, error

    def scheduled(name: str, body: dict) -> tuple:
        expression = body.get("ScheduleExpression")
        if expression and not _is_schedule(expression):
            return scheduler._error(400, "ValidationException", f"Invalid Schedule Expression {expression}.")
        return schedule(name, body)

    lambda_svc._create_esm, lambda_svc._update_esm, sns._publish = created, updated, published
    sns._get_topic, scheduler._create_schedule = found, scheduled
