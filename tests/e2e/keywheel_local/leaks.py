"""Secrets stay secret: looks for every text that was ever a client secret in all that was written down."""

from __future__ import annotations

import json

from .world import World

MOST = 2_000  # secrets that are looked for, the newest ones


def written(world: World) -> dict[str, str]:
    """Everything that functions, queues, events and logs hold, by where it was found."""
    stack = world.stack
    places = {f"local AWS: {path}": json.dumps(stack.local("GET", path)) for path in ("logs", "sent", "invocations")}
    places |= {path.name: path.read_text(errors="replace") for path in stack.settings.home.glob("*.log")}
    places["the emulator's requests"] = json.dumps(stack.admin("GET", "requests"))
    return places


def found(world: World, texts: list[str]) -> list[str]:
    """Where any of these texts is written (with its beginning only)."""
    return [f"{place}: {text[:4]}… at {whole.index(text)}"
            for place, whole in written(world).items() for text in texts if text in whole]


def check(world: World) -> None:
    """Fails with the places (never the secrets) that hold a secret's text."""
    secrets = [text for text in world.stack.admin("GET", "secrets") if len(text) >= 16][-MOST:]
    assert secrets, "the emulator has made no secret: there is nothing to look for"
    secrets += [text for name, text in world.stack.env.items() if name.startswith("KEYWHEEL_LOCAL_")]
    assert not (leaks := found(world, secrets)), leaks
