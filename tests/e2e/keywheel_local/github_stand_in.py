"""As much of GitHub's REST API as secret scanning alerts need, on loopback."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from .stack import Stack


@dataclass
class GitHub:
    """``alerts``: the leaked texts by path. Whoever has not the token is told nothing; ``failing``: nobody is;
    ``throttled``: nobody is for now, as GitHub says it: with 403. No answer comes while ``answering`` is not set."""

    token: str
    alerts: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failing: bool = False
    throttled: bool = False
    answering: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> GitHub:
        stand_in = self
        self.answering.set()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand_in.asked.append(self.path)
                stand_in.answering.wait(60)
                known = self.headers["Authorization"] == f"Bearer {stand_in.token}"
                versioned = self.headers["X-GitHub-Api-Version"] and self.headers["User-Agent"]
                told = known and versioned and not stand_in.failing and not stand_in.throttled
                secret = stand_in.alerts.get(self.path) if told else None
                body = {"number": 1, "secret": secret} if secret else {"message": "Not Found"}
                payload = json.dumps(body).encode()
                self.send_response(500 if stand_in.failing else 403 if stand_in.throttled else 200 if secret else 404)
                if stand_in.throttled:
                    self.send_header("X-RateLimit-Remaining", "0")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                """Not on the tests' output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def connect(self, stack: Stack) -> None:
        """Give the deployment this GitHub's keys. A function has the keys of its start until it is a new process."""
        secret = stack.env["KEYWHEEL_LOCAL_GITHUB_SECRET"]
        stack.put_webhook_keys({"github_webhook_secret": secret, "github_token": self.token})
        for function in ("WEBHOOK", "COMPARE"):
            stack.local("POST", "functions/kill", {"function": stack.env[f"KEYWHEEL_{function}_FUNCTION"]})

    def leak(self, number: int, text: str, repository: str = "octo-org/app") -> None:
        self.alerts[f"/repos/{repository}/secret-scanning/alerts/{number}"] = text
