"""Quotas of an account: what Lambda lets a function reserve, and how many writes Secrets Manager takes a second."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable

from ministack.core.responses import error_response_json
from ministack.services import lambda_svc
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS as handlers

NEW_ACCOUNT = 10  # concurrent executions
KEPT_UNRESERVED = 100  # of which this many may not be reserved, or all of a smaller limit
WRITES = {"PutSecretValue", "UpdateSecretVersionStage"}
_quotas = {"concurrent_executions": NEW_ACCOUNT, "writes_per_second": 50}
_written: deque[float] = deque()
_lock = threading.Lock()


def change(quotas: dict[str, int]) -> dict[str, int]:
    """Set some of the quotas; an unknown one is refused. What holds then."""
    if unknown := quotas.keys() - _quotas.keys():
        raise ValueError(f"a quota is one of {sorted(_quotas)}, and not {sorted(unknown)}")
    _quotas.update({name: int(value) for name, value in quotas.items()})
    return dict(_quotas)


def may_write(operation: str) -> bool:
    """Whether this call is within what the account may write in a second, over all its secrets."""
    if operation not in WRITES:
        return True
    now = time.monotonic()
    with _lock:
        while _written and now - _written[0] >= 1:
            _written.popleft()
        if len(_written) >= _quotas["writes_per_second"]:
            return False
        _written.append(now)
        return True


def concurrency() -> tuple[int, int]:
    """The limit of functions that run at once, and what of it no function reserves."""
    limit = _quotas["concurrent_executions"]
    return limit, limit - sum(record.get("concurrency") or 0 for record in lambda_svc._functions.values())


class Reserved(ValueError):
    """A reservation that Lambda refuses."""


def check_reservation(function: str, wanted: int) -> None:
    """Refuse to reserve what the account must keep for functions without a reservation."""
    limit = _quotas["concurrent_executions"]
    kept = min(limit, KEPT_UNRESERVED)
    others = sum(record.get("concurrency") or 0 for name, record in lambda_svc._functions.items() if name != function)
    if limit - others - wanted < kept:
        raise Reserved("Specified ReservedConcurrentExecutions for function decreases account's "
                       f"UnreservedConcurrentExecution below its minimum value of [{kept}].")


def install() -> None:
    put, function = lambda_svc._put_function_concurrency, handlers["AWS::Lambda::Function"]

    def put_concurrency(name: str, data: dict) -> tuple:
        try:
            check_reservation(name, int(data.get("ReservedConcurrentExecutions", 0)))
        except Reserved as refused:
            return error_response_json("InvalidParameterValueException", str(refused), 400)
        return put(name, data)

    def reserving(handler: Callable[..., tuple[str, dict]], name: str, props: dict, *given: object) -> tuple[str, dict]:
        """MiniStack's stacks pass the property over."""
        wanted = props.get("ReservedConcurrentExecutions")
        if wanted is not None:
            check_reservation(name, int(wanted))
        made = handler(*given)
        lambda_svc._functions[made[0]]["concurrency"] = None if wanted is None else int(wanted)
        return made

    def create(logical_id: str, props: dict, stack: str) -> tuple[str, dict]:
        return reserving(function["create"], "", props, logical_id, props, stack)

    def update(physical_id: str, old: dict, new: dict, stack: str, logical_id: str | None = None) -> tuple[str, dict]:
        return reserving(function["update"], physical_id, new, physical_id, old, new, stack, logical_id)

    lambda_svc._put_function_concurrency = put_concurrency
    handlers["AWS::Lambda::Function"] = function | {"create": create, "update": update}


def exceeded() -> tuple[int, bytes, str]:
    """Secrets Manager's answer beyond its quota of writes."""
    answer = {"__type": "ThrottlingException", "message": "Rate exceeded"}
    return 400, json.dumps(answer).encode(), "application/x-amz-json-1.1"
