"""Whatever is done to one object of the audit trail, at any place, `keywheel audit verify` tells where and what."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from keywheel_local import ROOT, deployment
from keywheel_local.audit import event, message, verify, whole
from keywheel_local.fleet import Fleet
from keywheel_local.world import World


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    """With a lock that whoever may do anything can get around."""
    return start(Fleet(), parameters={"AuditRetentionMode": "GOVERNANCE"})


class Chain:
    """A chain of six, in the hands of somebody who may do anything to it."""

    LENGTH = 6

    def __init__(self, world: World, name: str = "bent/chain") -> None:
        self.world, self.name, self.folder = world, name, f"audit/{name.replace('/', '!2F')}/"
        sent = [event(self.name, number=number) for number in range(self.LENGTH)]
        answer = world.stack.invoke("audit", {"Records": [message(one) for one in sent]})
        assert answer == {"result": {"batchItemFailures": []}, "error": None}
        self.s3, self.bucket = world.client("s3"), world.stack.env["KEYWHEEL_AUDIT_BUCKET"]
        self.original = {self.key(place): self.read(place) for place in range(1, self.LENGTH + 1)}

    def key(self, place: int) -> str:
        return f"{self.folder}{place:012}.json"

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
        listed = self.s3.list_object_versions(Bucket=self.bucket, Prefix=self.folder)
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
    assert len(chain.world.denied()) == 5
    assert [one["records"] for one in whole(chain.world, chain.name)] == [Chain.LENGTH]


def test_an_insertion_stays_told_when_the_chain_goes_on(world: World):
    """It follows from the record before; the next one is appended after it, and the head vouches for both."""
    chain, place = Chain(world, "bent/on"), Chain.LENGTH + 1
    chain.write(chain.key(place), chain.forged(place))
    answer = world.stack.invoke("audit", {"Records": [message(event(chain.name, number=place))]})
    assert answer == {"result": {"batchItemFailures": []}, "error": None}
    assert json.loads(chain.read(place + 1))["event"]["data"]["number"] == place
    assert chain.told() == {(place, "unintended")}
    done = world.stack.keywheel("audit", "export", "--quiet", chain.name)
    assert done.returncode == 5, done
    assert f"{chain.name}: record {place}: unintended" in done.stderr, done.stderr
    lines = [line.encode() for line in done.stdout.splitlines()]
    assert [json.loads(line)["sequence"] for line in lines] == list(range(1, place + 2)), "as they were written"
    assert lines[place - 1] == chain.read(place).strip()
