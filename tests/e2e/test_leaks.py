"""Leaked secrets that GitHub reports: exactly one of ours is acted on, anything less is only told."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator

import pytest
from keywheel_local import ask
from keywheel_local.github_stand_in import GitHub
from keywheel_local.tenant import Tenant
from keywheel_local.world import World, until

TOKEN = "ghp_0123456789abcdef0123456789abcdef0123"


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    with GitHub(TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def world(start: Callable[..., World], github: GitHub) -> World:
    tenant = Tenant()
    # Nobody may ask for these, and one would need approval: a leak is acted on all the same.
    tenant.managed("leaked", "+150d", 30, approval="required")
    past = tenant.managed("past", "+150d", 30, overlap="20d")
    tenant.turned(past, "+170d", 1)
    for name in ("near", "spared", "told", "untold", "shaped", "stalled", "late", "closed", "form", "line", "beside",
                 "slow", "unqueued"):
        tenant.managed(name, "+150d", 30)
    tenant.by_hand("adopted", "+150d", adopt=True)
    world = start(tenant, parameters={"GitHubAlerts": "on", "GitHubEndpoint": github.url})
    github.connect(world.stack)
    return world


def receive(world: World, event: ask.Request) -> None:
    """Send a delivery, and wait until it was compared and what follows from it is done."""
    assert event.send(world.stack).status == 202
    world.rest()


def alert(world: World, number: int) -> ask.Request:
    return ask.github(world.stack, ask.alert(number))


def come_back(world: World, seconds: float) -> None:
    """Wait until a comparing has failed, and let its pause pass."""
    url, count = world.stack.env["KEYWHEEL_COMPARE_QUEUE_URL"], "ApproximateNumberOfMessages"

    def paused() -> bool:
        answer = world.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[count])
        return set(world.busy()) == {"comparisons"} and answer["Attributes"][count] == "0"

    until(paused, "a comparing has failed", instead=world.busy)
    world.stack.local("POST", "queues/advance", {"advance_seconds": seconds})


def findings(world: World, what: str) -> list[dict]:
    return [event for event in world.events(f"keywheel.finding.{what}") if event["type"].endswith(what)]


def reasons(world: World, what: str, credential: str) -> list[str]:
    return [event["data"]["reason"] for event in findings(world, what) if event["subject"] == credential]


def test_an_exact_match_is_turned_at_once(world: World, github: GitHub) -> None:
    one = world.tenant.credentials["leaked"]
    github.leak(1, one.current.key.secret)
    event = alert(world, 1)
    receive(world, event)
    version, key = world.current(one.secret)
    assert version != one.current.rotation and world.signs_in(one)
    assert one.current.key.key_id not in world.keys(one), "its key is gone, overlap or not"
    [finding] = findings(world, "leaked-secret")
    assert (finding["subject"], finding["data"]["key"]) == (one.name, one.current.key.key_id)
    assert finding["data"]["reason"] == "leaked: octo-org/app alert 1"
    [requested] = world.events("keywheel.rotation.requested")
    assert requested["data"]["requested_by"] == "github:octo-org/app"
    assert github.asked == ["/repos/octo-org/app/secret-scanning/alerts/1"], "never where the event says"

    assert event.send(world.stack).status == 409, "replayed"
    event.headers["X-GitHub-Delivery"] = "another"
    assert event.send(world.stack).status == 409, "replayed under an id that nobody signed"
    assert len(world.jobs()) == 1


def test_a_replaced_secret_that_leaks_goes_now(world: World, github: GitHub) -> None:
    one = world.tenant.credentials["past"]
    old, current = one.versions
    github.leak(2, old.key.secret)
    receive(world, alert(world, 2))
    assert set(world.keys(one)) == {current.key.key_id}
    assert world.current(one.secret) == (current.rotation, current.key.key_id), "the current one has not leaked"


def test_a_leaked_secret_that_was_made_by_hand_is_replaced_and_its_key_left_to_a_person(world: World, github: GitHub):
    one = world.tenant.credentials["adopted"]
    text, by_hand = one.current.key.secret, one.current.rotation
    github.leak(3, text)
    receive(world, alert(world, 3))
    assert world.current(one.secret)[0] != by_hand and world.signs_in(one)
    assert "by hand" in reasons(world, "replaced-key-unknown", one.name)[0], "nobody takes it for revoked"

    github.leak(4, text)
    jobs = len(world.jobs())
    receive(world, alert(world, 4))
    assert reasons(world, "leaked-secret", one.name)[1:] == [
        f"leaked: octo-org/app alert 4; version {by_hand} holds the text, and Keywheel does not know its key: "
        "look for the key on the application and remove the key by hand, unless the key is gone already"]
    assert not findings(world, "leaked-secret-unmatched")
    assert len(world.jobs()) == jobs


def test_an_alert_comes_as_a_form_unless_github_is_told_otherwise(world: World, github: GitHub) -> None:
    one = world.tenant.credentials["form"]
    github.leak(40, one.current.key.secret)
    receive(world, ask.github(world.stack, ask.alert(40), form=True))
    assert one.current.key.key_id not in world.keys(one) and world.signs_in(one)


def test_an_event_that_is_signed_and_cannot_be_read_is_told(world: World) -> None:
    for number, event in enumerate(({"action": "created"}, "nonsense", [1]), start=1):
        assert ask.github(world.stack, event).send(world.stack).status == 400
        told = reasons(world, "request-unreadable", "webhook")
        assert len(told) == number and told[-1].startswith("a request to /github was signed right")
    assert ask.github(world.stack, "unsigned", secret="x" * 20).send(world.stack).status == 401
    assert len(findings(world, "request-unreadable")) == 3, "nobody is told of what strangers send"


def test_a_secret_is_found_in_the_line_that_was_reported_though_another_value_is_binary_or_denied(
        world: World, github: GitHub) -> None:
    one, other = (world.tenant.credentials[name] for name in ("line", "beside"))
    manager = world.client("secretsmanager")
    manager.put_secret_value(SecretId=other.secret, SecretBinary=b"\x00\xff no text", VersionStages=["mine"])
    github.leak(41, f"export ARM_CLIENT_SECRET={one.current.key.secret}\n")
    receive(world, alert(world, 41))
    assert one.current.key.key_id not in world.keys(one) and world.signs_in(one)

    manager.put_resource_policy(SecretId=other.secret, ResourcePolicy=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Resource": "*",
                                                "Action": "secretsmanager:GetSecretValue"}]}))
    try:
        github.leak(42, "nobody's")
        receive(world, alert(world, 42))
        assert f"{other.name} (denied: " in reasons(world, "leaked-secret-unmatched", "github")[-1]
        assert {one["resource"] for one in world.denied()} == {other.secret}
    finally:
        manager.delete_resource_policy(SecretId=other.secret)
    github.leak(43, base64.b64encode(f"\x00 {other.current.key.secret} \x00".encode()).decode())
    receive(world, alert(world, 43))
    assert other.current.key.key_id not in world.keys(other) and world.signs_in(other)


def test_github_is_answered_before_the_text_is_compared(world: World, github: GitHub) -> None:
    """GitHub gives up after ten seconds, and does not send again by itself. Comparing takes longer than that here."""
    one = world.tenant.credentials["slow"]
    github.leak(50, one.current.key.secret)
    asked, begun = len(github.asked), time.monotonic()
    github.answering.clear()
    try:
        assert alert(world, 50).send(world.stack).status == 202
        until(lambda: len(github.asked) > asked, "the leaked text is asked for")
        until(lambda: time.monotonic() - begun > ask.GITHUB_WAITS, "GitHub would have given up")
        assert world.busy() and world.current(one.secret)[0] == one.current.rotation
    finally:
        github.answering.set()
    world.rest()
    assert one.current.key.key_id not in world.keys(one) and world.signs_in(one)


def test_the_queue_holds_no_text_and_the_webhook_may_read_no_secret(world: World, github: GitHub) -> None:
    url = world.stack.env["KEYWHEEL_COMPARE_QUEUE_URL"]
    bodies = [json.loads(call["request"]["MessageBody"]) for call in world.stack.local("GET", "sent")
              if call["operation"] == "SendMessage" and call["request"]["QueueUrl"] == url]
    assert bodies and all(set(body) == {"schema", "owner", "repository", "number", "digest", "received_at"}
                          for body in bodies)
    [role] = [role for role in world.client("iam").list_roles()["Roles"] if "WebhookRole" in role["RoleName"]]
    policy = world.client("iam").get_role_policy(RoleName=role["RoleName"], PolicyName="webhook")["PolicyDocument"]
    read = [statement for statement in policy["Statement"] if "secretsmanager:GetSecretValue" in str(statement)]
    assert [statement["Sid"] for statement in read] == ["ReadKeys"]
    assert "ListSecrets" not in str(policy)


def test_an_alert_that_cannot_be_compared_is_tried_again_then_told_and_can_be_sent_again(world: World, github: GitHub):
    one = world.tenant.credentials["told"]
    github.leak(5, one.current.key.secret)
    event = alert(world, 5)
    github.failing = True
    assert event.send(world.stack).status == 202
    for pause in (10, 60, 300):
        come_back(world, pause)
        assert not findings(world, "leaked-secret-not-compared"), "it may succeed yet"
    world.rest()
    [told] = findings(world, "leaked-secret-not-compared")
    assert told["data"]["reason"].startswith("octo-org/app alert 5: ") and "send the delivery" in told["data"]["reason"]
    [letter] = world.dead_letters("KEYWHEEL_COMPARE_DEAD_LETTER_URL")
    assert letter["reason"] == "octo-org/app alert 5: not compared after 4 tries"
    github.failing = False

    world.stack.local("POST", "faults", [{"kind": "error", "service": "secretsmanager", "operation": "DescribeSecret"}])
    try:
        assert event.send(world.stack).status == 202
        come_back(world, 0)
        assert world.current(one.secret)[0] == one.current.rotation
    finally:
        world.stack.local("DELETE", "faults")
    come_back(world, 10)
    world.rest()
    assert one.current.key.key_id not in world.keys(one) and world.signs_in(one)
    assert len(findings(world, "leaked-secret-not-compared")) == 1


def test_an_alert_that_cannot_be_queued_is_told_and_answered_with_503(world: World, github: GitHub) -> None:
    one = world.tenant.credentials["unqueued"]
    github.leak(51, one.current.key.secret)
    event = alert(world, 51)
    world.stack.local("POST", "faults", [{"kind": "error", "service": "sqs", "operation": "SendMessage"}])
    try:
        assert event.send(world.stack).status == 503
    finally:
        world.stack.local("DELETE", "faults")
    assert any("alert 51:" in reason for reason in reasons(world, "leaked-secret-not-compared", "github"))
    receive(world, event)
    assert one.current.key.key_id not in world.keys(one) and world.signs_in(one)


def test_a_message_that_is_no_comparison_is_a_dead_letter(world: World, github: GitHub) -> None:
    asked = len(github.asked)
    for body in ("nonsense", json.dumps({"schema": 1, "owner": "../..", "repository": "app", "number": 1,
                                         "digest": "0" * 64, "received_at": "2026-11-28T09:00:00Z"})):
        world.client("sqs").send_message(QueueUrl=world.stack.env["KEYWHEEL_COMPARE_QUEUE_URL"], MessageBody=body)
        world.rest()
        [letter] = world.dead_letters("KEYWHEEL_COMPARE_DEAD_LETTER_URL")
        assert letter["body"] == body and letter["reason"].startswith("not a comparison of schema 1")
    assert len(github.asked) == asked


def test_an_alert_that_github_did_not_show_can_be_sent_again(world: World, github: GitHub) -> None:
    one = world.tenant.credentials["untold"]
    github.leak(31, one.current.key.secret)
    event = alert(world, 31)
    github.token = "another: ours has expired"
    for _ in range(2):
        receive(world, event)
    github.token = TOKEN
    told = [reason for reason in reasons(world, "leaked-secret-unread", "github") if "alert 31:" in reason]
    assert len(told) == 2 and "send the delivery again" in told[0]

    github.throttled = True
    assert event.send(world.stack).status == 202
    come_back(world, 0)
    github.throttled = False
    come_back(world, 10)
    world.rest()
    assert one.current.key.key_id not in world.keys(one) and world.signs_in(one), "that passes by itself"
    assert event.send(world.stack).status == 409


def test_a_live_secret_is_known_in_a_value_of_another_shape(world: World, github: GitHub) -> None:
    """The manifest's format has changed since the value was written."""
    one = world.tenant.credentials["shaped"]
    one.fields["format"] = "env"
    world.stack.put_manifest(world.tenant.manifest())
    github.leak(6, one.app.app_id)
    receive(world, alert(world, 6))
    assert not reasons(world, "leaked-secret", one.name), "a client id is no secret"
    github.leak(7, one.current.key.secret)
    receive(world, alert(world, 7))
    assert reasons(world, "leaked-secret", one.name) == ["leaked: octo-org/app alert 7"]
    assert one.current.key.key_id not in world.keys(one) and world.signs_in(one)


