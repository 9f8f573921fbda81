"""What SQS accepts as a queue's policy, whoever sets it: a request or a stack."""

from __future__ import annotations

import json

from ministack.services import sqs
from ministack.services.cloudformation import provisioners
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS as handlers

from . import policies

MOST_ACTIONS, MOST_STATEMENTS = 7, 20


class Invalid(ValueError):
    """A policy that SQS refuses, with its code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


def check_policy(text: str) -> None:
    """Refuse what SQS refuses: a statement names exactly one resource and a principal, and at most seven actions."""
    invalid = Invalid("InvalidAttributeValue", "Invalid value for the parameter Policy.")
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError):
        raise invalid from None
    statements = statements if isinstance(statements, list) else [statements]
    if len(statements) > MOST_STATEMENTS:
        raise Invalid("OverLimit", f"{len(statements)} statements were found in the submitted policy, max allowed is "
                      f"{MOST_STATEMENTS}")
    for statement in statements:
        resources = statement.get("Resource")
        if isinstance(resources, list) and len(resources) != 1 or not resources or "Principal" not in statement:
            raise invalid
        if policies.unknown_operator(statement) or "Principal" in statement and policies.bad_principal(statement):
            raise invalid
        actions = statement.get("Action", [])
        actions = actions if isinstance(actions, list) else [actions]
        if not actions or any(":" in action and not action.lower().startswith("sqs:") for action in actions):
            raise invalid
        if len(actions) > MOST_ACTIONS:
            raise Invalid("OverLimit", f"{len(actions)} actions were found in a statement from the submitted policy, "
                          f"max allowed is {MOST_ACTIONS}")


def _checked(handler):
    def with_policy(data: dict, url: str) -> dict:
        policy = (data.get("Attributes") or {}).get("Policy")
        if policy:
            try:
                check_policy(policy)
            except Invalid as refused:
                raise sqs._Err(refused.code, refused.message) from refused
        return handler(data, url)
    return with_policy


def _create(logical_id: str, props: dict, stack: str) -> tuple[str, dict]:
    check_policy(provisioners._policy_document_json(props))
    return provisioners._sqs_queue_policy_create(logical_id, props, stack)


def _update(physical_id: str, old: dict, new: dict, stack: str) -> tuple[str, dict]:
    check_policy(provisioners._policy_document_json(new))
    return provisioners._sqs_queue_policy_update(physical_id, old, new, stack)


def install() -> None:
    for operation in ("CreateQueue", "SetQueueAttributes"):
        sqs._HANDLERS[operation] = _checked(sqs._HANDLERS[operation])
    handlers["AWS::SQS::QueuePolicy"] = handlers["AWS::SQS::QueuePolicy"] | {"create": _create, "update": _update}
