"""The checker of Block Kit refuses what Slack's reference refuses: or no message that passes it proves anything."""

from __future__ import annotations

import pytest
from keywheel_local.block_kit import problems


def plain(text: str) -> dict:
    return {"type": "plain_text", "text": text}


def message(*blocks: dict, **more: object) -> dict:
    return {"text": "x", "blocks": list(blocks), **more}


def section(text: str) -> dict:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def actions(*elements: dict) -> dict:
    return {"type": "actions", "elements": list(elements)}


def button(**more: object) -> dict:
    return {"type": "button", "action_id": "a", "value": "v", "text": plain("Approve")} | more


CONFIRM = {"title": plain("t"), "text": plain("t"), "confirm": plain("Yes"), "deny": plain("No")}
GOOD = {
    "text": message(section("a &amp; <@U1> <!date^1800000000^{date}|then> <https://x|y>")),
    "button": message(actions(button(style="primary"), button(action_id="b", style="danger", confirm=CONFIRM))),
    "two buttons": message(actions(button(style="primary"), button(action_id="b", style="danger", text=plain("Deny")))),
    "longest": message(actions(button(text=plain("x" * 75), action_id="x" * 255, value="x" * 2000))),
    "context": message({"type": "context", "elements": [plain("x")] * 10}),
    "answer": message(section("x"), response_type="in_channel", replace_original=True),
}
BAD = {
    "a word that must be escaped": message(section("a & b")),
    "an entity cut off": message(section("a &l")),
    "markup cut off": message(section("a <!date^1800000000^{da")),
    "markup within markup": message(section("<!date^1 <@U1>")),
    "a text that is not escaped": message(section("x"), text="a & b"),
    "an unknown answer": message(section("x"), response_type="public"),
    "a text that is too long": message(section("x" * 3001)),
    "a text too many": message(*[section("x")] * 51),
    "texts too long in sum": message(*[section("x" * 2900)] * 4),
    "no action": message(actions()),
    "too many actions": message(actions(*[button(action_id=str(n)) for n in range(26)])),
    "two of one id": message(actions(button(), button())),
    "something else than a button": message(actions({"type": "overflow"})),
    "a button without words": message(actions(button(text=None))),
    "a button in markup": message(actions(button(text={"type": "mrkdwn", "text": "x"}))),
    "a button's words": message(actions(button(text=plain("x" * 76)))),
    "an action's id": message(actions(button(action_id="x" * 256))),
    "an action without an id's text": message(actions(button(action_id=""))),
    "a value": message(actions(button(value="x" * 2001))),
    "a value that is no text": message(actions(button(value=7))),
    "a style": message(actions(button(style="default"))),
    "a member": message(actions(button(colour="red"))),
    "a dialog without a way out": message(actions(button(confirm={k: v for k, v in CONFIRM.items() if k != "deny"}))),
    "a dialog's words": message(actions(button(confirm=CONFIRM | {"confirm": plain("x" * 31)}))),
    "too much context": message({"type": "context", "elements": [plain("x")] * 11}),
    "no context": message({"type": "context", "elements": []}),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_slack_takes_is_taken(name: str):
    assert problems(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_what_slack_refuses_is_found(name: str):
    assert problems(BAD[name])