def test_a_secret_scheduled_for_deletion_is_told_as_not_compared(world: World, github: GitHub) -> None:
    one = world.tenant.credentials["closed"]
    manager = world.client("secretsmanager")
    github.leak(8, one.current.key.secret)
    event = alert(world, 8)
    manager.delete_secret(SecretId=one.secret, RecoveryWindowInDays=7)
    try:
        receive(world, event)
    finally:
        manager.restore_secret(SecretId=one.secret)
    reason = reasons(world, "leaked-secret-unmatched", "github")[-1]
    assert "octo-org/app alert 8" in reason
    assert f"still work: {one.name} (scheduled for deletion: restore the secret)" in reason
    receive(world, event)
    assert one.current.key.key_id not in world.keys(one) and world.signs_in(one)


def test_a_leak_is_compared_however_many_rules_there_are(world: World, github: GitHub) -> None:
    """Each has a prefix of its own: more than a listing is filtered by."""
    one = world.tenant.credentials["late"]
    world.tenant.rules = [{"match": {"tag": f"team-{number}"}, "secret": f"keywheel/team-{number}/{{appId}}"}
                          for number in range(11)]
    world.stack.put_manifest(world.tenant.manifest())
    github.leak(30, one.current.key.secret)
    try:
        receive(world, alert(world, 30))
    finally:
        world.tenant.rules = []
        world.stack.put_manifest(world.tenant.manifest())
    assert one.current.key.key_id not in world.keys(one) and world.signs_in(one)


