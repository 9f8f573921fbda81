"""What AWS refuses of a stack's resources, and of a queue that feeds a function, and MiniStack takes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from ministack.core.responses import error_response_json
from ministack.services import eventbridge, lambda_svc, sqs
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS as handlers

from . import encryption, events, policies, requests, roles

# By type of resource: the property, the longest name, and what it is made of.
NAMES = {
    "AWS::Lambda::Function": ("FunctionName", 64, r"[a-zA-Z0-9-_]+"),
    "AWS::IAM::Role": ("RoleName", 64, r"[\w+=,.@-]+"),
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName", 128, r"[\w+=,.@-]+"),
    "AWS::Events::Rule": ("Name", 64, r"[\.\-_A-Za-z0-9]+"),
    "AWS::Events::EventBus": ("Name", 256, r"[/\.\-_A-Za-z0-9]+"),
    "AWS::Scheduler::Schedule": ("Name", 64, r"[0-9a-zA-Z-_.]+"),
    "AWS::Logs::LogGroup": ("LogGroupName", 512, r"[.\-_/#A-Za-z0-9]+"),
    "AWS::SQS::Queue": ("QueueName", 80, r"[A-Za-z0-9_-]+(\.fifo)?"),
    "AWS::S3::Bucket": ("BucketName", 63, r"(?!xn--|sthree-)(?!.*\.\.)(?!(\d+\.){3}\d+$)[a-z0-9][a-z0-9.-]+[a-z0-9]"),
}
LONGEST_VISIBILITY = 43_200
RESERVED = {"_HANDLER", "_X_AMZN_TRACE_ID", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"} | {f"AWS_{name}" for name in (
    "DEFAULT_REGION", "REGION", "EXECUTION_ENV", "LAMBDA_FUNCTION_NAME", "LAMBDA_FUNCTION_MEMORY_SIZE",
    "LAMBDA_FUNCTION_VERSION", "LAMBDA_INITIALIZATION_TYPE", "LAMBDA_LOG_GROUP_NAME", "LAMBDA_LOG_STREAM_NAME",
    "LAMBDA_RUNTIME_API", "ACCESS_KEY", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")}
MOST_OF_VARIABLES = 4096  # bytes


def _name(kind: str, properties: dict) -> str | None:
    member, most, made_of = NAMES[kind]
    name = properties.get(member)
    if name is None:
        return None
    if len(name) > most:
        return f"Model validation failed (#/{member}: expected maxLength: {most}, actual: {len(name)})"
    if not re.fullmatch(made_of, name):
        return f"Model validation failed (#/{member}: failed validation constraint for keyword [pattern])"
    return None


def short_of(queue_arn: str, function: str) -> str | None:
    """Why Lambda does not take messages from a queue: it would hand them out again while the function runs."""
    queue = sqs._queue_by_arn(queue_arn)
    record = lambda_svc._get_func_record_for_ref(function)[0]
    if queue is None or record is None:
        return None
    hidden = int(queue["attributes"].get("VisibilityTimeout", 30))
    timeout = int(record["config"].get("Timeout", 3))
    return (f"Queue visibility timeout: {hidden} seconds is less than Function timeout: {timeout} seconds"
            if hidden < timeout else None)


def _source(properties: dict) -> str | None:
    arn, function = properties.get("EventSourceArn", ""), properties.get("FunctionName", "")
    size, window = (int(properties.get(key, default)) for key, default in (
        ("BatchSize", 10), ("MaximumBatchingWindowInSeconds", 0)))
    refused = requests._needs_window(size, window) or requests._no_source({
        "EventSourceArn": arn, "FunctionName": function if ":" in function else f":function:{function}"})
    told = json.loads(refused[2])["message"] if refused else (
        ":sqs:" in arn and short_of(arn, function) or roles.source_fault(arn, function))
    return f"Invalid request provided: {told} (Service: Lambda, Status Code: 400)" if told else None


def _function(properties: dict) -> str | None:
    variables = (properties.get("Environment") or {}).get("Variables") or {}
    environment = ("Lambda was unable to configure your environment variables because the environment variables you "
                   "have provided ")
    if reserved := sorted(RESERVED & variables.keys()):
        return (f"{environment}contains reserved keys that are currently not supported for modification. Reserved keys "
                f"used in this request: {', '.join(reserved)}")
    if len(json.dumps(variables, separators=(",", ":")).encode()) > MOST_OF_VARIABLES:
        return f"{environment}exceeded the 4KB limit."
    return roles.function_fault(properties)


def _permission(properties: dict) -> str | None:
    principal = str(properties.get("Principal", ""))
    return None if policies.is_principal(principal) else (
        "The provided principal was invalid. Please check the principal and try again.")


def _rule(properties: dict) -> str | None:
    targets = properties.get("Targets") or []
    if len(targets) > events._MOST_TARGETS:
        return "The requested resource exceeds the maximum number allowed. (Service: EventBridge, Status Code: 400)"
    ids = [target.get("Id", "") for target in targets]
    if len(ids) != len(set(ids)):
        twice = sorted({one for one in ids if ids.count(one) > 1})
        return f"Properties validation failed: Targets have the same Id: {twice}"
    for number, target in enumerate(targets, 1):
        if told := events._unsuitable(target, number):
            return told
        if str(target.get("Arn", "")).endswith(".fifo") and not target.get("SqsParameters"):
            return f"Parameter(s) SqsParameters must be specified for target: {target['Id']}."
    pattern = properties.get("EventPattern", "")
    told = eventbridge._event_pattern_error(pattern if isinstance(pattern, str) else json.dumps(pattern))
    return told and f"Event pattern is not valid. Reason: {told}"


def _schedule(properties: dict) -> str | None:
    for key, within in (("FlexibleTimeWindow", properties), ("ScheduleExpression", properties), ("Target", properties),
                        ("Arn", properties.get("Target") or {}), ("RoleArn", properties.get("Target") or {})):
        if not within.get(key):
            return f"Model validation failed (#: required key [{key}] not found)"
    window, expression = properties["FlexibleTimeWindow"], properties["ScheduleExpression"]
    if window.get("Mode") not in ("OFF", "FLEXIBLE"):
        return "Model validation failed (#/FlexibleTimeWindow/Mode: failed validation constraint for keyword [enum])"
    if not requests._is_schedule(expression):
        return f"Invalid Schedule Expression {expression}. (Service: Scheduler, Status Code: 400)"
    return roles.schedule_fault(properties)


def _queue(properties: dict) -> str | None:
    fifo = str(properties.get("FifoQueue", False)).lower() == "true"
    name = properties.get("QueueName")
    if name is not None and name.endswith(".fifo") != fifo:
        return ("Value for parameter QueueName is invalid. Reason: The name of a FIFO queue can only include "
                "alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in "
                "length.")
    redrive = properties.get("RedrivePolicy") or {}
    redrive = json.loads(redrive) if isinstance(redrive, str) else redrive
    if redrive and str(redrive.get("deadLetterTargetArn", "")).endswith(".fifo") != fifo:
        return (f"Value {json.dumps(redrive)} for parameter RedrivePolicy is invalid. Reason: Dead-letter queue must "
                "be same type of queue as the source.")
    if not 0 <= int(properties.get("VisibilityTimeout", 30)) <= LONGEST_VISIBILITY:
        return "Invalid value for the parameter VisibilityTimeout."
    return None


def _checking(kind: str, *faults: Callable[[dict], str | None]) -> None:
    create, update = handlers[kind]["create"], handlers[kind]["update"]

    def check(properties: dict) -> None:
        if told := next(filter(None, (fault(properties) for fault in faults)), None):
            raise ValueError(told)

    def created(logical_id: str, properties: dict, *more: object) -> tuple[str, dict]:
        check(properties)
        return create(logical_id, properties, *more)

    def updated(physical_id: str, old: dict, new: dict, *more: object, **named: object) -> tuple[str, dict]:
        # A mapping that stays as it is would be found to be there already.
        if kind != "AWS::Lambda::EventSourceMapping":
            check(new)
        return update(physical_id, old, new, *more, **named)

    handlers[kind] = handlers[kind] | {"create": created, "update": updated}


def install() -> None:
    mapping = lambda_svc._create_esm

    def mapped(data: dict) -> tuple:
        arn = data.get("EventSourceArn", "")
        told = ":sqs:" in arn and short_of(arn, data.get("FunctionName", ""))
        return error_response_json("InvalidParameterValueException", told, 400) if told else mapping(data)

    lambda_svc._create_esm = mapped
    more = {"AWS::Events::Rule": (_rule,), "AWS::Scheduler::Schedule": (_schedule,), "AWS::SQS::Queue": (_queue,),
            "AWS::Lambda::Function": (_function,), "AWS::Logs::LogGroup": (encryption.log_group_fault,)}
    for kind in NAMES:
        _checking(kind, lambda properties, kind=kind: _name(kind, properties), *more.get(kind, ()))
    _checking("AWS::Lambda::EventSourceMapping", _source)
    _checking("AWS::Lambda::Permission", _permission)
