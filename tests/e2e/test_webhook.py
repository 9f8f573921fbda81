"""Rotations that somebody asks for, over HTTP to the deployed function URL."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator

import pytest
from keywheel_local import ask
from keywheel_local.asked import jobs_of, recorded, told, turned
from keywheel_local.stand_in import StandIn
from keywheel_local.tenant import DEFAULTS, Credential, Tenant
from keywheel_local.world import World, until

CHANNEL = "/services/T0/B0/platform"
ALLOW = {"slack": [{"team": ask.TEAM, "users": [ask.ALICE, ask.BOB]}], "webhook": ["local"]}


@pytest.fixture(scope="module")
def channel() -> Iterator[StandIn]:
    """Slack's side of an incoming webhook and of every ``response_url``."""
    with StandIn() as running:
        yield running


@pytest.fixture(scope="module")
def world(start: Callable[..., World], channel: StandIn) -> World:
    tenant = Tenant()
    tenant.notifications = [{"slack": "platform", "on": ["rotations"]}]
    for name in ("slack", "told", "system", "now", "retried", "status", "reasoned", "late", "dashed"):
        tenant.managed(name, "+150d", 30, allow=ALLOW)
    tenant.managed("others", "+150d", 30)
    tenant.by_hand("by-hand", "+100d", allow=ALLOW)
    tenant.by_hand("adopted", "+100d", allow=ALLOW, adopt=True)
    world = start(tenant)
    world.client("secretsmanager").put_secret_value(
        SecretId=world.stack.env["KEYWHEEL_NOTIFY_SECRET"],
        SecretString=json.dumps({"slack": {"platform": channel.url + CHANNEL}}))
    return world


