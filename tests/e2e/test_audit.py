"""The audit trail: each event of the bus once in a whole chain, and whatever is done to the record is told."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from keywheel_local import ROOT, deployment
from keywheel_local.fleet import Fleet
from keywheel_local.world import World, until

RECORDED = "keywheel.rotation.", "keywheel.key.", "keywheel.lease.", "keywheel.finding.", "keywheel.approval."


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    return start(Fleet(), parameters={"AuditRetentionMode": "GOVERNANCE"})


@pytest.fixture(scope="module")
def swept(world: World) -> World:
    world.sweep_to_rest()
    return world


def verify(world: World, *arguments: str) -> tuple[int, dict]:
    done = world.stack.keywheel("audit", "verify", "--json", "--quiet", *arguments)
    assert done.stdout, done
    return done.returncode, json.loads(done.stdout)


def whole(world: World, *arguments: str) -> list[dict]:
    code, shape = verify(world, *arguments)
    assert code == 0 and shape["whole"], shape
    return shape["chains"]


def exported(world: World, *arguments: str) -> list[bytes]:
    done = world.stack.keywheel("audit", "export", "--quiet", *arguments)
    assert done.returncode == 0, done
    return done.stdout.encode().splitlines()


def event(credential: str, **data: object) -> dict:
    return {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "keywheel", "type": "keywheel.key.minted",
            "subject": credential, "time": "2026-11-21T09:00:00Z", "datacontenttype": "application/json",
            "data": {"credential": credential, "application": str(uuid.uuid4()), **data}}


def put_events(world: World, *events: dict) -> None:
    answer = world.client("events").put_events(Entries=[
        {"Source": "keywheel", "DetailType": one["type"], "Detail": json.dumps(one),
         "EventBusName": world.stack.env["KEYWHEEL_BUS"]} for one in events])
    assert answer["FailedEntryCount"] == 0


def message(one: dict) -> dict:
    """A message of the queue with an event, as EventBridge would have put it there."""
    body = {"version": "0", "id": str(uuid.uuid4()), "detail-type": one["type"], "source": "keywheel",
            "account": "111122223333", "time": one["time"], "region": "eu-central-1", "resources": [], "detail": one}
    return {"messageId": str(uuid.uuid4()), "receiptHandle": "x", "body": json.dumps(body), "attributes": {},
            "messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": "eu-central-1"}


# ---- what is recorded ------------------------------------------------------------------------------------------------
def test_a_sweep_and_its_rotations_are_in_whole_chains_each_event_once(swept: World):
    chains = whole(swept)
    sent = {one["id"]: one for one in swept.events() if one.get("type", "").startswith(RECORDED)}
    assert len(sent) > 30
    records = [json.loads(line) for line in exported(swept)]
    assert sorted(one["event"]["id"] for one in records) == sorted(sent)
    assert all(one["event"] == sent[one["event"]["id"]] for one in records)
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


# ---- what is done to the record --------------------------------------------------------------------------------------
class Chain:
    """A chain of six, in the hands of somebody who may do anything to it."""

    LENGTH = 6

    def __init__(self, world: World) -> None:
        self.world, self.name = world, "bent/chain"
        sent = [event(self.name, number=number) for number in range(self.LENGTH)]
        answer = world.stack.invoke("audit", {"Records": [message(one) for one in sent]})
        assert answer == {"result": {"batchItemFailures": []}, "error": None}
        self.s3, self.bucket = world.client("s3"), world.stack.env["KEYWHEEL_AUDIT_BUCKET"]
        self.original = {self.key(place): self.read(place) for place in range(1, self.LENGTH + 1)}

    def key(self, place: int) -> str:
        return f"audit/bent!2Fchain/{place:012}.json"

    def read(self, place: int) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=self.key(place))["Body"].read()

    def write(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def purge(self, key: str) -> None:
        listed = self.s3.list_object_versions(Bucket=self.bucket, Prefix=key)
        for one in listed.get("Versions", []) + listed.get("DeleteMarkers", []):
            self.s3.delete_object(Bucket=self.bucket, Key=one["Key"], VersionId=one["VersionId"],
                                  BypassGovernanceRetention=True)

    def replace(self, key: str, body: bytes) -> None:
        """As if nothing else had ever been there."""
        self.purge(key)
        self.write(key, body)

    def forged(self, place: int) -> bytes:
        """A record that follows from the one before, of an event that never was."""
        record = json.loads(self.original[self.key(place - 1)]) if place > 1 else json.loads(self.original[self.key(1)])
        before = self.original.get(self.key(place - 1))
        previous = (hashlib.sha256(b"keywheel.audit.record/1\n" + before) if before
                    else hashlib.sha256(b"keywheel.audit.chain/1\n" + self.name.encode())).hexdigest()
        return json.dumps(record | {"sequence": place, "previous": previous, "event": event(self.name)},
                          separators=(",", ":")).encode()

    def restore(self) -> None:
        listed = self.s3.list_object_versions(Bucket=self.bucket, Prefix="audit/bent!2Fchain/")
        for key in {one["Key"] for one in listed.get("Versions", []) + listed.get("DeleteMarkers", [])}:
            self.purge(key)
        for key, body in self.original.items():
            self.write(key, body)

    def told(self) -> set[tuple[int | str, str]]:
        """What the command says, with its exit code: the places and what is wrong with them."""
        code, shape = verify(self.world, self.name)
        assert (code, shape["whole"]) == (5, False), shape
        [chain] = shape["chains"]
        return {(one["sequence"] or one["key"], one["damage"]) for one in chain["breaks"]}


@pytest.fixture(scope="module")
def untouched(world: World) -> Chain:
    return Chain(world)


@pytest.fixture
def chain(untouched: Chain) -> Iterator[Chain]:
    assert [one["records"] for one in whole(untouched.world, untouched.name)] == [Chain.LENGTH]
    yield untouched
    untouched.restore()


every_place = pytest.mark.parametrize("place", range(1, Chain.LENGTH + 1))


@every_place
def test_an_edit_is_told(chain: Chain, place: int):
    edited = chain.read(place).replace(b"keywheel.key.minted", b"keywheel.key.removed")
    chain.write(chain.key(place), edited)
    assert chain.told() == {(place, "overwritten")}
    chain.replace(chain.key(place), edited)
    assert chain.told() == {(place, "changed")}
    chain.replace(chain.key(place), chain.forged(place))
    assert chain.told() == {(place, "changed")}
    chain.replace(chain.key(place), chain.original[chain.key(place)] + b" ")
    assert chain.told() == {(place, "changed")}


@every_place
def test_a_deletion_is_told(chain: Chain, place: int):
    chain.s3.delete_object(Bucket=chain.bucket, Key=chain.key(place))
    assert chain.told() == {(place, "deleted")}
    chain.purge(chain.key(place))
    assert chain.told() == {(place, "cut-off" if place == Chain.LENGTH else "missing")}


@every_place
def test_an_insertion_is_told(chain: Chain, place: int):
    chain.replace(chain.key(place), chain.forged(place))
    for later in range(place, Chain.LENGTH + 1):
        chain.replace(chain.key(later + 1), chain.original[chain.key(later)])
    assert chain.told() == {(place, "inserted")} | {(later + 1, "moved") for later in range(place, Chain.LENGTH + 1)}


def test_an_insertion_beside_or_after_the_chain_is_told(chain: Chain):
    beside = "audit/bent!2Fchain/3.json"
    chain.write(beside, chain.forged(3))
    assert chain.told() == {(beside, "inserted")}
    chain.purge(beside)
    chain.write(chain.key(Chain.LENGTH + 1), chain.forged(Chain.LENGTH + 1))
    assert chain.told() == {(Chain.LENGTH + 1, "unconfirmed")}


@pytest.mark.parametrize("places", [(one, two) for one in range(1, 7) for two in range(one + 1, 7)], ids=str)
def test_a_swap_is_told(chain: Chain, places: tuple[int, int]):
    for place, other in (places, places[::-1]):
        chain.replace(chain.key(place), chain.original[chain.key(other)])
    assert chain.told() == {(place, "moved") for place in places}


@every_place
def test_a_tail_that_is_cut_off_is_told(chain: Chain, place: int):
    for later in range(place, Chain.LENGTH + 1):
        chain.purge(chain.key(later))
    assert chain.told() == {(place, "cut-off")}
    assert verify(chain.world)[0] == 5, "of all chains as well"


def test_a_head_that_is_gone_or_forged_is_told(chain: Chain):
    heads, key = chain.world.stack.env["KEYWHEEL_AUDIT_HEAD_BUCKET"], "heads/bent!2Fchain.json"
    head = chain.s3.get_object(Bucket=heads, Key=key)["Body"].read()
    chain.s3.delete_object(Bucket=heads, Key=key)
    assert chain.told() == {(key, "head-missing")}
    chain.s3.put_object(Bucket=heads, Key=key, Body=b"{}")
    assert chain.told() == {(key, "head-unreadable")}
    earlier = json.loads(head) | {"sequence": 4, "hash": hashlib.sha256(b"x").hexdigest()}
    chain.s3.put_object(Bucket=heads, Key=key, Body=json.dumps(earlier).encode())
    assert chain.told() == {(4, "changed"), (5, "unconfirmed")}
    chain.s3.put_object(Bucket=heads, Key=key, Body=head)


def test_what_is_told_is_told_to_people_too(chain: Chain):
    chain.purge(chain.key(2))
    done: subprocess.CompletedProcess[str] = chain.world.stack.keywheel("audit", "verify", chain.name)
    assert done.returncode == 5 and "BROKEN" in done.stdout and "record 2: missing" in done.stdout, done
    shown = chain.world.stack.keywheel("audit", "show", chain.name)
    assert shown.returncode == 0 and "not whole" in shown.stderr, shown


# ---- who may do what -------------------------------------------------------------------------------------------------
PROBE = """
import boto3
from botocore.exceptions import ClientError

