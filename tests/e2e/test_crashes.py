"""Functions die in the middle of their work, again and again: the next ones go on, and nothing is left over."""

from __future__ import annotations

import time
from collections.abc import Callable

from keywheel_local.tenant import Tenant
from keywheel_local.world import World, until

VISIBILITY = 12  # seconds until a message of a dead function comes back


def test_killed_functions_leave_nothing_behind(start: Callable[..., World]):
    tenant = Tenant()
    for number in range(3):
        tenant.managed(f"expiring-{number}", "+10d", 170)
        tenant.credential(f"first-{number}")
    world = start(tenant, visibility=VISIBILITY)
    before = {name: world.current(one.secret)[0] for name, one in tenant.credentials.items()}
    world.sweep()
    kill_at(world, lambda: written(world) >= 2)
    kill_at(world, lambda: written(world) >= 8)
    world.rest(120)
    assert any(call["error"] for call in world.invocations("rotate")), "no function was killed at its work"
    for _ in range(5):
        world.advance(hours=25)  # past each overlap, also where no kill left anything to do
        answer = world.sweep_to_rest()
        if not answer["queued"] and not world.orphans():
            break
    else:
        raise AssertionError(f"not at rest: {answer}, {world.orphans()}")
    for name, one in tenant.credentials.items():
        version, key = world.current(one.secret)
        assert version != before[name], f"{name} was not rotated"
        assert set(world.keys(one)) == {key}, f"{name} has a key too many"
        assert world.signs_in(one), name
        promoted = [event for event in world.events("keywheel.rotation.promoted") if event["subject"] == name]
        assert [event["data"]["version"] for event in promoted] == [version], f"{name}: one promotion, one record"


def written(world: World) -> int:
    """How many calls to Graph minted a key so far."""
    return sum(call["operation"] == "addPassword" for call in world.stack.admin("GET", "requests"))


def kill_at(world: World, moment: Callable[[], object]) -> None:
    """Kill all processes of the rotate function as soon as this holds."""
    name = world.stack.env["KEYWHEEL_ROTATE_FUNCTION"]
    deadline = time.monotonic() + 40
    while not moment() and time.monotonic() < deadline and world.busy():
        time.sleep(0.02)
    until(lambda: world.stack.local("POST", "functions/kill", {"function": name})["killed"] or not world.busy(),
          "there was a process to kill", 40)
