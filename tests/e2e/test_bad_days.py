"""Everything goes wrong at once: in the end all is rotated, nothing is left over, and nobody was ever refused."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from keywheel_local.fleet import FRESH, Fleet
from keywheel_local.witness import Witness
from keywheel_local.world import SCHEDULED, World

OVERLAP = datetime.timedelta(hours=24)
AZURE = {
    "propagation": {"keys": {"min_seconds": 5, "max_seconds": 15}, "deletions": {"min_seconds": 2, "max_seconds": 10}},
    "rules": [
        {"kind": "lost_answer", "operation": "graph", "probability": 0.10},
        {"kind": "too_many_requests", "operation": "graph", "probability": 0.05, "retry_after_seconds": 2},
        {"kind": "server_error_after_work", "operation": "removePassword", "probability": 0.3},
        {"kind": "unavailable", "operation": "token", "probability": 0.05},
        {"kind": "concurrency_violation", "operation": "addPassword", "probability": 0.2},
    ],
}
AWS = [
    {"kind": "lost_answer", "service": "secretsmanager", "probability": 0.08, "seed": 1},
    {"kind": "error", "service": "secretsmanager", "probability": 0.05, "seed": 2},
    {"kind": "throttle", "service": "secretsmanager", "probability": 0.05, "seed": 3},
    {"kind": "lost_answer", "service": "events", "probability": 0.1, "seed": 4},
    {"kind": "throttle", "service": "events", "probability": 0.1, "seed": 5},
    {"kind": "lost_answer", "service": "sqs", "probability": 0.2, "seed": 6},
    {"kind": "error", "service": "sqs", "probability": 0.2, "seed": 7},
]


def sweep(world: World, tries: int = 6) -> list[dict]:
    """A sweep that a fault fails is tried again, as Lambda tries what its schedule started. Gives what it queued."""
    for _ in range(tries):
        answer = world.stack.invoke("sweep", SCHEDULED)
        if not answer["error"]:
            return answer["result"]["queued"]
    raise AssertionError(f"the sweep failed {tries} times: {answer}")


def sweep_to_rest(world: World, witness: Witness, rounds: int = 6) -> None:
    """Sweep, let a day pass, sweep: until there is nothing more to do."""
    for _ in range(rounds):
        queued = sweep(world)
        world.rest(200)
        if not queued and not world.orphans():
            return
        witness.advance(hours=25)
    raise AssertionError(f"not at rest after {rounds} days: {queued}, {world.orphans()}")


def go_through(world: World, fleet: Fleet) -> None:
    able = {name: one for name, one in fleet.everyone.items() if one.app.known and one.app.service_principal}
    before = {name: world.current(one.secret) for name, one in able.items()}
    with Witness(world, able, OVERLAP) as witness:
        sweep_to_rest(world, witness)
    assert witness.refusals == []
    assert all(witness.sign_ins[name] for name in able), witness.sign_ins
    for name, one in able.items():
        version, key = world.current(one.secret)
        if name not in fleet.rotated:
            assert (version, key) == before[name], f"{name} was not due"
            continue
        assert version != before[name][0], f"{name} was not rotated"
        assert set(world.keys(one)) == {key}, f"{name} has a key too many"
        works = "at least two" if one.versions else "one"
        assert len(witness.secrets[name]) == (2 if one.versions else 1), f"{name}: {works} secret was current"
    for name in FRESH:
        assert world.signs_in(fleet.credentials[name])
    check_records(world, fleet)


def check_records(world: World, fleet: Fleet) -> None:
    """Every key that came or went is on the record, whichever answers were lost."""
    minted = {event["data"]["key"] for event in world.events("keywheel.key.minted")}
    removed = {event["data"]["key"] for event in world.events("keywheel.key.removed")}
    for name, one in fleet.rotated.items():
        there = set(world.keys(one))
        assert there <= minted, name
        assert {version.key.key_id for version in one.versions} <= removed, name
    seeded = {key.key_id for app in fleet.apps for key in (*app.keys, *app.principal_keys)}
    assert removed <= minted | seeded, "what went was seeded or minted"


def test_entra_on_a_bad_day(start: Callable[..., World]):
    """Three replicas that learn of keys after 5 to 15 s, lost answers, throttling, conflicts."""
    fleet = Fleet(settle="20s")
    world = start(fleet, azure_replicas=3)
    world.stack.admin("POST", "faults", AZURE)
    go_through(world, fleet)


def test_aws_on_a_bad_day(start: Callable[..., World]):
    """Secrets Manager, SQS and EventBridge lose answers, fail and throttle."""
    fleet = Fleet()
    world = start(fleet)
    world.stack.local("POST", "faults", AWS)
    go_through(world, fleet)
    assert {fault["kind"] for fault in world.stack.local("GET", "faults") if fault["fired"]} >= {
        "lost_answer", "error", "throttle"}
