"""What services do in a role's name: Lambda reads queues, writes logs and sends dead letters; Scheduler invokes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ministack import app as ministack
from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext
from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.services import iam, lambda_svc, scheduler

from . import encryption

SOURCE = "ReceiveMessage", "DeleteMessage", "GetQueueAttributes"
INTERFACES = "CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets", "DeleteNetworkInterface"
NOT_ASSUMED = "The role defined for the function cannot be assumed by Lambda."
NOT_SCHEDULED = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."


def _name(role: str) -> str:
    return role.rpartition("/")[2]


def _context(principal: str, action: str, resource: str, keys: dict[str, Any]) -> EvalContext:
    return EvalContext(principal_arn=principal, principal_type="AssumedRole", principal_account=get_account_id(),
                       action=action, resource_arn=resource, region=get_region(), service_context=keys)


def _allowed(role: str, action: str, resource: str, keys: dict[str, Any]) -> bool:
    name, account, service = _name(role), get_account_id(), action.partition(":")[0]
    context = _context(f"arn:aws:sts::{account}:assumed-role/{name}/session", action, resource, keys)
    limits = iam_evaluator._permissions_boundary(iam._roles, name, account)
    result = iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(name, account), *limits)
    found = iam_evaluator._resource_policy(service, resource)
    if found is not None:
        result = iam_evaluator.combine_resource_policy(
            result, context, *found, required=service in iam_evaluator._POLICY_REQUIRED, limits=limits)
    return result.decision == "Allow"


def may(role: str, action: str, resource: str, **keys: Any) -> bool:
    """Whether a role may do something, and may use the key that its resource is encrypted with."""
    return not ministack.AUTH or _allowed(role, action, resource, keys) and all(
        _allowed(role, *needed) for needed in encryption.needs(action, resource))


def trusts(role: str, service: str) -> bool:
    """Whether a role lets a service take it on for this account."""
    document = (iam._roles.get(_name(role)) or {}).get("AssumeRolePolicyDocument")
    context = _context("*", "sts:AssumeRole", "*", {"aws:sourceaccount": get_account_id()})
    return not ministack.AUTH or iam_evaluator.evaluate_resource_policy(
        document, context, service=service).decision == "Allow"


def role_of(function: str) -> str:
    record = lambda_svc._get_func_record_for_ref(function)[0]
    return (record or {}).get("config", {}).get("Role", "")


def lacking(role: str, operations: Iterable[str], queue: str) -> str | None:
    """Lambda's word on the first operation of a queue that a function's role does not allow."""
    return next((f"The function execution role does not have permissions to call {one} on SQS"
                 for one in operations if not may(role, f"sqs:{one}", queue)), None)


def source_fault(queue: str, function: str) -> str | None:
    """Why Lambda does not read a queue for a function."""
    role = role_of(function)
    return lacking(role, SOURCE, queue) if role and ":sqs:" in queue else None


def _destination_fault(function: str, data: dict) -> str | None:
    destination = ((data.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination", "")
    return lacking(role_of(function), ["SendMessage"], destination) if ":sqs:" in destination else None


def function_fault(properties: dict) -> str | None:
    role, network = properties.get("Role", ""), properties.get("VpcConfig") or {}
    if not trusts(role, "lambda.amazonaws.com"):
        return NOT_ASSUMED
    if bool(network.get("SubnetIds")) != bool(network.get("SecurityGroupIds")):
        return "Subnet ids and security group ids must both be given, or neither."
    return next((f"The provided execution role does not have permissions to call {one} on EC2" for one in INTERFACES
                 if network.get("SubnetIds") and not may(role, f"ec2:{one}", "*")), None)


def schedule_fault(properties: dict) -> str | None:
    role = (properties.get("Target") or {}).get("RoleArn", "")
    return None if trusts(role, "scheduler.amazonaws.com") else NOT_SCHEDULED


def _refusing(theirs: Callable, fault: Callable[..., str | None]) -> Callable:
    def checked(*given: Any) -> tuple:
        told = fault(*given)
        return error_response_json("InvalidParameterValueException", told, 400) if told else theirs(*given)
    return checked


def _in_the_roles_name() -> None:
    """While a function runs: its role reads the queue, writes its logs, and sends its dead letter, or nobody does."""
    at_once, write = lambda_svc._sqs_esm_concurrency, lambda_svc._emit_lambda_logs
    route = lambda_svc._route_async_failure

    def reading(mapping: dict, record: dict, config: dict, queue: dict | None = None) -> int:
        readable = may(config.get("Role", ""), "sqs:ReceiveMessage", mapping["EventSourceArn"])
        return at_once(mapping, record, config, queue) if readable else 0

    def written(record: dict, *more: Any, **named: Any) -> None:
        config = record.get("config") or record
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config.get('FunctionName')}"
        stream = f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{group}:log-stream:any"
        if all(may(config.get("Role", ""), f"logs:{one}", stream) for one in ("CreateLogStream", "PutLogEvents")):
            write(record, *more, **named)

    def routed(target: str, function: str, *more: Any) -> None:
        if ":sqs:" not in target or may(role_of(function), "sqs:SendMessage", target):
            route(target, function, *more)

    lambda_svc._sqs_esm_concurrency, lambda_svc._emit_lambda_logs = reading, written
    lambda_svc._route_async_failure = routed


def install() -> None:
    schedule = scheduler._create_schedule

    def scheduled(name: str, body: dict) -> tuple:
        told = schedule_fault(body)
        return scheduler._error(400, "ValidationException", told) if told else schedule(name, body)

    lambda_svc._create_function = _refusing(lambda_svc._create_function, function_fault)
    lambda_svc._create_esm = _refusing(lambda_svc._create_esm, lambda data: source_fault(
        data.get("EventSourceArn", ""), data.get("FunctionName", "")))
    lambda_svc._put_event_invoke_config = _refusing(
        lambda_svc._put_event_invoke_config, lambda function, _, data: _destination_fault(function, data))
    scheduler._create_schedule = scheduled
    _in_the_roles_name()
