"""Nothing is lost: a fleet is rotated over and over while everything around it fails, and every promise is counted.

The deployed functions run between the emulated Entra and the local AWS, both of which lose answers, cut and stall
connections, throttle and fail; function processes are killed at random; tokens expire.
A witness signs in all the while with whatever is current, and with what it cached for the overlap.
"""

from __future__ import annotations

import datetime
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from . import audit, leaks
from .tenant import DEFAULTS, Tenant
from .witness import Witness
from .world import SCHEDULED, TooLate, World, until

OVERLAP = datetime.timedelta(hours=24)
AGE = 155  # days until a key of 180 days is due, and a little more
AZURE = {
    "propagation": {"keys": {"min_seconds": 0, "max_seconds": 1}, "deletions": {"min_seconds": 0, "max_seconds": 3}},
    "rules": [
        {"kind": "lost_answer", "operation": "graph", "probability": 0.04},
        {"kind": "cut_connection", "operation": "graph", "probability": 0.02},
        {"kind": "cut_body", "operation": "read", "probability": 0.02},
        {"kind": "slow", "operation": "graph", "probability": 0.02, "delay_ms": 3000},
        {"kind": "too_many_requests", "operation": "graph", "probability": 0.04, "retry_after_seconds": 1},
        {"kind": "server_error", "operation": "graph", "probability": 0.03},
        {"kind": "server_error_after_work", "operation": "removePassword", "probability": 0.2},
        {"kind": "concurrency_violation", "operation": "addPassword", "probability": 0.1},
        {"kind": "unavailable", "operation": "token", "probability": 0.02},
    ],
}
AWS = [{"kind": kind, "service": service, "probability": probability, "seed": seed}
       for seed, (service, kind, probability) in enumerate([
           ("secretsmanager", "lost_answer", 0.03), ("secretsmanager", "error", 0.03),
           ("secretsmanager", "throttle", 0.03), ("events", "lost_answer", 0.04), ("events", "error", 0.04),
           ("sqs", "lost_answer", 0.1), ("sqs", "error", 0.1)])]


class Killer:
    """Kills the rotate function's processes at random moments, for as long as its block runs."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self.killed = 0
        self._world, self._dice, self._stop = world, dice, threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        name = self._world.stack.env["KEYWHEEL_ROTATE_FUNCTION"]
        while not self._stop.wait(self._dice.uniform(2, 8)):
            self.killed += self._world.stack.local("POST", "functions/kill", {"function": name, "most": 1})["killed"]


def orphans(world: World) -> list[str]:
    """Keys of Keywheel's beside the one that is current."""
    state = world.stack.admin("GET", "state")
    keys = {one["app_id"]: one["passwords"] for one in state["applications"]}
    lost = []
    for one in world.tenant.credentials.values():
        _, current = world.current(one.secret)
        ours = f"keywheel/{one.scope}/"
        lost += [f"{one.name}: {key['key_id']}" for key in keys[one.app.app_id]
                 if (key["display_name"] or "").startswith(ours) and key["key_id"] != current]
    return lost


def sweep(world: World) -> list[dict]:
    """A sweep that a fault fails is started again, as the next schedule would."""
    for _ in range(20):
        answer = world.stack.invoke("sweep", SCHEDULED)
        if not answer["error"]:
            return answer["result"]["queued"]
    raise TooLate(f"no sweep of 20 got through; the last: {answer['error']}")


def rest(world: World, seconds: float = 400) -> None:
    """Wait until no job is left. While no function runs, nobody waits for messages to be visible again."""
    def at_rest() -> bool:
        busy = world.busy()
        if set(busy) == {"jobs"}:
            world.stack.local("POST", "queues/advance", {"advance_seconds": 60})
        return not busy

    until(at_rest, "no job is left", seconds, pause=1)


def sweep_to_rest(world: World, witness: Witness, days: int = 8) -> None:
    for _ in range(days):
        queued = sweep(world)
        rest(world)
        if not queued:
            return
        witness.advance(hours=26)
    raise TooLate(f"not at rest after {days} days: {queued[:5]}")


