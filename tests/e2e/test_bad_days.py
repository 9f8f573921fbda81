"""Everything goes wrong at once: in the end all is rotated, nothing is left over, and nobody was ever refused."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from keywheel_local.fleet import FRESH, Fleet
from keywheel_local.witness import Witness
from keywheel_local.world import SCHEDULED, World

OVERLAP = datetime.timedelta(hours=24)
AZURE = {
    "propagation": {"keys": {"min_seconds": 5, "max_seconds": 15}, "deletions": {"min_seconds": 2, "max_seconds": 10}},
    "rules": [
        {"kind": "lost_answer", "operation": "graph", "probability": 0.10},
        {"kind": "too_many_requests", "operation": "graph", "probability": 0.05, "retry_after_seconds": 2},
        {"kind": "server_error_after_work", "operation": "removePassword", "probability": 0.15},
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
        assert len(witness.secrets[name]) == (2 if one.versions else 1), f"{name} was current more than once"
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


def entra(world: World, fleet: Fleet) -> None:
    """Three replicas that learn of keys after 5 to 15 s, lost answers, throttling, conflicts."""
    world.stack.admin("POST", "faults", AZURE)
    go_through(world, fleet)


def aws(world: World, fleet: Fleet) -> None:
    """Secrets Manager, SQS and EventBridge lose answers, fail and throttle."""
    world.stack.local("POST", "faults", AWS)
    go_through(world, fleet)
    struck = {fault["kind"] for fault in world.stack.local("GET", "faults") if fault["fired"]}
    assert struck == {"lost_answer", "error", "throttle"}


@pytest.fixture(scope="module")
def days(start: Callable[..., World]) -> Iterator[dict[str, Future[None]]]:
    """Both bad days at once, each in a world of its own: they are mostly spent waiting."""
    # A secret that was accepted once, at 5 s at the earliest, is accepted by all replicas 10 s later.
    fleets = {entra: Fleet(settle="12s"), aws: Fleet()}
    worlds = {day: start(fleet, azure_replicas=3) for day, fleet in fleets.items()}
    with ThreadPoolExecutor() as pool:
        yield {day.__name__: pool.submit(day, worlds[day], fleet) for day, fleet in fleets.items()}


@pytest.mark.parametrize("day", ["aws", "entra"])
def test_in_the_end_all_is_as_it_should_be(days: dict[str, Future[None]], day: str):
    days[day].result()
