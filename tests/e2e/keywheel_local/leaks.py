"""Secrets stay secret: looks for every text that was ever a client secret in all that was written down."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from .world import World

# What a client secret has at a fixed place: Entra's (tests/azure/src/dice.rs), and those of the tests (tenant.Key).
MARKS = {"8Q~": 3, "Sd~": 0}
MARK = re.compile("|".join(MARKS))
FEW = 50  # texts without a mark; each is looked for by itself
SHORTEST = 16
OURS = "env", "pids.json", "bootstrap"  # what the tests themselves put into a deployment's folder


class Net:
    """Finds any of very many texts in one pass: a mark says where one may begin, and a set whether one does."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._marked: set[str] = set()
        self._plain: set[str] = set()
        for text in texts:
            marked = any(text.startswith(mark, at) for mark, at in MARKS.items())
            (self._marked if marked else self._plain).add(text)
        self._lengths = sorted({len(text) for text in self._marked})
        assert len(self._plain) <= FEW, f"{len(self._plain)} secrets have no mark: the search would take for ever"

    def caught(self, whole: str) -> Iterator[tuple[str, int]]:
        """Texts and where they are, written as they are or percent-encoded."""
        yield from self._caught(whole)
        if "%" in whole:
            yield from self._caught(unquote(whole))

    def _caught(self, whole: str) -> Iterator[tuple[str, int]]:
        for mark in MARK.finditer(whole):
            begin = mark.start() - MARKS[mark[0]]
            for length in self._lengths:
                if begin >= 0 and (text := whole[begin:begin + length]) in self._marked:
                    yield text, begin
        for text in self._plain:
            if (at := whole.find(text)) >= 0:
                yield text, at


def written(world: World) -> dict[str, str]:
    """Everything that functions, queues, events, buckets, labels and logs hold, by where it was found."""
    stack, home = world.stack, world.stack.settings.home
    places = {f"local AWS: {path}": json.dumps(stack.local("GET", path)) for path in ("logs", "sent", "invocations")}
    places |= {f"S3: {name}": text for name, text in stack.local("GET", "objects").items()}
    places |= {str(path.relative_to(home)): path.read_text(errors="replace")
               for path in home.rglob("*") if path.is_file() and path.name not in OURS}
    secrets = world.client("secretsmanager").get_paginator("list_secrets").paginate()
    places["labels of secrets"] = json.dumps([page["SecretList"] for page in secrets], default=str)
    places["the emulator's requests"] = json.dumps(stack.admin("GET", "requests"))
    return places


def every_secret(world: World) -> list[str]:
    """Every text that ever signed anybody in, and every key that the deployment verifies requests with."""
    texts = world.stack.admin("GET", "secrets")
    assert texts, "the emulator has made no secret: there is nothing to look for"
    assert not (short := [len(text) for text in texts if len(text) < SHORTEST]), f"too short to look for: {short}"
    return texts + [text for name, text in world.stack.env.items() if name.startswith("KEYWHEEL_LOCAL_")]


def found(world: World, texts: Iterable[str]) -> list[str]:
    """Where any of these texts is written (with its beginning only)."""
    net = Net(texts)
    return [f"{place}: {text[:4]}… at {at}"
            for place, whole in written(world).items() for text, at in dict(net.caught(whole)).items()]


def check(world: World) -> None:
    """Fails with the places (never the secrets) that hold a secret's text."""
    assert not (leaks := found(world, every_secret(world))), leaks
