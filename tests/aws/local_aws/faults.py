"""Faults on the calls to AWS's services: by operation, count and seeded chance."""

from __future__ import annotations

import json
import random
import re
import threading
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs

SERVICES = {"secretsmanager", "sqs", "events", "s3", "sts", "ssm", "sns"}
KINDS = {
    "lost_answer": None,  # the work is done and the connection breaks
    "stall": None,  # the work is done and its answer comes late by ``seconds``
    "cut": None,  # the connection breaks and nothing is done
    "error": (500, "InternalServiceError", "An error occurred on the server side."),
    "throttle": (400, "ThrottlingException", "Rate exceeded"),
}
S3_ERRORS = {"error": (500, "InternalError", KINDS["error"][2]), "throttle": (503, "SlowDown", "Please reduce your "
             "request rate.")}
_SIGNED = re.compile(r"Credential=(?P<key>[^/,]+)/\d+/[^/,]+/(?P<service>[^/,]+)/aws4_request")


@dataclass
class Fault:
    """One rule. ``callers``: ``functions`` spares what the tests themselves call. ``operation``: as AWS names it; of S3
    the method. An ``error`` may have a ``code`` and ``message`` of its own, of a request that is refused for good."""

    kind: str
    service: str | None = None
    operation: str | None = None
    probability: float = 1.0
    count: int | None = None
    skip: int = 0
    seed: int = 0
    callers: str = "functions"
    seconds: float = 0.0
    code: str | None = None
    message: str | None = None
    fired: int = 0
    chance: random.Random = field(default_factory=random.Random, repr=False)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Fault:
        fault = cls(**data)
        if fault.kind not in KINDS:
            raise ValueError(f"kind is one of {sorted(KINDS)}")
        if fault.service not in (None, *SERVICES):
            raise ValueError(f"service is one of {sorted(SERVICES)}")
        if (fault.kind == "stall") != (fault.seconds > 0) or (fault.kind != "error" and fault.code):
            raise ValueError("a stall, and nothing else, has seconds; an error, and nothing else, may have a code")
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

    def strike(self, service: str, operation: str, by_function: bool) -> Fault | None:
        """The fault that this call meets."""
        with self._lock:
            return next((rule for rule in self._rules if rule.strikes(service, operation, by_function)), None)


def signed(headers: dict[bytes, str]) -> tuple[str, bool] | None:
    """The service that a request is signed for, and whether a function signed it."""
    match = _SIGNED.search(headers.get(b"authorization", ""))
    return (match["service"], match["key"].startswith("ASIA")) if match else None


def operation(service: str, method: str, headers: dict[bytes, str], body: bytes) -> str:
    if service == "s3":
        return method
    target = headers.get(b"x-amz-target", "").rpartition(".")[2]
    return target or parse_qs(body.decode("utf-8", errors="replace")).get("Action", [""])[0]


def answer(fault: Fault, service: str, headers: dict[bytes, str]) -> tuple[int, bytes, str]:
    """Status, body and type of a failure, in the protocol of the service."""
    status, code, message = (S3_ERRORS if service == "s3" else KINDS)[fault.kind]
    if fault.code:
        status, code, message = 400, fault.code, fault.message or "no"
    if b"x-amz-target" in headers:
        return status, json.dumps({"__type": code, "message": message}).encode(), "application/x-amz-json-1.1"
    error = f"<Code>{code}</Code><Message>{message}</Message>"
    whole = (f"<Error>{error}</Error>" if service == "s3" else
             f"<ErrorResponse><Error><Type>Receiver</Type>{error}</Error></ErrorResponse>")
    return status, whole.encode(), "application/xml"
