"""Nothing is lost: a fleet is rotated over and over while everything around it fails, and every promise is counted.

The deployed functions run between the emulated Entra and the local AWS, both of which lose answers, cut and stall
connections (some for longer than anybody waits), throttle and fail, and whose clocks are wrong, each in its own way;
processes of every function are killed at random, and those that live through an hour come to Graph with a dead token.
A witness signs in all the while with whatever is current, and with what it cached for the overlap. Current and past
secrets leak, and GitHub tells of it once.
"""

from __future__ import annotations

import datetime
import json
import random
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from . import audit, leaks
from .github_stand_in import GitHub
from .leaker import Leaker
from .tenant import DEFAULTS, Tenant, new_id
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
        {"kind": "slow", "operation": "graph", "probability": 0.01, "delay_ms": 3000},
        {"kind": "slow", "operation": "graph", "probability": 0.0005, "delay_ms": 32_000},  # nobody waits that long
        {"kind": "slow", "operation": "token", "probability": 0.001, "delay_ms": 16_000},
        {"kind": "too_many_requests", "operation": "graph", "probability": 0.04, "retry_after_seconds": 1},
        {"kind": "server_error", "operation": "graph", "probability": 0.03},
        {"kind": "server_error_after_work", "operation": "removePassword", "probability": 0.2},
        {"kind": "concurrency_violation", "operation": "addPassword", "probability": 0.1},
        {"kind": "unavailable", "operation": "token", "probability": 0.02},
    ],
}
STORM = {"kind": "too_many_requests", "operation": "write", "retry_after_seconds": 1}
LATE = 3, 17  # seconds: some that are waited for, and more than the SDK's 15
AWS = [
    {"kind": kind, "service": service, "probability": probability, "seed": seed, **more}
    for seed, (service, kind, probability, more) in enumerate([
        *(("secretsmanager", kind, 0.03, {}) for kind in ("lost_answer", "error", "throttle")),
        *(("events", kind, 0.04, {}) for kind in ("lost_answer", "error")),
        *(("sqs", kind, 0.06, {}) for kind in ("lost_answer", "error")),
        *(("s3", kind, 0.01, {}) for kind in ("lost_answer", "error", "throttle")),
        *(("sts", kind, 0.03, {}) for kind in ("lost_answer", "error", "throttle")),
        *((service, "cut", 0.01, {}) for service in ("secretsmanager", "events", "sqs", "s3", "sts")),
        *((service, "stall", probability, {"seconds": seconds})
          for service in ("secretsmanager", "events", "sqs", "s3", "sts")
          for seconds, probability in zip(LATE, (0.004, 0.0005), strict=True)),
    ])]
# Seconds by which Entra's clock and STS's are wrong, round by round. AWS's tokens live for 300.
CLOCKS = (120, -120), (-120, 120), (600, 600), (-600, -600)
VICTIMS = "ROTATE", "ROTATE", "SWEEP", "AUDIT", "NOTIFY", "WEBHOOK", "COMPARE", "COMPARE"
PARAMETERS = {"RotationConcurrency": "20", "GitHubAlerts": "on"}
PERSONAL = "AzureADandPersonalMicrosoftAccount"  # such an application holds no more than two secrets
LEAKS = 3  # at a time, three times a round: each is compared with every secret
SWEEPS_KILLED = 2  # a round: a sweep of many applications takes longer than a process would live


class Weather:
    """The faults and the clocks of a round, and what became of them."""

    def __init__(self, world: World, witness: Witness) -> None:
        self.struck: Counter[str] = Counter()
        self._world, self._witness = world, witness
        self._rounds = self._sts = self._seen = 0

    def next_round(self) -> None:
        """Other clocks than before, the same faults, and a storm of 429 before anything else."""
        entra, sts = CLOCKS[self._rounds % len(CLOCKS)]
        self._rounds += 1
        storm = STORM | {"times": min(100, 2 * len(self._world.tenant.credentials))}
        self._set(AZURE | {"clock_skew_seconds": entra, "rules": [storm, *AZURE["rules"]]}, sts)
        if self._rounds == 1:
            self._world.stack.local("POST", "faults", AWS)

    def clear(self) -> None:
        for fault in self._world.stack.local("GET", "faults"):
            longer = " longer than is waited for" if fault["seconds"] == max(LATE) else ""
            self.struck[f"AWS: {fault['service']} {fault['kind']}{longer}"] += fault["fired"]
        self._world.stack.local("DELETE", "faults")
        self._set({}, 0)

    def _set(self, azure: dict, sts: int) -> None:
        self._count()
        stack = self._world.stack
        self._witness.between(lambda: (stack.admin("POST", "faults", azure),
                                       stack.local("POST", "clock", {"advance_seconds": sts - self._sts})))
        self._sts = sts
        self.struck["clocks set wrong"] += sts != 0

    def _count(self) -> None:
        """What was counted since the faults were set; to set them anew begins at nought."""
        for kind, times in self._world.stack.admin("GET", "struck").items():
            self.struck[f"Entra: {kind}"] += times
        requests = self._world.stack.admin("GET", "requests")
        self.struck["Entra: expired tokens refused"] += sum(
            one["status"] == 401 and one["operation"] != "token" and one["number"] > self._seen for one in requests)
        self._seen = max((one["number"] for one in requests), default=self._seen)