@pytest.fixture
def fleet(world: World) -> Iterator[list[Credential]]:
    """Alone in the manifest: credentials that were rotated yesterday, all at once."""
    tenant = Tenant(defaults=DEFAULTS | {"overlap": "20d"})
    for number in range(17):
        one = tenant.managed(f"payment-gateway-{number:02}", "+150d", 30, allow=ALLOW, approval="required")
        tenant.turned(one, "+179d", 1)
    tenant.plant(world.stack)
    world.stack.put_manifest(tenant.manifest())
    yield list(tenant.credentials.values())
    world.stack.put_manifest(world.tenant.manifest())
    for one in tenant.credentials.values():
        world.client("secretsmanager").delete_secret(SecretId=one.secret, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def stall(world: World) -> Iterator[None]:
    """The queue does its work, and its answer comes later than Slack waits."""
    world.stack.local("POST", "faults", {
        "kind": "stall", "service": "sqs", "operation": "SendMessageBatch", "seconds": 10, "count": 1})
    yield
    world.stack.local("DELETE", "faults")


def test_a_system_asks_and_the_secret_is_turned(world: World, channel: StandIn) -> None:
    """The whole way: the request, the turned secret, a Slack message, a whole chain."""
    one = world.tenant.credentials["system"]
    request = ask.rotate(world.stack, one.name, reason="a colleague left")
    answer = request.send(world.stack)
    assert answer.status == 202, answer
    rotation = answer.json["rotation"]
    assert answer.headers["location"] == answer.json["location"] == f"/rotations/{one.name}/{rotation}"
    turned(world, one, rotation)

    events = {e["type"]: e for e in world.events() if e["subject"] == one.name}
    requested = events["keywheel.rotation.requested"]["data"]
    assert (requested["requested_by"], requested["reason"]) == ("webhook:local", "a colleague left")
    for step in ("keywheel.key.minted", "keywheel.rotation.stored", "keywheel.rotation.promoted"):
        data = events[step]["data"]
        assert data["request"] == data["rotation"] == rotation, "every step names the request"
    assert len(told(channel, CHANNEL, f"{one.name} has a new client secret")) == 1
    recorded(world, one)

    standing = ask.rotation(world.stack, one.name, rotation).send(world.stack)
    assert (standing.status, standing.json["state"]) == (200, "recorded")
    assert standing.json["version"] == rotation
    assert world.text(one.secret, "AWSPREVIOUS") == one.current.key.secret, "its overlap runs"


def test_what_was_told_of_a_rotation_is_shown(world: World) -> None:
    one = world.tenant.credentials["system"]
    [event] = [e for e in world.events("keywheel.rotation.promoted") if e["subject"] == one.name]
    request = event["data"]["request"]
    kept = f"progress/{request}/{event['type']}.json"
    world.client("s3").put_object(
        Bucket=world.stack.env["KEYWHEEL_STATE_BUCKET"], Key=kept, Body=json.dumps(event).encode())
    steps = ask.rotation(world.stack, one.name, request).send(world.stack).json["steps"]
    assert {"type": event["type"], "time": event["time"]} in steps


def test_a_person_asks_in_slack(world: World) -> None:
    one = world.tenant.credentials["slack"]
    shown = ask.shown(world.stack, f"rotate {one.name} it <leaked>")
    assert shown["response_type"] == "ephemeral"
    assert "is being rotated. Reason: it &lt;leaked&gt;." in shown["text"]
    [job] = jobs_of(world, one)
    assert job["requested_by"] == f"slack:{ask.TEAM}/{ask.ALICE}"
    turned(world, one, job["work"]["rotation"])


def test_what_a_person_asks_for_in_slack_is_told_there_and_is_on_the_record(world: World, channel: StandIn) -> None:
    """The whole way: the command, the turned secret, each step told where it was asked for, a whole chain."""
    one = world.tenant.credentials["told"]
    url = f"{channel.url}/commands/told"
    assert ask.command(world.stack, f"rotate {one.name} told", response_url=url).send(world.stack).status == 200
    [job] = jobs_of(world, one)
    turned(world, one, job["work"]["rotation"])

    told(channel, "/commands/told", "current")
    recorded(world, one)
    messages = told(channel, "/commands/told", one.name)
    assert len(channel.received("/commands/told")) == len(messages) <= 5, "Slack takes five"
    assert len(told(channel, CHANNEL, f"{one.name} has a new client secret")) == 1
    standing = ask.rotation(world.stack, one.name, job["request"]).send(world.stack).json
    assert "keywheel.rotation.promoted" in {step["type"] for step in standing["steps"]}


def test_the_old_key_goes_at_once_where_that_is_asked_for(world: World) -> None:
    one = world.tenant.credentials["now"]
    answer = ask.rotate(world.stack, one.name, revoke_old="now").send(world.stack)
    assert answer.status == 202
    turned(world, one, answer.json["rotation"])
    assert one.current.key.key_id not in world.keys(one)
    standing = ask.rotation(world.stack, one.name, answer.json["rotation"])
    until(lambda: standing.send(world.stack).json["state"] == "revoked", "it is told that the old key is gone")


def test_a_keyboard_that_makes_dashes_of_hyphens_revokes_all_the_same(world: World) -> None:
    one = world.tenant.credentials["dashed"]
    shown = ask.shown(world.stack, f"rotate {one.name} —nwo it leaked")
    assert "Nothing was done" in shown["text"] and "`--now`" in shown["text"]
    assert not jobs_of(world, one)
    assert ask.command(world.stack, f"Rotate {one.name} —now it leaked").send(world.stack).status == 200
    [job] = jobs_of(world, one)
    turned(world, one, job["work"]["rotation"])
    world.rest()
    assert one.current.key.key_id not in world.keys(one), "the leaked one"


def test_slack_may_look_whether_anybody_is_there(world: World) -> None:
    assert ask.slack(world.stack, "/slack/commands", {"ssl_check": "1"}).send(world.stack).status == 200


def test_a_key_that_nobody_knows_is_not_called_revoked(world: World) -> None:
    """Of a secret that was stored by hand; its key stays, with a finding."""
    one = world.tenant.credentials["adopted"]
    answer = ask.rotate(world.stack, one.name, revoke_old="now").send(world.stack)
    assert answer.status == 202
    turned(world, one, answer.json["rotation"])
    assert one.current.key.key_id in world.keys(one)
    assert "replaced-key-unknown" in world.findings()[one.name]
    standing = ask.rotation(world.stack, one.name, answer.json["rotation"])

    def steps() -> set[str]:
        return {step["type"] for step in standing.send(world.stack).json["steps"]}

    until(lambda: "keywheel.rotation.promoted" in steps(), "its promotion is told")
    assert standing.send(world.stack).json["state"] == "recorded"


def test_what_is_sent_again_is_done_once(world: World) -> None:
    one = world.tenant.credentials["retried"]
    delivery = f"msg_{uuid.uuid4().hex}"
    first = ask.rotate(world.stack, one.name, delivery=delivery)
    accepted = first.send(world.stack)
    assert accepted.status == 202
    replayed = first.send(world.stack)
    assert (replayed.status, replayed.json["rotation"]) == (409, accepted.json["rotation"])
    anew = ask.rotate(world.stack, one.name, delivery=delivery, at=ask.now() + 5).send(world.stack)
    assert (anew.status, anew.json) == (202, accepted.json), "a sender that did not learn of it"
    other = ask.rotate(world.stack, one.name, delivery=delivery, reason="other").send(world.stack)
    assert other.status == 409 and "rotation" not in other.json
    turned(world, one, accepted.json["rotation"])
    assert len(jobs_of(world, one)) == 1


def test_a_failure_of_ours_loses_no_request(world: World) -> None:
    """The queue fails after everything was noted: what is sent again goes on with the same ids."""
    one = world.tenant.credentials["status"]
    delivery = f"msg_{uuid.uuid4().hex}"
    rule = {"kind": "error", "service": "sqs", "operation": "SendMessageBatch", "count": 20}
    world.stack.local("POST", "faults", rule)
    try:
        failed = ask.rotate(world.stack, one.name, delivery=delivery).send(world.stack)
        assert failed.status == 503 and "same id" in failed.json["detail"]
        assert "SendMessage" not in failed.body.decode()
    finally:
        world.stack.local("DELETE", "faults")
    assert world.current(one.secret)[0] == one.current.rotation
    again = ask.rotate(world.stack, one.name, delivery=delivery, at=ask.now() + 1).send(world.stack)
    assert again.status == 202
    turned(world, one, again.json["rotation"])
    requested = [e for e in world.events("keywheel.rotation.requested") if e["subject"] == one.name]
    assert len(requested) == 1, "told twice counts once"


@pytest.mark.usefixtures("stall")
def test_slack_has_its_answer_though_ours_is_late(world: World) -> None:
    one = world.tenant.credentials["late"]
    shown = ask.shown(world.stack, f"rotate {one.name}")
    assert shown["response_type"] == "ephemeral"
    assert "longer than Slack waits" in shown["text"] and f"`{one.name}` may be on its way" in shown["text"]
    [job] = jobs_of(world, one)
    turned(world, one, job["work"]["rotation"])


def test_status_plan_and_help_are_for_those_who_may(world: World) -> None:
    stack = world.stack
    status = ask.shown(stack, "status")["text"]
    assert "`slack`: key" in status and "others" not in status
    by_hand = ask.shown(stack, "status by-hand")["text"]
    assert "`by-hand`: current, but not stored by Keywheel" in by_hand
    assert "due about" in ask.shown(stack, "plan")["text"]
    assert "/keywheel rotate" in ask.shown(stack, "help")["text"]
    assert "does not know" in ask.shown(stack, "turn slack & <others>")["text"]
    stranger = ask.shown(stack, "status", user=ask.MALLORY)["text"]
    assert "does not let you" in stranger and "slack" not in stranger.replace("/keywheel", "")
    odd = ask.shown(stack, f"rotate <!channel>&`{'&' * 300}` {'<&>' * 400}")
    assert "&lt;!channel&gt;&amp;" in odd["text"] and "does not let you" in odd["text"]


def test_what_cannot_be_turned_is_said_in_slack(world: World) -> None:
    refused = ask.shown(world.stack, "rotate by-hand")["text"]
    assert "Not rotated" in refused and "adopt: true" in refused
    assert jobs_of(world, world.tenant.credentials["by-hand"]) == []


def test_a_long_reason_is_shown_whole(world: World) -> None:
    one, reason = world.tenant.credentials["reasoned"], "<&>" * 160
    shown = ask.shown(world.stack, f"rotate {one.name} {reason}")
    assert reason.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in shown["blocks"][0]["text"]["text"]
    [job] = jobs_of(world, one)
    turned(world, one, job["work"]["rotation"])


@pytest.mark.parametrize("command", ["status", "plan"])
def test_a_fleet_whose_overlaps_run_is_shown_whole(world: World, fleet: list[Credential], command: str) -> None:
    """As many as are shown at once, each in its longest form, and how many are not."""
    shown = ask.shown(world.stack, command)
    text = "\n".join(block["text"]["text"] for block in shown["blocks"])
    listed = [one for one in fleet if f"`{one.name}`: " in text]
    assert len(listed) == 15 and f"{len(fleet) - 15} more" in text, text[-300:]
    assert command == "plan" or all(one.versions[0].key.key_id in text for one in listed)


def test_nobody_is_signed_in_before_slack_has_its_answer(world: World) -> None:
    """From a cold start: a sign-in and a look at Graph have no place in three seconds."""
    function = world.stack.env["KEYWHEEL_WEBHOOK_FUNCTION"]
    world.stack.local("POST", "functions/kill", {"function": function})
    before = len(world.stack.admin("GET", "requests"))
    for text in ("help", "status", "plan", "rotate by-hand"):
        assert ask.command(world.stack, text).send(world.stack).status == 200
    assert len(world.stack.admin("GET", "requests")) == before


def test_what_cannot_be_turned_is_said_before_it_is_queued(world: World) -> None:
    answer = ask.rotate(world.stack, "by-hand").send(world.stack)
    assert answer.status == 409 and "adopt: true" in answer.json["detail"]
    assert jobs_of(world, world.tenant.credentials["by-hand"]) == []


def test_keys_are_turned_without_a_deployment(world: World) -> None:
    """Both keys are good while one takes over; the function reads the new one when it first meets it."""
    stack = world.stack
    new = "whsec_" + "A" * 43 + "="
    stack.put_webhook_keys({"webhook_keys": {"local": [new, stack.env["KEYWHEEL_LOCAL_WEBHOOK_KEY"]]},
                            "slack_signing_secret": stack.env["KEYWHEEL_LOCAL_SLACK_SIGNING_SECRET"]})
    request = ask.rotate(stack, "others", key=new)
    until(lambda: request.send(stack).status == 403, "the new key is known", 30, pause=1)
    assert ask.rotate(stack, "others").send(stack).status == 403, "signed by the old key, and refused by the manifest"


def test_a_mistyped_key_takes_nothing_from_the_others(world: World) -> None:
    env, one = world.stack.env, world.tenant.credentials["others"]
    key = env["KEYWHEEL_LOCAL_WEBHOOK_KEY"]
    world.stack.put_webhook_keys({
        "slack_signing_secret": env["KEYWHEEL_LOCAL_SLACK_SIGNING_SECRET"], "github_webhook_secret": "short",
        "webhook_keys": {"local": [key], "typo": ["v1," + key]}})
    world.stack.local("POST", "functions/kill", {"function": env["KEYWHEEL_WEBHOOK_FUNCTION"]})
    assert ask.command(world.stack, "help").send(world.stack).status == 200
    assert ask.rotate(world.stack, one.name).send(world.stack).status == 403, "signed right; it is not theirs"
    [told] = world.events("keywheel.finding.webhook-key-unusable")
    assert "webhook_keys.typo" in told["data"]["reason"] and "github_webhook_secret" in told["data"]["reason"]
    assert "webhook_keys.local" not in told["data"]["reason"]
