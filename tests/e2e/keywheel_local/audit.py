"""The audit trail as the tests read it and write to it."""

from __future__ import annotations

import json
import uuid

from .world import World

RECORDED = "keywheel.rotation.", "keywheel.key.", "keywheel.lease.", "keywheel.finding.", "keywheel.approval."

def verify(world: World, *arguments: str) -> tuple[int, dict]:
    done = world.stack.keywheel("audit", "verify", "--json", "--quiet", *arguments)
    assert done.stdout, done
    return done.returncode, json.loads(done.stdout)


def whole(world: World, *arguments: str) -> list[dict]:
    code, shape = verify(world, *arguments)
    assert code == 0 and shape["whole"], shape
    return shape["chains"]


def told(world: World) -> list[dict]:
    """What is to be recorded of all that the bus has accepted, each event once."""
    return [one for one in world.events() if one.get("type", "").startswith(RECORDED)]


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
