"""Stands in for Slack and for receivers of webhooks: records what it is sent, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGEST = 1_000_000


@dataclass(frozen=True)
class Request:
    """One that was received."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What the next request for a path gets."""

    status: int = 200
    body: str = "ok"
    headers: tuple[tuple[str, str], ...] = ()


class StandIn:
    """An HTTP server on loopback. As a context manager it ends with its block; in between it may go ``down``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received: list[Request] = []
        self._scripted: dict[str, deque[Answer]] = {}
        self._port = 0
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> StandIn:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> None:
        """Listen, on the same port as before."""
        if self._server is None:
            self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler())
            self._server.daemon_threads = True
            self._port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections. What was received is still known."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def script(self, path: str, *answers: Answer) -> None:
        """Answer the next requests for a path so, one each; from then on with 200 again."""
        with self._lock:
            self._scripted.setdefault(path, deque()).extend(answers)

    def received(self, path: str = "/") -> list[Request]:
        """All requests for what begins with this path, in their order."""
        with self._lock:
            return [request for request in self._received if request.path.startswith(path)]

    def shown(self, path: str) -> list[dict]:
        """What Slack shows of the posts to a ``response_url``: a command's are further messages whatever they say, a
        button's take the place of the one before where they say so."""
        messages: list[dict] = []
        for post in self.received(path):
            message = post.json
            if messages and message.get("replace_original") and not path.startswith("/commands/"):
                messages[-1] = message
            else:
                messages.append(message)
        return messages

    def _take(self, request: Request) -> Answer:
        with self._lock:
            self._received.append(request)
            scripted = self._scripted.get(request.path)
            return scripted.popleft() if scripted else Answer()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            timeout = 20  # a connection that says nothing is closed

            def answer(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), LARGEST)
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = take(Request(self.command, self.path, headers, self.rfile.read(length)))
                body = answer.body.encode()
                self.send_response(answer.status)
                for name, value in (*answer.headers, ("Content-Length", str(len(body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                """Nothing: what is received is in ``received``."""

        return Handler
