"""Requests that are refused: each with the right status, nothing queued, and no word of why a signature failed."""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from keywheel_local import ask, block_kit
from keywheel_local.stack import Stack
from keywheel_local.tenant import Tenant
from keywheel_local.world import World

ROTATE, COMMANDS, INTERACTIONS, GITHUB = "/rotate", "/slack/commands", "/slack/interactions", "/github"
WRONG_KEY = "whsec_" + base64.b64encode(b"nobody's key, nobody's key").decode()
NEW = {"credential": "open"}
STALE, EARLY = -301, 400


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    allow = {"slack": [{"team": ask.TEAM, "users": [ask.ALICE, ask.BOB]}], "webhook": ["local"]}
    tenant.managed("open", "+150d", 30, allow=allow)
    tenant.managed("guarded", "+150d", 30, allow=allow, approval="required")
    tenant.managed("closed", "+150d", 30)
    tenant.managed("elsewhere", "+150d", 30, allow={"webhook": ["other"]})
    tenant.rules.append({"match": {"tag": "keywheel"}, "secret": "keywheel/entra/{appId}", "allow": allow})
    return start(tenant)


def without(request: ask.Request, header: str) -> ask.Request:
    del request.headers[header]
    return request


def changed(request: ask.Request, header: str, value: str) -> ask.Request:
    assert header in request.headers
    request.headers[header] = value
    return request


def body(request: ask.Request, to: bytes) -> ask.Request:
    assert request.body != to
    request.body = to
    return request


def moved(request: ask.Request, path: str) -> ask.Request:
    request.path = path
    return request


def as_method(request: ask.Request, method: str) -> ask.Request:
    request.method = method
    return request


def flipped(signature: str) -> str:
    return signature[:-6] + ("A" if signature[-6] != "A" else "B") + signature[-5:]


def signed(stack: Stack, content: bytes | str | dict[str, Any]) -> ask.Request:
    content = json.dumps(content) if isinstance(content, dict) else content
    if isinstance(content, bytes):
        # Signed as text, sent as bytes: only for what is the same in both.
        content = content.decode()
    return ask.signed(stack, "POST", ROTATE, content)


def old(stack: Stack) -> ask.Request:
    return ask.rotate(stack, "open", at=ask.now() + STALE)


def key(request: ask.Request) -> str:
    return request.headers["webhook-signature"]


def code(request: ask.Request) -> str:
    return request.headers["X-Slack-Signature"]


ID = str(uuid.UUID(int=7))

UNSIGNED: dict[str, Callable[[Stack], ask.Request]] = {
    # Standard Webhooks
    "no header at all": lambda s: ask.Request("POST", ROTATE, b'{"credential":"open"}'),
    "no id": lambda s: without(ask.rotate(s, "open"), "webhook-id"),
    "no timestamp": lambda s: without(ask.rotate(s, "open"), "webhook-timestamp"),
    "no signature": lambda s: without(ask.rotate(s, "open"), "webhook-signature"),
    "empty signature": lambda s: changed(ask.rotate(s, "open"), "webhook-signature", ""),
    "signature cut short": lambda s: changed(r := ask.rotate(s, "open"), "webhook-signature", key(r)[:-4]),
    "signature with one bit flipped": lambda s: changed(
        r := ask.rotate(s, "open"), "webhook-signature", flipped(key(r))),
    "signature of another version": lambda s: changed(
        r := ask.rotate(s, "open"), "webhook-signature", key(r).replace("v1,", "v2,")),
    "signature without its version": lambda s: changed(r := ask.rotate(s, "open"), "webhook-signature", key(r)[3:]),
    "another's key": lambda s: ask.rotate(s, "open", key=WRONG_KEY),
    "another's id": lambda s: changed(ask.rotate(s, "open"), "webhook-id", "msg_other"),
    "id with a full stop": lambda s: ask.rotate(s, "open", delivery="msg.1"),
    "id that is endless": lambda s: ask.rotate(s, "open", delivery="m" * 257),
    "another timestamp": lambda s: changed(
        r := ask.rotate(s, "open"), "webhook-timestamp", str(int(r.headers["webhook-timestamp"]) + 1)),
    "stale": old,
    "from the future": lambda s: ask.rotate(s, "open", at=ask.now() + EARLY),
    "timestamp in words": lambda s: changed(ask.rotate(s, "open"), "webhook-timestamp", "now"),
    "timestamp with a sign": lambda s: changed(
        r := ask.rotate(s, "open"), "webhook-timestamp", "+" + r.headers["webhook-timestamp"]),
    "another body": lambda s: body(ask.rotate(s, "open"), b'{"credential":"closed"}'),
    "body cut short": lambda s: body(r := ask.rotate(s, "open"), r.body[:-1]),
    "body with a blank more": lambda s: body(r := ask.rotate(s, "open"), r.body + b" "),
    "signed for Slack": lambda s: moved(ask.command(s, "rotate open"), ROTATE),
    "rotation unsigned": lambda s: ask.Request("GET", f"/rotations/open/{ID}"),
    "rotation of another's signature": lambda s: moved(ask.rotation(s, "open", ID), f"/rotations/closed/{ID}"),
    "rotation stale": lambda s: ask.rotation(s, "open", ID, at=ask.now() + STALE),
    # Slack
    "Slack without a signature": lambda s: without(ask.command(s, "rotate open"), "X-Slack-Signature"),
    "Slack without a timestamp": lambda s: without(ask.command(s, "rotate open"), "X-Slack-Request-Timestamp"),
    "Slack with another secret": lambda s: ask.command(s, "rotate open", secret=secrets.token_hex(16)),
    "Slack with a bit flipped": lambda s: changed(
        r := ask.command(s, "rotate open"), "X-Slack-Signature", code(r)[:-1] + ("0" if code(r)[-1] != "0" else "1")),
    "Slack cut short": lambda s: changed(r := ask.command(s, "rotate open"), "X-Slack-Signature", code(r)[:-2]),
    "Slack's version 1": lambda s: changed(
        r := ask.command(s, "rotate open"), "X-Slack-Signature", code(r).replace("v0=", "v1=")),
    "Slack stale": lambda s: ask.command(s, "rotate open", at=ask.now() + STALE),
    "Slack from the future": lambda s: ask.command(s, "rotate open", at=ask.now() + EARLY),
    "Slack with another body": lambda s: body(r := ask.command(s, "rotate open"), r.body.replace(b"open", b"closed")),
    "a button with another body": lambda s: body(r := ask.press(s, ID), r.body.replace(b"U0BOB", b"U0EVE")),
    "a button stale": lambda s: ask.press(s, ID, at=ask.now() + STALE),
    "signed by a webhook's key": lambda s: moved(ask.rotate(s, "open"), COMMANDS),
    # GitHub
    "GitHub unsigned": lambda s: without(ask.github(s, ask.alert(1)), "X-Hub-Signature-256"),
    "GitHub with another secret": lambda s: ask.github(s, ask.alert(1), secret="another secret"),
    "GitHub by SHA-1": lambda s: changed(ask.github(s, ask.alert(1)), "X-Hub-Signature-256", "sha1=" + "0" * 40),
    "GitHub with another body": lambda s: body(r := ask.github(s, ask.alert(1)), r.body.replace(b"1", b"2")),
}

