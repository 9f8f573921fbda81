"""What came of a rotation that somebody asked for: in the secret, in Slack, on the record."""

from __future__ import annotations

import json

from . import block_kit
from .stand_in import StandIn
from .tenant import Credential
from .world import World, until


def turned(world: World, one: Credential, rotation: str) -> None:
    """The secret was turned by this rotation, and the new one works."""
    world.rest()
    version, key = world.current(one.secret)
    assert version == rotation != one.current.rotation
    assert key != one.current.key.key_id and world.signs_in(one)


def told(channel: StandIn, path: str, words: str) -> list[dict]:
    """Slack's messages at this path with these words, each valid Block Kit; waits for the first."""
    def messages() -> list[dict]:
        return [one for one in (request.json for request in channel.received(path)) if words in json.dumps(one)]

    until(lambda: bool(messages()), f"{words} is told in Slack")
    assert [problem for message in messages() for problem in block_kit.problems(message)] == []
    return messages()


def posted(channel: StandIn, path: str, *words: str) -> list[dict]:
    """What was told at a ``response_url`` with any of these words. A rotation's steps are told there too."""
    messages = [request.json for request in channel.received(path)]
    assert [problem for message in messages for problem in block_kit.problems(message)] == []
    return [message for message in messages if any(each in message["text"] for each in words)]


def recorded(world: World, one: Credential) -> None:
    """The credential's chain is whole, and holds each event told of it."""
    until(lambda: not world.waiting("KEYWHEEL_AUDIT_QUEUE_URL") and not world.busy(), "all is recorded")
    verified = world.stack.keywheel("audit", "verify", one.name)
    assert verified.returncode == 0, verified
    record = world.stack.keywheel("audit", "export", one.name).stdout
    for event in world.events():
        if event["subject"] == one.name:
            assert event["id"] in record, event["type"]


def jobs_of(world: World, one: Credential) -> list[dict]:
    return [job for job in world.jobs() if job["credential"] == one.name]
