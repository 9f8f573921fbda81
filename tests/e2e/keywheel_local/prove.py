"""Nothing is lost: a fleet is rotated over and over while everything around it fails, and every promise is counted.

The deployed functions run between the emulated Entra and the local AWS, both of which lose answers, cut and stall
connections, throttle and fail; function processes are killed at random; tokens expire and the clock of Entra is wrong.
A witness signs in all the while with whatever is current, and with what it cached for the overlap.
"""

from __future__ import annotations

import argparse
import datetime
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from . import leaks, names
from .tenant import Tenant
from .witness import Witness
from .world import SCHEDULED, TooLate, World

OVERLAP = datetime.timedelta(hours=24)
AGE = 155  # days until a key of 180 days is due, and a little more
AZURE = {
    "propagation": {"keys": {"min_seconds": 0, "max_seconds": 2}, "deletions": {"min_seconds": 0, "max_seconds": 3}},
    "clock_skew_seconds": 400,
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
        while not self._stop.wait(self._dice.uniform(4, 12)):
            self._world.stack.local("POST", "functions/kill", {"function": name})
            self.killed += 1


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


def sweep_to_rest(world: World, witness: Witness, days: int = 8) -> None:
    for _ in range(days):
        queued = sweep(world)
        world.rest(400)
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


def prove(rotations: int, applications: int, seed: int, home: Path) -> bool:
    tenant = Tenant()
    for number in range(applications):
        tenant.managed(f"app-{number:03}", "+20d", since=160)
    begun = time.monotonic()
    problems: list[str] = []
    with World(tenant, home, azure_replicas=3, azure_random_seed=seed,
               parameters={"QueueVisibilitySeconds": "30"}) as world:
        world.stack.admin("POST", "faults", AZURE)
        world.stack.local("POST", "faults", AWS)
        done = 0
        with Witness(world, tenant.credentials, OVERLAP) as witness, Killer(world, random.Random(seed)) as killer:
            while done < rotations:
                sweep_to_rest(world, witness)
                done = len(world.events("keywheel.rotation.promoted"))
                say(f"[{time.monotonic() - begun:5.0f} s] {done} rotations, {killer.killed} kills, "
                    f"{witness.sign_ins.total()} sign-ins, {len(witness.refusals)} refused")
                if done < rotations:
                    witness.advance(days=AGE)
            world.stack.admin("POST", "faults", {})
            world.stack.local("DELETE", "faults")
            sweep_to_rest(world, witness)
        left, silent = orphans(world), unrecorded(world)
        expired = [one.name for one in tenant.credentials.values() if not world.signs_in(one)]
        faults = Counter({f"AWS: {fault['service']} {fault['kind']}": fault["fired"]
                          for fault in world.stack.local("GET", "faults?past=true") if fault["fired"]})
        faults.update({"function processes killed": killer.killed})
        texts = [text for text in world.stack.admin("GET", "secrets") if len(text) >= 16][-leaks.MOST:]
        leaked = leaks.found(world, texts)
    for what, found in (("refused sign-ins", witness.refusals), ("orphans after rest", left), ("changes without a record", silent),
                        ("secrets that do not sign in", expired), ("places that hold a secret's text", leaked)):
        say(f"{what:<34}{len(found):>8}")
        problems += [f"{what}: {one}" for one in found[:10]]
    say(f"{'rotations':<34}{done:>8}\n{'witness sign-ins':<34}{witness.sign_ins.total():>8}")
    for what, count in faults.items():
        say(f"{what:<34}{count:>8}")
    for problem in problems:
        say(problem)
    return not problems


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="keywheel_local.prove", description=__doc__)
    parser.add_argument("--rotations", type=int, default=1000)
    parser.add_argument("--applications", type=int, default=125)
    parser.add_argument("--seed", type=int, default=1, help="of the dice")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="keywheel-prove-") as home:
        sys.exit(0 if prove(chosen.rotations, chosen.applications, chosen.seed, Path(home)) else 1)


if __name__ == "__main__":
    main()