REFUSED: dict[str, tuple[int, Callable[[Stack], ask.Request]]] = {
    # whoever signed may not
    "not the caller's": (403, lambda s: ask.rotate(s, "closed")),
    "another system's": (403, lambda s: ask.rotate(s, "elsewhere")),
    "not there": (403, lambda s: ask.rotate(s, "nowhere")),
    "approval needs people": (403, lambda s: ask.rotate(s, "guarded")),
    "a rule's pattern without the rule's tag": (409, lambda s: ask.rotate(s, f"keywheel/entra/{uuid.uuid4()}")),
    "by its secret's name": (403, lambda s: ask.rotate(s, "keywheel/open")),
    # signed garbage
    "not JSON": (400, lambda s: signed(s, "rotate open")),
    "a list": (400, lambda s: signed(s, '["open"]')),
    "cut-off JSON": (400, lambda s: signed(s, '{"credential": "open"')),
    "an unknown field": (400, lambda s: signed(s, NEW | {"force": True})),
    "an unknown word": (400, lambda s: signed(s, NEW | {"revoke_old": "later"})),
    "a field twice over": (400, lambda s: signed(s, {"credential": ["open"]})),
    "no name": (400, lambda s: signed(s, {"credential": ""})),
    "nothing": (400, lambda s: signed(s, "")),
    "an endless reason": (400, lambda s: signed(s, NEW | {"reason": "x" * 501})),
    "Slack without a user": (400, lambda s: ask.slack(s, COMMANDS, {"text": "rotate open"})),
    "Slack's garbage": (400, lambda s: ask.slack(s, INTERACTIONS, {"payload": "{"})),
    "an answer that goes elsewhere": (
        400, lambda s: ask.command(s, "rotate open", response_url="https://evil.example/hook")),
    "an answer to the metadata service": (
        400, lambda s: ask.command(s, "rotate open", response_url="http://169.254.169.254/latest")),
    "GitHub's garbage": (400, lambda s: ask.github(s, {"action": "created"})),
    "GitHub's repository that steps up": (400, lambda s: ask.github(s, ask.alert(1, repository="../../user"))),
    # before any signature is looked at
    "too large": (413, lambda s: signed(s, NEW | {"reason": "x" * 20_000})),
    "too large for Slack": (413, lambda s: ask.command(s, "rotate open " + "x" * 70_000)),
    "too large for GitHub": (413, lambda s: ask.github(s, ask.alert(1) | {"more": "x" * 1_100_000})),
    "too large for Lambda": (413, lambda s: ask.Request("POST", GITHUB, b"x" * 6_400_000)),
    "GET /rotate": (405, lambda s: as_method(body(ask.rotate(s, "open"), b""), "GET")),
    "PUT /rotate": (405, lambda s: as_method(ask.rotate(s, "open"), "PUT")),
    "DELETE a rotation": (405, lambda s: as_method(ask.rotation(s, "open", ID), "DELETE")),
    "POST the document": (405, lambda s: moved(ask.rotate(s, "open"), "/openapi.json")),
    "GET Slack": (405, lambda s: as_method(body(ask.command(s, "help"), b""), "GET")),
    "nowhere": (404, lambda s: moved(ask.rotate(s, "open"), "/")),
    "a slash too many": (404, lambda s: moved(ask.rotate(s, "open"), "/rotate/")),
    "a step up": (404, lambda s: moved(ask.rotate(s, "open"), "/x/../rotate")),
    "no rotation": (404, lambda s: ask.rotation(s, "open", ID)),
    "no id of a rotation": (404, lambda s: ask.rotation(s, "open", "7")),
    "a rotation of another's": (404, lambda s: ask.rotation(s, "closed", ID)),
}

