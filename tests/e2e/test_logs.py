"""However much the functions are asked to say, they say nothing that signs anybody in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from keywheel_local.fleet import Fleet
from keywheel_local.world import World

# A client secret in use is looked for at the module's end, in all that was written (keywheel_local.leaks).
TOKENS = re.compile(r"eyJ[\w-]{10,}\.|Bearer |Authorization|client_secret=|AWS4-HMAC|secretText", re.IGNORECASE)


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    """The template hands `LogLevel` on as KEYWHEEL_LOG and as RUST_LOG."""
    return start(Fleet(), parameters={"LogLevel": "trace"})


def test_at_trace_no_token_header_or_body_is_told(world: World):
    world.sweep_to_rest()
    logs = world.stack.local("GET", "logs")
    told = json.dumps(logs)
    assert '\\"level\\":\\"INFO\\"' in told or '"level":"INFO"' in told, told[:2000]
    assert not (found := TOKENS.search(told)), told[max(0, found.start() - 300):found.start()]
    targets = set(re.findall(r'\\*"target\\*":\\*"(\w+)', told))
    assert targets and all(target.startswith("keywheel") for target in targets), targets


def test_a_failure_names_its_part_and_its_cure(world: World):
    answer = world.stack.invoke("sweep", {"dryrun": True})
    assert answer["error"] and answer["result"]["errorType"] == "keywheel.event", answer
    assert '{"dry_run": true}' in answer["result"]["errorMessage"]
