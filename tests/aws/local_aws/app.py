"""MiniStack's application with our replacements, and ``/_local/`` beside it."""

from __future__ import annotations

import asyncio
import contextvars
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hypercorn.asyncio.tcp_server import TCPServer

from . import (
    account,
    cloudformation,
    delivery,
    denials,
    deployment,
    events,
    faults,
    federation,
    function_urls,
    functions,
    models,
    permissions,
    policies,
    queue_policies,
    queues,
    quotas,
    requests,
    roles,
    rotation,
    s3,
    secrets_manager,
)
from .secret_rules import Refused

Receive = Callable[[], Awaitable[dict]]
Send = Callable[[dict], Awaitable[None]]
KEPT = {"SendMessage", "SendMessageBatch", "PutEvents"}  # operations whose requests a test may read
_connection: contextvars.ContextVar[Any] = contextvars.ContextVar("connection")


def issuer(endpoint: str) -> str:
    return endpoint + federation.ISSUER_PATH


class App:
    """The ASGI application: our own paths, else MiniStack with faults and a record."""

    def __init__(self, theirs: Callable) -> None:
        self._theirs = theirs
        self.urls = function_urls.Ports()
        self.faults = faults.Faults()
        self.sent: list[dict] = []
        self.invalid: list[str] = []  # what functions asked that the service could not have read
        self.started = asyncio.Event()

    async def __call__(self, scope: dict, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._theirs(scope, receive, self._noticing(send))
        elif scope["type"] == "http" and scope["server"][1] in self.urls:
            await self._theirs(self.urls.scope(scope), receive, send)
        elif scope["type"] == "http" and scope["path"].startswith("/_local/"):
            await self._local(scope, receive, send)
        elif scope["type"] == "http":
            await self._call(scope, receive, send)
        else:
            await self._theirs(scope, receive, send)

    def _noticing(self, send: Send) -> Send:
        async def noticing(message: dict) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self.started.set()
        return noticing

    async def _call(self, scope: dict, receive: Receive, send: Send) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        service, by_function = faults.signed(headers) or (None, False)
        if service not in faults.SERVICES:
            await self._theirs(scope, receive, send)
            return
        body = await _body(receive)
        operation = faults.operation(service, scope["method"], headers, body)
        if by_function:
            self.invalid += await asyncio.to_thread(models.problems, service, operation, scope, body)
        fault = self.faults.strike(service, operation, by_function)
        kind = fault.kind if fault else None
        if kind not in ("cut", "error", "throttle") and service == "secretsmanager" and not quotas.may_write(operation):
            await _respond(send, *quotas.exceeded())
            return
        if kind == "cut":
            _connection.get().transport.abort()
            return
        if kind in ("error", "throttle"):
            await _respond(send, *faults.answer(fault, service, headers))
            return
        answer = _Answer()
        await self._theirs(scope, _replayed(body), answer.send)
        if operation in KEPT and b"x-amz-target" in headers:
            self.sent.append({"service": service, "operation": operation, "time": time.time(),
                              "by_function": by_function, "status": answer.status, "request": json.loads(body)})
        if kind == "lost_answer":
            _connection.get().transport.abort()
            return
        if kind == "stall":
            await asyncio.sleep(fault.seconds)
        await answer.deliver(send)

    async def _local(self, scope: dict, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"].removeprefix("/_local/")
        try:
            answer = await asyncio.to_thread(self._route, method, path, json.loads(await _body(receive) or b"null"))
        except (ValueError, TypeError, KeyError, Refused) as error:
            await _respond(send, 400, json.dumps({"error": str(error)}).encode())
            return
        if answer is None:
            await _respond(send, 404, b'{"error": "no such path"}')
        else:
            await _respond(send, 200, json.dumps(answer, default=str).encode())

    def _route(self, method: str, path: str, data: Any) -> Any:
        published = federation.documents().get("/" + path.removeprefix("oidc/")) if path.startswith("oidc/") else None
        match (method, path):
            case ("GET", _) if published:
                return published
            case ("POST", "faults"):
                self.faults.add(data if isinstance(data, list) else [data])
                return self.faults.shown()
            case ("GET", "faults"):
                return self.faults.shown()
            case ("DELETE", "faults"):
                self.faults.clear()
                return []
            case ("GET", "sent"):
                return self.sent
            case ("GET", "invalid"):
                return self.invalid
            case ("GET", "denied"):
                return denials.shown()
            case ("DELETE", "denied"):
                denials.clear()
                return []
            case ("POST", "quotas"):
                return quotas.change(data)
            case ("GET", "logs"):
                return functions.logs()
            case ("GET", "objects"):
                return s3.texts()
            case ("GET", "invocations"):
                return functions.invocations()
            case ("GET", "idle"):
                return {"busy": functions.busy(), "rotations": rotation.running()}
            case ("POST", "clock"):
                return {"ahead_seconds": federation.advance(data["advance_seconds"])}
            case ("POST", "function-urls"):
                return {"address": self.urls.of(data["url"])}
            case ("POST", "queues/advance"):
                return {"visible": delivery.advance_queues(data["advance_seconds"])}
            case ("POST", "functions/kill"):
                return {"killed": functions.kill(data["function"], data.get("most"))}
            case ("POST", "rotations/retry"):
                return {"started": secrets_manager.retry_rotation(data)}
            case ("POST", "secrets/freeze-list") | ("DELETE", "secrets/freeze-list"):
                secrets_manager.freeze_list(method == "POST")
                return {}
        return None


class _Answer:
    """MiniStack's answer, held until we know whether it is to be lost."""

    def __init__(self) -> None:
        self._messages: list[dict] = []

    @property
    def status(self) -> int:
        return self._messages[0]["status"]

    async def send(self, message: dict) -> None:
        self._messages.append(message)

    async def deliver(self, send: Send) -> None:
        for message in self._messages:
            await send(message)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _replayed(body: bytes) -> Receive:
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict:
        return messages.pop() if messages else {"type": "http.disconnect"}
    return receive


async def _respond(send: Send, status: int, body: bytes, content_type: str = "application/json") -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _remember_connections() -> None:
    """Let a request find its connection, so that a fault can break it."""
    run = TCPServer.run

    async def remembering(self: TCPServer) -> None:
        _connection.set(self.writer)
        await run(self)

    TCPServer.run = remembering


def build(endpoint: str, home: Path) -> App:
    """Import MiniStack (its environment must be set by now), install the replacements, wrap it."""
    from ministack import app as ministack

    secrets_manager.install()
    federation.install(endpoint)
    cloudformation.install()
    s3.install()
    delivery.install()
    queues.install()
    events.install()
    roles.install()
    requests.install()
    functions.install(home)
    function_urls.install()
    _remember_connections()
    queue_policies.install()
    policies.install()
    deployment.install()
    quotas.install()
    account.install()
    permissions.install(ministack)
    return App(ministack.app)
