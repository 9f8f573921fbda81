"""Block Kit's published limits (docs.slack.dev/reference/block-kit), for the blocks that Keywheel uses."""

from __future__ import annotations

import re
from typing import Any

MOST_BLOCKS, MOST_FIELDS, MOST_ELEMENTS = 50, 10, 10
HEADER, TEXT, FIELD, BLOCK_ID = 150, 3000, 2000, 255
ESCAPED = re.compile(r"&(?!(amp|lt|gt);)|<(?![@#!]|https?://|mailto:)")


def problems(message: dict[str, Any]) -> list[str]:
    """What Slack would refuse in a message, or not show as it is meant."""
    found: list[str] = []
    known = {"text", "blocks", "replace_original", "response_type", "unfurl_links", "unfurl_media"}
    found += [f"unknown member {name}" for name in message.keys() - known]
    if not isinstance(message.get("text"), str) or not message["text"]:
        found.append("no text for notifications and screen readers")
    blocks = message.get("blocks")
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= MOST_BLOCKS:
        return [*found, f"1 to {MOST_BLOCKS} blocks are possible"]
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)) or any(not 1 <= len(one) <= BLOCK_ID for one in ids):
        found.append("block_ids are unique, and of 1 to 255 characters")
    for index, block in enumerate(blocks):
        found += [f"block {index}: {problem}" for problem in _block(block)]
    return found


def _block(block: dict[str, Any]) -> list[str]:
    match block.get("type"):
        case "header":
            return _members(block, {"text"}) + _text(block.get("text"), HEADER, {"plain_text"})
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
        case "divider":
            return _members(block, set())
        case other:
            return [f"unknown type {other!r}"]


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
