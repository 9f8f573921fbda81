"""Block Kit's published limits (docs.slack.dev/reference/block-kit), for the blocks that Keywheel uses."""

from __future__ import annotations

import re
from typing import Any

MOST_BLOCKS, MOST_FIELDS, MOST_ELEMENTS, MOST_ACTIONS = 50, 10, 10, 25
HEADER, TEXT, FIELD, BLOCK_ID = 150, 3000, 2000, 255
BUTTON, ACTION_ID, VALUE, URL, LABEL = 75, 255, 2000, 3000, 75
CONFIRM = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
STYLES, RESPONSES = {"primary", "danger"}, {"ephemeral", "in_channel"}
PLAIN = frozenset({"plain_text"})
TEXTS = 9597  # characters of all blocks: so many were seen to be taken, 11,341 to be refused (msg_blocks_too_long)
MESSAGE = 40_000  # characters of the text beside the blocks; Slack cuts longer ones
# A character that must be an entity, and markup that is begun and not ended.
ESCAPED = re.compile(r"&(?!(amp|lt|gt);)|<(?![@#!]|https?://|mailto:)|<[^>]*(?:<|$)")


def problems(message: dict[str, Any]) -> list[str]:
    """What Slack would refuse in a message, or not show as it is meant."""
    found: list[str] = []
    known = {"text", "blocks", "replace_original", "response_type", "unfurl_links", "unfurl_media"}
    found += [f"unknown member {name}" for name in message.keys() - known]
    if not isinstance(message.get("text"), str) or not message["text"]:
        found.append("no text for notifications and screen readers")
    elif len(message["text"]) > MESSAGE or ESCAPED.search(message["text"]):
        found.append(f"the text is too long, or not escaped: {message['text']}")
    if message.get("response_type", "ephemeral") not in RESPONSES:
        found.append(f"response_type is one of {sorted(RESPONSES)}")
    blocks = message.get("blocks")
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= MOST_BLOCKS:
        return [*found, f"1 to {MOST_BLOCKS} blocks are possible"]
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)) or any(not 1 <= len(one) <= BLOCK_ID for one in ids):
        found.append("block_ids are unique, and of 1 to 255 characters")
    if (length := _length(blocks)) > TEXTS:
        found.append(f"the texts of all blocks have {length} characters")
    for index, block in enumerate(blocks):
        found += [f"block {index}: {problem}" for problem in _block(block)]
    return found


def _length(value: Any) -> int:
    match value:
        case list():
            return sum(map(_length, value))
        case {"text": str(text)}:
            return len(text)
        case dict():
            return sum(map(_length, value.values()))
    return 0


def _block(block: dict[str, Any]) -> list[str]:
    match block.get("type"):
        case "header":
            return _members(block, {"text"}) + _text(block.get("text"), HEADER, PLAIN)
        case "section":
            fields = block.get("fields")
            if "text" not in block and fields is None:
                return ["a section has a text or fields"]
            found = _members(block, {"text", "fields", "accessory", "expand"})
            if "text" in block:
                found += _text(block["text"], TEXT)
            if fields is not None and not 1 <= len(fields) <= MOST_FIELDS:
                found.append(f"1 to {MOST_FIELDS} fields are possible")
            return found + [problem for field in fields or [] for problem in _text(field, FIELD)]
        case "context":
            elements = block.get("elements") or []
            found = _members(block, {"elements"})
            if not 1 <= len(elements) <= MOST_ELEMENTS:
                found.append(f"1 to {MOST_ELEMENTS} elements are possible")
            return found + [problem for element in elements for problem in _text(element, TEXT)]
        case "actions":
            elements = block.get("elements") or []
            found = _members(block, {"elements"})
            if not 1 <= len(elements) <= MOST_ACTIONS:
                found.append(f"1 to {MOST_ACTIONS} elements are possible")
            ids = [element["action_id"] for element in elements if "action_id" in element]
            if len(ids) != len(set(ids)):
                found.append("action_ids are unique within a block")
            return found + [problem for element in elements for problem in _button(element)]
        case "divider":
            return _members(block, set())
        case other:
            return [f"unknown type {other!r}"]


def _button(button: dict[str, Any]) -> list[str]:
    """The one element of ``actions`` that Keywheel uses."""
    if button.get("type") != "button":
        return [f"unknown element {button.get('type')!r}"]
    known = {"text", "action_id", "value", "url", "style", "confirm", "accessibility_label"}
    found = [f"unknown member {name}" for name in button.keys() - known - {"type"}]
    found += _text(button.get("text"), BUTTON, PLAIN)
    for name, limit in (("action_id", ACTION_ID), ("value", VALUE), ("url", URL), ("accessibility_label", LABEL)):
        if name in button and not (isinstance(button[name], str) and 1 <= len(button[name]) <= limit):
            found.append(f"{name} has 1 to {limit} characters")
    if "style" in button and button["style"] not in STYLES:
        found.append(f"style is one of {sorted(STYLES)}, or left out")
    return found + (_confirm(button["confirm"]) if "confirm" in button else [])


def _confirm(dialog: Any) -> list[str]:
    if not isinstance(dialog, dict):
        return ["confirm is an object"]
    found = [f"confirm: unknown member {name}" for name in dialog.keys() - CONFIRM.keys() - {"style"}]
    if "style" in dialog and dialog["style"] not in STYLES:
        found.append(f"confirm: style is one of {sorted(STYLES)}, or left out")
    return found + [f"confirm: {problem}" for name, limit in CONFIRM.items()
                    for problem in _text(dialog.get(name), limit, PLAIN)]


def _members(block: dict[str, Any], known: set[str]) -> list[str]:
    return [f"unknown member {name}" for name in block.keys() - known - {"type", "block_id"}]


def _text(text: Any, limit: int, types: frozenset[str] | set[str] = frozenset({"plain_text", "mrkdwn"})) -> list[str]:
    if not isinstance(text, dict) or text.get("type") not in types:
        return [f"a text object of {sorted(types)} is needed"]
    plain = text["type"] == "plain_text"
    found = [f"unknown member {name}" for name in text.keys() - {"type", "text", "emoji" if plain else "verbatim"}]
    words = text.get("text")
    if not isinstance(words, str) or not 1 <= len(words) <= limit:
        return [*found, f"a text has 1 to {limit} characters"]
    if not plain and ESCAPED.search(words):
        found.append(f"not escaped: {words}")
    return found
