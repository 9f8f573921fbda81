"""Requests in Slack that wait for a second person: approved, denied, withdrawn."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from keywheel_local import ask
from keywheel_local.asked import jobs_of, posted, recorded, told, turned
from keywheel_local.stand_in import StandIn
from keywheel_local.tenant import Credential, Tenant
from keywheel_local.world import World

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
    for name in ("approved", "approved-late", "denied", "withdrawn", "raced"):
        tenant.managed(name, "+150d", 30, allow=ALLOW, approval="required")
    world = start(tenant)
    world.client("secretsmanager").put_secret_value(
        SecretId=world.stack.env["KEYWHEEL_NOTIFY_SECRET"],
        SecretString=json.dumps({"slack": {"platform": channel.url + CHANNEL}}))
    return world


@pytest.fixture
def stall(world: World) -> Iterator[None]:
    """The queue does its work, and its answer comes later than Slack waits."""
    world.stack.local("POST", "faults", {
        "kind": "stall", "service": "sqs", "operation": "SendMessageBatch", "seconds": 10, "count": 1})
    yield
    world.stack.local("DELETE", "faults")


def test_somebody_else_must_approve(world: World, channel: StandIn) -> None:
    one, stack, path = world.tenant.credentials["approved"], world.stack, "/commands/approved"
    asked = ask.shown(stack, f"rotate {one.name}")
    assert asked["response_type"] == "in_channel" and f"<@{ask.ALICE}> asks" in asked["text"]
    assert [block["type"] for block in asked["blocks"]] == ["section", "actions"]
    approval = asked["blocks"][1]["elements"][0]["value"]
    assert jobs_of(world, one) == []

    def press(pressed: str = approval, **by: str) -> None:
        request = ask.press(stack, pressed, response_url=channel.url + path, **by)
        assert request.send(stack).status == 200

    for user, team in ((ask.ALICE, ask.TEAM), (ask.MALLORY, ask.TEAM), (ask.BOB, "T0OTHER01")):
        press(user=user, team=team)
    refused = posted(channel, path, "")
    assert ["yourself" in told["text"] for told in refused] == [True, False, False]
    assert ["does not allow you" in told["text"] for told in refused] == [False, True, True]
    assert all(told["response_type"] == "ephemeral" and not told["replace_original"] for told in refused)
    assert jobs_of(world, one) == [], "neither the asker nor a stranger"
    press()
    press()
    press(button="deny")
    press(button="deny", user=ask.ALICE)
    approved, again, *denied = posted(channel, path, f"<@{ask.BOB}> approved", "approved it already")
    assert approved["replace_original"] and f"<@{ask.BOB}> approved" in approved["text"]
    assert again["text"].startswith("Not approved: somebody has approved it already")
    assert ["Not denied: somebody has approved" in told["text"] for told in denied] == [True, True]
    press(str(uuid.uuid4()))
    assert len(posted(channel, path, "no such request")) == 1
    world.rest()
    [job] = jobs_of(world, one)
    turned(world, one, job["work"]["rotation"])
    assert approval == job["request"] == job["work"]["rotation"]
    [granted] = [e["data"] for e in world.events("keywheel.approval.granted") if e["subject"] == one.name]
    assert (granted["requested_by"], granted["approved_by"]) == (
        f"slack:{ask.TEAM}/{ask.ALICE}", f"slack:{ask.TEAM}/{ask.BOB}")
    assert len([e for e in world.events("keywheel.approval.requested") if e["subject"] == one.name]) == 1

    system = ask.rotate(stack, one.name).send(stack)
    assert system.status == 403 and "second person" in system.json["detail"], "a system cannot be approved"


def denials(world: World, one: Credential) -> list[dict]:
    return [event["data"] for event in world.events("keywheel.approval.denied") if event["subject"] == one.name]


@pytest.mark.parametrize(("name", "user", "verb", "headline"), [
    ("denied", ask.BOB, "denied", "a rotation was denied"),
    ("withdrawn", ask.ALICE, "withdrew", "a rotation was withdrawn"),
])
def test_a_denied_request_never_begins(
        world: World, channel: StandIn, name: str, user: str, verb: str, headline: str) -> None:
    one, stack, path = world.tenant.credentials[name], world.stack, f"/commands/{name}"
    buttons = ask.shown(stack, f"rotate {one.name} <leaked>")["blocks"][1]["elements"]
    assert [button["text"]["text"] for button in buttons] == ["Approve", "Deny"]
    [approval] = {button["value"] for button in buttons}

    def press(button: str, user: str) -> None:
        request = ask.press(stack, approval, button=button, user=user, response_url=channel.url + path)
        assert request.send(stack).status == 200

    press("deny", ask.MALLORY)
    [refused] = posted(channel, path, "Not denied")
    assert "does not allow you" in refused["text"] and not refused["replace_original"] and not denials(world, one)
    for button, by in (("deny", user), ("deny", user), ("approve", ask.BOB)):
        press(button, by)
    shown = posted(channel, path, f"<@{user}> {verb} the request: `{one.name}` is not rotated. Reason: &lt;leaked&gt;.")
    assert len(shown) == 3, "also to whoever would approve"
    assert all(told["replace_original"] and [b["type"] for b in told["blocks"]] == ["section"] for told in shown)
    world.rest()
    assert jobs_of(world, one) == [] and world.current(one.secret)[0] == one.current.rotation
    [told_of] = denials(world, one)
    assert (told_of["requested_by"], told_of["denied_by"]) == (
        f"slack:{ask.TEAM}/{ask.ALICE}", f"slack:{ask.TEAM}/{user}")
    assert len(told(channel, CHANNEL, f"{one.name}: {headline}")) == 1
    recorded(world, one)


def test_of_two_buttons_pressed_at_once_one_decides(world: World, channel: StandIn) -> None:
    one, stack, path = world.tenant.credentials["raced"], world.stack, "/commands/raced"
    for _ in range(4):
        approval = ask.shown(stack, f"rotate {one.name}")["blocks"][1]["elements"][0]["value"]
        presses = [ask.press(stack, approval, button=button, user=user, response_url=f"{channel.url}{path}/{approval}")
                   for button, user in (("approve", ask.BOB), ("deny", ask.ALICE), ("deny", ask.BOB))]
        with ThreadPoolExecutor(3) as pool:
            assert [answer.status for answer in pool.map(lambda one: one.send(stack), presses)] == [200] * 3
        begun = [job for job in jobs_of(world, one) if job["request"] == approval]
        denied = [event for event in denials(world, one) if event["request"] == approval]
        assert len(begun) + len(denied) == 1, "one decision"
        assert (len(posted(channel, f"{path}/{approval}", "Not denied")) == 2) == bool(begun)
        world.rest()


@pytest.mark.usefixtures("stall")
def test_a_button_whose_answer_is_late_may_be_pressed_again(world: World, channel: StandIn) -> None:
    one, stack, path = world.tenant.credentials["approved-late"], world.stack, "/commands/late"
    approval = ask.shown(stack, f"rotate {one.name}")["blocks"][1]["elements"][0]["value"]
    pressed = ask.press(stack, approval, response_url=channel.url + path)
    assert pressed.send(stack).status == 200
    [late] = posted(channel, path, "Press the button again")
    assert not late["replace_original"], "the button stays"
    assert pressed.send(stack).status == 200
    assert len(posted(channel, path, f"<@{ask.BOB}> approved")) == 1
    turned(world, one, approval)
    promoted = [event for event in world.events("keywheel.rotation.promoted") if event["subject"] == one.name]
    granted = [event for event in world.events("keywheel.approval.granted") if event["subject"] == one.name]
    assert (len(promoted), len(granted)) == (1, 1), "it counts once"