def test_a_hit_is_acted_on_once_though_others_cannot_be_compared(world: World, github: GitHub) -> None:
    """One secret's answer takes longer than it may."""
    one = world.tenant.credentials["stalled"]
    github.leak(9, one.current.key.secret)
    # The manifest's first is described first.
    world.stack.local("POST", "faults", [{
        "kind": "stall", "service": "secretsmanager", "operation": "DescribeSecret", "seconds": 20, "count": 1}])
    try:
        assert alert(world, 9).send(world.stack).status == 202
        come_back(world, 0)
    finally:
        world.stack.local("DELETE", "faults")
    assert one.current.key.key_id not in world.keys(one) and world.signs_in(one)
    come_back(world, 10)
    world.rest()
    assert reasons(world, "leaked-secret", one.name) == ["leaked: octo-org/app alert 9"]
    for what in ("leaked-secret-not-compared", "leaked-secret-unmatched"):
        assert not any("alert 9:" in reason for reason in reasons(world, what, "github")), what


def test_anything_less_is_told_and_left_alone(world: World, github: GitHub) -> None:
    text = world.tenant.credentials["near"].current.key.secret
    jobs, before = len(world.jobs()), len(findings(world, "leaked-secret-unmatched"))
    near = [text[:-1], text + "x", text.swapcase(), text[:3], text[::-1], f"{text[:20]} {text[20:]}"]
    for number, leaked in enumerate(near, start=10):
        github.leak(number, leaked)
        assert alert(world, number).send(world.stack).status == 202, leaked[:3]
    world.rest()
    assert len(world.jobs()) == jobs
    assert len(findings(world, "leaked-secret-unmatched")) == before + len(near)

    receive(world, alert(world, 99))
    assert "octo-org/app alert 99" in reasons(world, "leaked-secret-unread", "github")[-1]
    assert len(world.jobs()) == jobs


def test_other_events_are_taken_and_left_alone(world: World, github: GitHub) -> None:
    asked = len(github.asked)
    for event, kind in ((ask.alert(1, "resolved"), "secret_scanning_alert"), ({"zen": "Design for failure."}, "ping")):
        assert ask.github(world.stack, event, kind=kind).send(world.stack).status == 204
    assert len(github.asked) == asked
    assert all(world.current(world.tenant.credentials[name].secret)[0]
               == world.tenant.credentials[name].current.rotation for name in ("near", "spared"))