def unrecorded(world: World) -> list[str]:
    """Keys that came or went without a record."""
    made = {event["data"]["key"] for event in world.events("keywheel.key.minted")}
    gone = {event["data"]["key"] for event in world.events("keywheel.key.removed")}
    state = world.stack.admin("GET", "state")
    there = {key["key_id"] for one in state["applications"] for key in one["passwords"]}
    seeded = {key.key_id for app in world.tenant.apps for key in app.keys}
    return [*(f"{key}: no record that it came" for key in there - made - seeded),
            *(f"{key}: no record that it went" for key in (made | seeded) - there - gone)]


def untraced(world: World) -> list[str]:
    """Events of the bus that are not once in a whole chain of the audit trail."""
    code, shape = audit.verify(world)
    recorded = Counter(json.loads(line)["event"]["id"] for line in audit.exported(world))
    told = {event["id"] for event in audit.told(world)}
    return [*([] if code == 0 else [json.dumps(chain) for chain in shape["chains"] if not chain["whole"]]),
            *(f"{event}: recorded {recorded[event]} times" for event in told | set(recorded) if recorded[event] != 1)]


@dataclass
class Result:
    """What a run came to. Nothing may be in ``violations``."""

    rotations: int
    sign_ins: int
    violations: dict[str, list[str]]
    struck: dict[str, int] = field(default_factory=dict)


def torture(rotations: int, applications: int, seed: int, home: Path) -> Result:
    """Rotate a fleet this often, then let everything come to rest on a good day and count."""
    # The settle time covers the propagation, as it must in production.
    tenant = Tenant(defaults=DEFAULTS | {"settle": "1s"})
    for number in range(applications):
        tenant.managed(f"app-{number:03}", "+20d", since=160)
    begun, done = time.monotonic(), 0
    with World(tenant, home, azure_replicas=3, azure_random_seed=seed,
               parameters={"QueueVisibilitySeconds": "30", "RotationConcurrency": "20"}) as world:
        world.stack.admin("POST", "faults", AZURE)
        world.stack.local("POST", "faults", AWS)
        with Witness(world, tenant.credentials, OVERLAP) as witness, Killer(world, random.Random(seed)) as killer:
            while done < rotations:
                sweep(world)
                rest(world)
                done = len(world.events("keywheel.rotation.promoted"))
                say(f"[{time.monotonic() - begun:5.0f} s] {done} rotations, {killer.killed} kills, "
                    f"{witness.sign_ins.total()} sign-ins, {len(witness.refusals)} refused")
                witness.advance(days=AGE)
            struck = struck_faults(world) | {"function processes killed": killer.killed}
            world.stack.admin("POST", "faults", {})
            world.stack.local("DELETE", "faults")
            sweep_to_rest(world, witness)
        say(f"[{time.monotonic() - begun:5.0f} s] at rest; counting")
        violations = {
            "refused sign-ins": witness.refusals,
            "orphans after rest": orphans(world),
            "changes without a record": unrecorded(world),
            "events not in whole chains": untraced(world),
            "current secrets that do not sign in": [one.name for one in tenant.credentials.values()
                                                    if not world.signs_in(one)],
            "places that hold a secret's text": leaks.found(world, newest_secrets(world)),
        }
        return Result(done, witness.sign_ins.total(), violations, struck)


def newest_secrets(world: World) -> list[str]:
    return [text for text in world.stack.admin("GET", "secrets") if len(text) >= 16][-leaks.MOST:]


def struck_faults(world: World) -> dict[str, int]:
    """How often each kind of fault struck, by where."""
    struck: Counter[str] = Counter()
    for fault in world.stack.local("GET", "faults"):
        struck[f"AWS: {fault['service']} {fault['kind']}"] += fault["fired"]
    for kind, times in world.stack.admin("GET", "struck").items():
        struck[f"Entra: {kind}"] += times
    return dict(sorted(struck.items()))


def say(line: str) -> None:
    print(line, flush=True)
