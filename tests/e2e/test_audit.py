"""The audit trail: each event of the bus once in a whole chain, however many write at once and whoever dies."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from keywheel_local import ROOT
from keywheel_local.audit import event, exported, message, put_events, told, verify, whole
from keywheel_local.fleet import Fleet
from keywheel_local.world import World, until


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    return start(Fleet())


@pytest.fixture(scope="module")
def swept(world: World) -> World:
    world.sweep_to_rest()
    return world


# ---- what is recorded ------------------------------------------------------------------------------------------------
def test_a_sweep_and_its_rotations_are_in_whole_chains_each_event_once(swept: World):
    chains = whole(swept)
    sent = {one["id"]: one for one in told(swept)}
    assert len(sent) > 30
    records = [json.loads(line) for line in exported(swept)]
    assert sorted(one["event"]["id"] for one in records) == sorted(sent)
    # One that is told twice may tell another time the second time.
    every_time = [json.loads(entry["Detail"]) for call in swept.stack.local("GET", "sent")
                  if call["operation"] == "PutEvents" for entry in call["request"]["Entries"]]
    assert all(one["event"] in every_time for one in records)
    assert {one["credential"] for one in chains} == {one["subject"] for one in sent.values()}
    assert sum(one["records"] for one in chains) == len(sent)
    assert swept.waiting("KEYWHEEL_AUDIT_DEAD_LETTER_URL") == 0


def test_the_hashes_are_what_anybody_can_work_out(swept: World):
    """The chain by other code: from its beginning to its head."""
    for chain in whole(swept):
        before = hashlib.sha256(b"keywheel.audit.chain/1\n" + chain["credential"].encode()).hexdigest()
        lines = exported(swept, chain["credential"])
        for number, line in enumerate(lines, 1):
            record = json.loads(line)
            assert (record["sequence"], record["previous"]) == (number, before)
            before = hashlib.sha256(b"keywheel.audit.record/1\n" + line).hexdigest()
        assert chain["head"] == {"sequence": len(lines), "hash": before}


def test_the_history_of_a_credential_can_be_read(swept: World):
    shown = swept.stack.keywheel("audit", "show", "expiring")
    assert shown.returncode == 0 and "not whole" not in shown.stderr, shown
    minted = next(one for one in swept.events("keywheel.key.minted") if one["subject"] == "expiring")
    for text in ("key.minted", "rotation.promoted", "keywheel sweep", minted["time"], minted["data"]["key"],
                 minted["data"]["graph_request_id"]):
        assert text in shown.stdout, text
    shape = json.loads(swept.stack.keywheel("audit", "show", "expiring", "--json").stdout)
    kinds = [one["event"]["type"] for one in shape["records"]]
    assert kinds.index("keywheel.key.minted") < kinds.index("keywheel.rotation.promoted")
    assert shape["whole"] and shape["credential"] == "expiring"
    member = swept.tenant.members[0].name
    assert "/" in member and swept.stack.keywheel("audit", "show", member).returncode == 0


def test_a_version_that_is_gone_when_it_is_read_does_not_end_the_reading(swept: World):
    """S3 answers otherwise for a version that is gone than for a key that is. A record is missing then, and a head that
    comes back is read again."""
    swept.stack.local("POST", "faults", [{"kind": "error", "service": "s3", "operation": "GET", "code": "NoSuchVersion",
                                          "message": "The specified version does not exist.", "skip": 8, "count": 1,
                                          "callers": "all"}])
    try:
        code, shape = verify(swept)
        [fault] = swept.stack.local("GET", "faults")
    finally:
        swept.stack.local("DELETE", "faults")
    assert fault["fired"] == 1 and code in (0, 5), shape
    whole(swept)


def test_nobody_is_taken_for_somebody(swept: World):
    for command in ("show", "verify", "export"):
        done = swept.stack.keywheel("audit", command, "nobody")
        assert (done.returncode, done.stdout) == (4, ""), done
    done = swept.stack.keywheel("audit", "verify", KEYWHEEL_AUDIT_BUCKET="")
    assert done.returncode == 2 and "KEYWHEEL_AUDIT_BUCKET" in done.stderr


def test_the_sample_event_is_recorded(swept: World):
    sample = json.loads((ROOT / "events/audit-queue.json").read_text())
    assert swept.stack.invoke("audit", sample) == {"result": {"batchItemFailures": []}, "error": None}
    assert [one["records"] for one in whole(swept, "monk-deployment")] == [2]


# ---- many at once ----------------------------------------------------------------------------------------------------
def one_chain_of_a_hundred(world: World, credential: str, sent: list[dict]) -> None:
    assert [one["records"] for one in whole(world, credential)] == [100]
    recorded = [json.loads(line)["event"]["id"] for line in exported(world, credential)]
    assert sorted(recorded) == sorted(one["id"] for one in sent)


def twice(events: list[dict], seed: int) -> list[list[dict]]:
    """Each event twice, dealt out to ten senders."""
    all_of_them = events * 2
    random.Random(seed).shuffle(all_of_them)
    return [all_of_them[sender::10] for sender in range(10)]


def test_ten_senders_with_a_hundred_events_twice_over_the_bus(world: World):
    sent = [event("over-the-bus", number=number) for number in range(100)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda share: [put_events(world, *share[at:at + 5]) for at in range(0, 20, 5)], twice(sent, 1)))
    world.rest()
    one_chain_of_a_hundred(world, "over-the-bus", sent)


def test_ten_functions_at_once_with_a_hundred_events_twice(world: World):
    sent = [event("all/at.once", number=number) for number in range(100)]

    def record(share: list[dict]) -> None:
        left = [message(one) for one in share]
        while left:
            answer = world.stack.invoke("audit", {"Records": left})
            assert not answer["error"], answer
            failed = {one["itemIdentifier"] for one in answer["result"]["batchItemFailures"]}
            left = [one for one in left if one["messageId"] in failed]

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(record, twice(sent, 2)))
    one_chain_of_a_hundred(world, "all/at.once", sent)


def test_a_chain_is_whole_while_it_grows(world: World):
    """What is appended between two looks is no damage."""
    sent = [event("growing", number=number) for number in range(100)]
    with ThreadPoolExecutor(2) as pool:
        shares = [sent[half::2] for half in (0, 1)]
        writing = [pool.submit(lambda share=share: [
            world.stack.invoke("audit", {"Records": [message(one)]}) for one in share]) for share in shares]
        until(lambda: world.stack.keywheel("audit", "export", "growing").returncode == 0, "the first is recorded")
        seen = [whole(world, "growing")[0]["records"]]
        while not all(one.done() for one in writing):
            seen += [one["records"] for one in whole(world, "growing")]
        assert all(answer["result"] == {"batchItemFailures": []} for one in writing for answer in one.result())
    assert len(seen) > 2 and seen == sorted(seen), seen
    one_chain_of_a_hundred(world, "growing", sent)


def test_functions_that_are_killed_lose_and_double_nothing(world: World):
    queue = world.stack.env["KEYWHEEL_AUDIT_QUEUE_URL"]
    world.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "2"})
    sent = [event("killed", number=number) for number in range(100)]
    for at in range(0, 100, 10):
        put_events(world, *sent[at:at + 10])
        until(lambda: world.stack.local("POST", "functions/kill", {
            "function": world.stack.env["KEYWHEEL_AUDIT_FUNCTION"], "most": 1})["killed"], "a function to kill", 20)
    until(lambda: not world.busy(), "all messages are recorded", 120)
    assert world.waiting("KEYWHEEL_AUDIT_DEAD_LETTER_URL") == 0
    one_chain_of_a_hundred(world, "killed", sent)


def test_what_is_no_event_is_a_dead_letter_and_never_dropped(world: World):
    sqs, queue = world.client("sqs"), world.stack.env["KEYWHEEL_AUDIT_QUEUE_URL"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "0"})
    good = event("beside-garbage")
    sqs.send_message(QueueUrl=queue, MessageBody="garbage")
    sqs.send_message(QueueUrl=queue, MessageBody=message(good)["body"])
    dead = world.stack.env["KEYWHEEL_AUDIT_DEAD_LETTER_URL"]
    [letter] = until(lambda: sqs.receive_message(QueueUrl=dead).get("Messages"), "the dead letter", 60)
    assert letter["Body"] == "garbage"
    sqs.delete_message(QueueUrl=dead, ReceiptHandle=letter["ReceiptHandle"])
    until(lambda: not world.busy(), "the good one is recorded")
    assert [one["records"] for one in whole(world, "beside-garbage")] == [1]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1800"})
