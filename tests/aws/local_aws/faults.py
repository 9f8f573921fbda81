"""Faults on the calls to Secrets Manager, SQS and EventBridge: by operation, count and seeded chance."""

from __future__ import annotations

import json
import random
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

SERVICES = {"secretsmanager": "secretsmanager", "AmazonSQS": "sqs", "AWSEvents": "events"}
KINDS = {
    "lost_answer": None,  # the work is done and the connection breaks
    "error": (500, "InternalServiceError", "An error occurred on the server side."),
    "throttle": (400, "ThrottlingException", "Rate exceeded"),
}


@dataclass
class Fault:
    """One rule. ``callers``: ``functions`` spares what the tests themselves call."""

    kind: str
    service: str | None = None
    operation: str | None = None
    probability: float = 1.0
    count: int | None = None
    skip: int = 0
    seed: int = 0
    callers: str = "functions"
    fired: int = 0
    chance: random.Random = field(default_factory=random.Random, repr=False)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Fault:
        fault = cls(**data)
        if fault.kind not in KINDS:
            raise ValueError(f"kind is one of {sorted(KINDS)}")
        if fault.service not in (None, *SERVICES.values()):
            raise ValueError(f"service is one of {sorted(SERVICES.values())}")
        fault.chance.seed(fault.seed)
        return fault

    def strikes(self, service: str, operation: str, by_function: bool) -> bool:
        if self.count is not None and self.fired >= self.count:
            return False
        if self.service not in (None, service) or self.operation not in (None, operation):
            return False
        if self.callers == "functions" and not by_function:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.chance.random() >= self.probability:
            return False
        self.fired += 1
        return True


class Faults:
    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, rules: list[dict[str, Any]]) -> None:
        made = [Fault.of(rule) for rule in rules]
        with self._lock:
            self._rules += made

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def shown(self) -> list[dict[str, Any]]:
        with self._lock:
            return [{key: value for key, value in asdict(rule).items() if key != "chance"} for rule in self._rules]

    def strike(self, service: str, operation: str, by_function: bool) -> str | None:
        """The kind of fault this call meets."""
        with self._lock:
            return next((rule.kind for rule in self._rules if rule.strikes(service, operation, by_function)), None)


def answer(kind: str) -> tuple[int, bytes]:
    status, code, message = KINDS[kind]
    return status, json.dumps({"__type": code, "message": message}).encode()