class Killer:
    """Kills functions' processes at random moments, for as long as its block runs."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self.killed: Counter[str] = Counter()
        self.sweeps = 0  # how many more may be killed
        self._world, self._dice, self._stop = world, dice, threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.wait(self._dice.uniform(1, 4)):
            victim = self._dice.choice(VICTIMS)
            if victim == "SWEEP" and not self.sweeps:
                continue
            killed = self._strike(victim)
            self.sweeps -= killed if victim == "SWEEP" else 0

    def _strike(self, victim: str) -> int:
        name = self._world.stack.env[f"KEYWHEEL_{victim}_FUNCTION"]
        killed = self._world.stack.local("POST", "functions/kill", {"function": name, "most": 1})["killed"]
        self.killed[f"{victim.lower()} processes killed"] += killed
        return killed


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


def rest(world: World, seconds: float = 900) -> None:
    """Wait until no job is left. While no function runs, nobody waits for messages to be visible again."""
    def at_rest() -> bool:
        busy = world.busy()
        if busy and set(busy) <= {"jobs", "records", "comparisons"}:
            world.stack.local("POST", "queues/advance", {"advance_seconds": 60})
        return not busy

    until(at_rest, "no job is left", seconds, pause=1)


def sweep_often(world: World, witness: Witness, most: int, hours: int) -> list[dict]:
    """Sweep until nothing is queued, at most so often and these hours apart; the jobs of the last sweep."""
    for _ in range(most):
        queued = sweep(world)
        rest(world)
        if not queued:
            break
        witness.advance(hours=hours)
    return queued


def sweep_to_rest(world: World, witness: Witness, days: int = 8) -> None:
    if queued := sweep_often(world, witness, days, 26):
        raise TooLate(f"not at rest after {days} days: {queued[:5]}")


def outlived(world: World, witness: Witness, promoted: int) -> None:
    """In the middle of the work an hour passes: whatever process lives on has a token that is no good any more."""
    until(lambda: len(world.events("keywheel.rotation.promoted")) > promoted or not world.busy(), "it is begun", 400, 1)
    witness.between(lambda: world.outlive(hours=1, minutes=1))


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


def member(tenant: Tenant, number: int) -> None:
    """Of eight applications one may hold two secrets only, and the secret of another was made by hand, on a Mac."""
    name = f"app-{number:03}"
    match number % 8:
        case 6:
            tenant.by_hand(name, "+20d", version=new_id().upper(), adopt=True)
        case 7:
            tenant.managed(name, "+20d", since=160, app=tenant.app(name, audience=PERSONAL))
        case _:
            tenant.managed(name, "+20d", since=160)


def torture(rotations: int, applications: int, seed: int, home: Path) -> Result:
    """Rotate a fleet this often, then let everything come to rest on a good day and count."""
    # The settle time covers the propagation, as it must in production.
    tenant = Tenant(defaults=DEFAULTS | {"settle": "1s"})
    for number in range(applications):
        member(tenant, number)
    begun, done = time.monotonic(), 0
    with ExitStack() as running:
        github = running.enter_context(GitHub("ghp_" + "0" * 36))
        world = running.enter_context(World(tenant, home, azure_replicas=3, azure_random_seed=seed, visibility=30,
                                            parameters=PARAMETERS | {"GitHubEndpoint": github.url}))
        github.connect(world.stack)
        with Witness(world, tenant.credentials, OVERLAP) as witness, Killer(world, random.Random(seed)) as killer:
            weather, leaker = Weather(world, witness), Leaker(world, github, witness, random.Random(seed))
            while done < rotations:
                weather.next_round()
                killer.sweeps = SWEEPS_KILLED
                sweep(world)
                leaker.leak(LEAKS)
                outlived(world, witness, done)
                leaker.leak(LEAKS)
                rest(world)
                leaker.leak(LEAKS)
                rest(world)
                # Where two secrets are all, a lost one must go before the next try.
                sweep_often(world, witness, 5, 2)
                leaker.look()
                done = len(world.events("keywheel.rotation.promoted"))
                say(f"[{time.monotonic() - begun:5.0f} s] {done} rotations, {killer.killed.total()} kills, "
                    f"{witness.sign_ins.total()} sign-ins, {len(witness.refusals)} refused")
                witness.advance(days=AGE)
            weather.clear()
            sweep_to_rest(world, witness)
        struck = dict(sorted((weather.struck + killer.killed + leaker.counts).items()))
        say(f"[{time.monotonic() - begun:5.0f} s] at rest; counting")
        violations = {
            "refused sign-ins": witness.refusals,
            "orphans after rest": orphans(world),
            "changes without a record": unrecorded(world),
            "events not in whole chains": untraced(world),
            "leaked secrets that nobody heeded": leaker.unheeded,
            "current secrets that do not sign in": [one.name for one in tenant.credentials.values()
                                                    if not world.signs_in(one)],
            "requests that AWS could not read": world.stack.local("GET", "invalid"),
            "places that hold a secret's text": leaks.found(world, leaks.every_secret(world)),
        }
        return Result(done, witness.sign_ins.total(), violations, struck)


def say(line: str) -> None:
    print(line, flush=True)