def handle(event):
    try:
        getattr(boto3.client("s3"), event["call"])(**event["arguments"])
        return "done"
    except ClientError as error:
        return error.response["Error"]["Code"]
"""


@pytest.fixture(scope="module")
def probe(world: World, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A function of a few lines with the role of the deployed one."""
    bootstrap = tmp_path_factory.mktemp("probe") / "bootstrap"
    runtime = (Path(ROOT) / "tests/aws/runtime.py").read_text()
    bootstrap.write_text(f"#!{sys.executable}\n{runtime}\n{PROBE}\nserve(handle)\n")
    functions = world.client("lambda")
    functions.create_function(
        FunctionName="probe-audit", Runtime="provided.al2023", Handler="bootstrap", Timeout=30,
        Role=world.stack.env["KEYWHEEL_AUDIT_ROLE_ARN"], Code={"ZipFile": deployment.package(bootstrap)})

    def ask(call: str, **arguments: str) -> str:
        event = {"call": call, "arguments": arguments}
        reply = functions.invoke(FunctionName="probe-audit", Payload=json.dumps(event).encode())
        return json.load(reply["Payload"])

    return ask


def test_the_functions_role_can_append_and_nothing_else(chain: Chain, probe: Callable[..., str]):
    place = {"Bucket": chain.bucket, "Key": chain.key(1)}
    version = chain.s3.head_object(**place)["VersionId"]
    assert probe("get_object", **place) != "AccessDenied"
    assert probe("put_object", **place, Body="x", IfNoneMatch="*") == "PreconditionFailed"
    assert probe("put_object", **place, Body="x") == "AccessDenied", "a record is written once"
    assert probe("delete_object", **place) == "AccessDenied"
    assert probe("delete_object", **place, VersionId=version, BypassGovernanceRetention=True) == "AccessDenied"
    assert probe("put_bucket_versioning", Bucket=chain.bucket,
                 VersioningConfiguration={"Status": "Suspended"}) == "AccessDenied"
    heads = chain.world.stack.env["KEYWHEEL_AUDIT_HEAD_BUCKET"]
    assert probe("delete_object", Bucket=heads, Key="heads/bent!2Fchain.json") == "AccessDenied"
    assert [one["records"] for one in whole(chain.world, chain.name)] == [Chain.LENGTH]