TOLD: dict[str, tuple[str, Callable[[Stack], ask.Request]]] = {
    # Slack shows people nothing but answers with status 200.
    "a stranger": ("does not let you", lambda s: ask.command(s, "rotate open", user=ask.MALLORY)),
    "another workspace": ("does not let you", lambda s: ask.command(s, "rotate open", team="T0OTHER01")),
    "nobody may": ("does not let you", lambda s: ask.command(s, "rotate closed")),
    "no such credential": ("does not let you", lambda s: ask.command(s, "rotate nowhere")),
    "no command": ("does not know", lambda s: ask.command(s, "obliterate open")),
    "no name": ("does not know", lambda s: ask.command(s, "rotate --now")),
}


def nothing_came_of_it(world: World) -> None:
    assert world.jobs() == []
    assert world.events("keywheel.rotation.requested") == []
    objects = world.client("s3").list_objects_v2(Bucket=world.stack.env["KEYWHEEL_STATE_BUCKET"])
    assert not [one["Key"] for one in objects.get("Contents", []) if one["Key"].startswith(("requests/", "approvals/"))]


def test_the_table_is_long_enough() -> None:
    assert len(UNSIGNED) >= 40 and len(UNSIGNED) + len(REFUSED) + len(TOLD) >= 80


def test_no_failed_signature_can_be_told_from_another(world: World) -> None:
    answers = {name: make(world.stack).send(world.stack) for name, make in UNSIGNED.items()}
    assert {name: answer.status for name, answer in answers.items() if answer.status != 401} == {}
    assert {answer.body for answer in answers.values()} == {answers["stale"].body}
    shown = [{k: v for k, v in answer.headers.items() if k not in ("date", "x-amzn-requestid", "x-amzn-trace-id")}
             for answer in answers.values()]
    assert all(headers == shown[0] for headers in shown)
    assert shown[0]["content-type"] == "application/problem+json" and "www-authenticate" in shown[0]
    assert answers["stale"].json == {"type": "about:blank", "title": "Unauthorized", "status": 401,
                                     "detail": "the request is not signed as it must be"}
    nothing_came_of_it(world)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused(world: World, name: str) -> None:
    status, make = REFUSED[name]
    answer = make(world.stack).send(world.stack)
    assert answer.status == status, answer
    if name != "too large for Lambda":  # which never reaches the function
        assert answer.json["status"] == status and answer.headers["content-type"] == "application/problem+json"
    assert ("allow" in answer.headers) == (status == 405)
    nothing_came_of_it(world)


def test_what_is_not_theirs_looks_like_what_is_not_there(world: World) -> None:
    bodies = {ask.rotate(world.stack, name).send(world.stack).body for name in ("closed", "elsewhere", "nowhere")}
    assert len(bodies) == 1


@pytest.mark.parametrize("name", TOLD)
def test_a_person_is_told(world: World, name: str) -> None:
    words, make = TOLD[name]
    answer = make(world.stack).send(world.stack)
    assert (answer.status, answer.json["response_type"]) == (200, "ephemeral")
    assert words in answer.json["text"] and block_kit.problems(answer.json) == [], answer.json
    nothing_came_of_it(world)


def test_a_replayed_command_is_refused(world: World) -> None:
    """Last of all: the first sending of each is done."""
    command = ask.command(world.stack, "rotate open")
    assert command.send(world.stack).status == 200
    assert command.send(world.stack).status == 409
    question = ask.command(world.stack, "rotate guarded")
    assert question.send(world.stack).status == 200
    assert question.send(world.stack).status == 409
    request = ask.rotate(world.stack, "open")
    assert [request.send(world.stack).status for _ in range(3)] == [202, 409, 409]
    world.rest()
    assert len(world.jobs()) == 2
