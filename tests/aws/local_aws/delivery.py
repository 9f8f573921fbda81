"""Delivery to functions as AWS does: FIFO groups side by side; EventBridge and Scheduler with retry, dead letters."""

from __future__ import annotations

import contextvars
import json
import logging
import time
from typing import Any

from ministack.core.arn import parse_arn
from ministack.services import eventbridge, lambda_svc, scheduler, sqs

from . import encryption, functions, roles

_MOST_GROUPS_AT_ONCE = 10
log = logging.getLogger("local_aws.delivery")
_send = eventbridge._dispatch_to_sqs
_target: contextvars.ContextVar[tuple[dict, dict]] = contextvars.ContextVar("target")
_batch: contextvars.ContextVar[set[str] | None] = contextvars.ContextVar("batch", default=None)


def _may_send(target: dict, rule: dict, queue: str) -> bool:
    """Whether EventBridge (by the queue's policy and its key's) or Scheduler (by its role) may send to a queue."""
    if role := target.get("RoleArn"):
        return roles.may(role, "sqs:SendMessage", queue)
    service, source = "events.amazonaws.com", rule.get("Arn", "")
    return sqs.queue_policy_allows(queue, service, source, parse_arn(queue).account_id) and encryption.queue_lets(
        queue, service, source)


def _dead_letter(target: dict, payload: str) -> None:
    arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    log.warning("EventBridge could not deliver to %s: dead letter to %s", target.get("Arn"), arn)
    if arn and _may_send(target, _target.get()[1], arn):
        _send(parse_arn(arn), payload)


def _to_lambda(arn: str, payload: str) -> None:
    """Asynchronous, retried by Lambda; what may not be invoked at all goes to the target's dead-letter queue."""
    target, rule = _target.get()
    role = target.get("RoleArn")  # EventBridge Scheduler takes on a role
    allowed = roles.may(role, "lambda:InvokeFunction", arn) if role else functions.may_invoke(
        arn, "events.amazonaws.com", source_arn=rule.get("Arn", ""))
    if functions.find(arn) is None or not allowed:
        _dead_letter(target, payload)
        return
    record, config, _ = lambda_svc._get_func_record_for_ref(arn)
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(record, config), json.loads(payload))


def advance_queues(seconds: float) -> dict[str, int]:
    """Let time pass for all messages that wait to be visible again; how many became so, by queue."""
    seconds, now, visible = float(seconds), time.time(), {}
    with sqs._queues_lock:
        for _, queue in sqs._queues.all_items():
            waiting = [message for message in queue["messages"] if message["visible_at"] > now]
            for message in waiting:
                message["visible_at"] -= seconds
            visible[queue["url"]] = sum(message["visible_at"] <= now for message in waiting)
    return visible


def _to_queue(spec: Any, payload: str, parameters: dict | None = None) -> None:
    """A queue takes an event of a rule that its policy lets send."""
    target, rule = _target.get()
    if _may_send(target, rule, str(spec)):
        _send(spec, payload, parameters)
    else:
        _dead_letter(target, payload)


def _is_report(answer: object, batch: set[str]) -> bool:
    """Whether Lambda reads a function's answer as a report of single failures; any other fails the whole batch."""
    if isinstance(answer, str) and answer:
        try:
            answer = json.loads(answer)
        except ValueError:
            return False
    if not answer:
        return True
    if not isinstance(answer, dict):
        return False
    failures = answer.get("batchItemFailures") or []
    return isinstance(failures, list) and all(
        isinstance(one, dict) and one.get("itemIdentifier") in batch for one in failures)


def _report_failures() -> None:
    """Of sources with ``ReportBatchItemFailures``: an entry without the id of a message of the batch fails them all."""
    run, execute = lambda_svc._run_sqs_batch, lambda_svc._execute_function

    def run_batch(mapping: dict, record: dict, event: dict, batch: list[dict], *more: object) -> None:
        reports = "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or [])
        token = _batch.set({message["id"] for message in batch} if reports else None)
        try:
            run(mapping, record, event, batch, *more)
        finally:
            _batch.reset(token)

    def executed(record: dict, event: dict) -> dict:
        batch, result = _batch.get(), execute(record, event)
        if batch is None or result.get("error") or _is_report(result.get("body"), batch):
            return result
        return result | {"error": True, "body": {"errorType": "InvalidReport", "errorMessage": "batchItemFailures"}}

    lambda_svc._run_sqs_batch, lambda_svc._execute_function = run_batch, executed


def install() -> None:
    _report_failures()
    invoke_target = eventbridge._invoke_target
    concurrency = lambda_svc._sqs_esm_concurrency

    def with_target(target: dict, event: dict, rule: dict, view: object = None) -> None:
        token = _target.set((target, rule))
        try:
            invoke_target(target, event, rule, view)
        finally:
            _target.reset(token)

    def groups_at_once(mapping: dict, record: dict, config: dict, queue: dict | None = None) -> int:
        """One message a batch is one group a batch: batches of a FIFO queue may then run side by side."""
        if not (queue or {}).get("is_fifo") or mapping.get("BatchSize", 10) != 1:
            return concurrency(mapping, record, config, queue)
        # A template's parameter is a text, whatever its type.
        return int((mapping.get("ScalingConfig") or {}).get("MaximumConcurrency") or _MOST_GROUPS_AT_ONCE)

    update_schedule = scheduler._update_schedule

    def updated(name: str, body: dict) -> object:
        """A schedule with another time fires at that time, whether it has fired before or not."""
        answer = update_schedule(name, body)
        for key in [key for key in scheduler._schedule_last_fired if key[-1].split("/")[-1] == name]:
            del scheduler._schedule_last_fired[key]
        return answer

    scheduler._update_schedule = updated
    scheduler._SCHEDULE_TICK_INTERVAL = 1
    eventbridge._invoke_target = with_target
    eventbridge._dispatch_to_lambda = _to_lambda
    eventbridge._dispatch_to_sqs = _to_queue
    lambda_svc._sqs_esm_concurrency = groups_at_once
