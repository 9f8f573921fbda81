"""Requests to the webhook function, signed by the libraries of Slack and of Standard Webhooks."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field

from slack_sdk.signature import Clock, SignatureVerifier
from standardwebhooks import Webhook

from . import block_kit
from .stack import Stack

TEAM, ALICE, BOB, MALLORY = "T0LOCAL01", "U0ALICE01", "U0BOB0001", "U0MALLORY"
FORM = "application/x-www-form-urlencoded"
NOBODY = "http://127.0.0.1:9/"  # nobody listens there: no test posts to Slack
GITHUB_WAITS = 10  # seconds that GitHub waits for an answer; then the delivery has failed, and GitHub sends it no more


@dataclass
class Answer:
    """What came back, whatever the status."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)


@dataclass
class Request:
    """A request that can be changed after it was signed."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    patience: float = 60  # seconds; ``TimeoutError`` once they are over without an answer

    def send(self, stack: Stack) -> Answer:
        url = stack.env["KEYWHEEL_WEBHOOK_URL"].removesuffix("/") + self.path
        request = urllib.request.Request(url, self.body or None, self.headers, method=self.method)
        try:
            with urllib.request.urlopen(request, timeout=self.patience) as answer:
                return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


def now() -> int:
    return int(time.time())


# ---- Slack -----------------------------------------------------------------------------------------------------------
def slack(stack: Stack, path: str, form: dict[str, str], *, at: int | None = None,
          secret: str | None = None) -> Request:
    body = urllib.parse.urlencode(form)
    timestamp = str(now() if at is None else at)
    verifier = SignatureVerifier(secret or stack.env["KEYWHEEL_LOCAL_SLACK_SIGNING_SECRET"], Clock())
    signature = verifier.generate_signature(timestamp=timestamp, body=body)
    return Request("POST", path, body.encode(), {
        "Content-Type": FORM, "X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": signature})


def command(stack: Stack, text: str, *, user: str = ALICE, team: str = TEAM, response_url: str = NOBODY,
            **how) -> Request:
    return slack(stack, "/slack/commands", {
        "team_id": team, "channel_id": "C0LOCAL01", "user_id": user, "command": "/keywheel", "text": text,
        "response_url": response_url, "trigger_id": str(uuid.uuid4()),
    }, **how)


def shown(stack: Stack, text: str, **how) -> dict:
    """What Slack shows of a command's answer: a message that it can."""
    answer = command(stack, text, **how).send(stack)
    assert answer.status == 200 and answer.headers["content-type"] == "application/json", answer
    assert block_kit.problems(answer.json) == [], answer.json
    return answer.json


def press(stack: Stack, approval: str, *, button: str = "approve", user: str = BOB, team: str = TEAM,
          response_url: str = NOBODY, **how) -> Request:
    payload = {
        "type": "block_actions", "user": {"id": user, "team_id": team}, "team": {"id": team},
        "channel": {"id": "C0LOCAL01"}, "response_url": response_url,
        "trigger_id": str(uuid.uuid4()), "actions": [{"action_id": f"keywheel_{button}", "value": approval}],
    }
    return slack(stack, "/slack/interactions", {"payload": json.dumps(payload)}, **how)


# ---- signed webhooks -------------------------------------------------------------------------------------------------
def signed(stack: Stack, method: str, path: str, content: str, *, key: str | None = None, at: int | None = None,
           delivery: str | None = None) -> Request:
    delivery, at = delivery or f"msg_{uuid.uuid4().hex}", now() if at is None else at
    when = datetime.datetime.fromtimestamp(at, datetime.UTC)
    signature = Webhook(key or stack.env["KEYWHEEL_LOCAL_WEBHOOK_KEY"]).sign(delivery, when, content)
    headers = {"webhook-id": delivery, "webhook-timestamp": str(at), "webhook-signature": signature}
    if method == "GET":
        return Request(method, urllib.parse.quote(path), b"", headers)
    return Request(method, path, content.encode(), headers | {"Content-Type": "application/json"})


def rotate(stack: Stack, credential: str, *, key: str | None = None, at: int | None = None, delivery: str | None = None,
           **more: object) -> Request:
    content = json.dumps({"credential": credential} | more)
    return signed(stack, "POST", "/rotate", content, key=key, at=at, delivery=delivery)


def rotation(stack: Stack, credential: str, rotation: str, **how) -> Request:
    """The path stands in for a body."""
    path = f"/rotations/{credential}/{rotation}"
    return signed(stack, "GET", path, path, **how)


# ---- GitHub ----------------------------------------------------------------------------------------------------------
def github(stack: Stack, event: object, *, kind: str = "secret_scanning_alert", secret: str | None = None,
           delivery: str | None = None, form: bool = False) -> Request:
    """``form``: as GitHub sends unless the webhook says ``application/json``."""
    body = json.dumps(event).encode()
    if form:
        body = urllib.parse.urlencode({"payload": body.decode()}).encode()
    key = (secret or stack.env["KEYWHEEL_LOCAL_GITHUB_SECRET"]).encode()
    signature = "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
    return Request("POST", "/github", body, {
        "Content-Type": FORM if form else "application/json", "X-GitHub-Event": kind,
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()), "X-Hub-Signature-256": signature}, GITHUB_WAITS)


def alert(number: int, action: str = "created", repository: str = "app", owner: str = "octo-org") -> dict:
    """As much of GitHub's event as there is to read, and some that must not be."""
    return {"action": action, "alert": {
        "number": number, "url": "https://evil.example/alert", "state": "open",
        "secret_type": "azure_active_directory_application_secret", "created_at": str(uuid.uuid4())},
        "repository": {"name": repository, "full_name": f"{owner}/{repository}", "owner": {"login": owner}}}
