"""The deployed notify function: a stand-in for Slack and for a receiver of webhooks, and a topic of SNS."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from keywheel_local import block_kit, leaks
from keywheel_local.stand_in import Answer, Request, StandIn
from keywheel_local.tenant import ACCOUNT, REGION, Tenant, new_id
from keywheel_local.world import World, until
from standardwebhooks import Webhook

KEY = "whsec_" + base64.b64encode(os.urandom(32)).decode()
SLACK = f"/services/T0/B0/{new_id()}"  # whoever has it may post there
HOOK = f"/hooks/{new_id()}"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:keywheel-alerts"
TOPIC_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
APP = new_id()
DASHES = str.maketrans(".-_", "   ")


@pytest.fixture(scope="module")
def receiver() -> Iterator[StandIn]:
    with StandIn() as server:
        yield server


@pytest.fixture(scope="module")
def world(start: Callable[..., World], receiver: StandIn) -> World:
    tenant = Tenant()
    tenant.managed("turned", "+150d", 30)
    tenant.by_hand("by-hand", "+150d")
    everything = ["failures", "findings", "rotations", "digest"]
    tenant.notifications = [
        {"slack": "platform", "on": everything},
        {"slack": "quiet", "on": ["failures"], "credentials": ["prod-*"]},
        {"webhook": receiver.url + HOOK, "key": "siem", "on": everything},
        {"sns": TOPIC, "on": ["failures", "digest"]},
    ]
    world = start(tenant, parameters={"NotifyTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:keywheel-*",
                                      "NotifyTopicKmsKeyArn": TOPIC_KEY})
    world.client("secretsmanager").put_secret_value(
        SecretId=world.stack.env["KEYWHEEL_NOTIFY_SECRET"], SecretString=json.dumps({
            "slack": {"platform": receiver.url + SLACK, "quiet": f"{receiver.url}/quiet"},
            "webhooks": {"siem": KEY}}))
    topic = world.client("sns").create_topic(Name="keywheel-alerts")["TopicArn"]
    assert topic == TOPIC
    sqs = world.client("sqs")
    mails = sqs.create_queue(QueueName="mails")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=mails, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
             "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=mails, Attributes={"Policy": policy})
    world.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return world


# ---- what is told ----------------------------------------------------------------------------------------------------
def event(kind: str, credential: str = "turned", **data: Any) -> dict:
    return {"specversion": "1.0", "id": new_id(), "source": "keywheel", "type": kind, "subject": credential,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "datacontenttype": "application/json",
            "data": {"credential": credential, "application": APP, **data}}


def put(world: World, *events: dict) -> None:
    """Tell events, as Keywheel's functions do."""
    entries = [{"Source": "keywheel", "DetailType": one["type"], "Detail": json.dumps(one),
                "EventBusName": world.stack.env["KEYWHEEL_BUS"]} for one in events]
    answer = world.client("events").put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 0, answer


def at_rest(world: World, seconds: float = 60) -> None:
    def rests() -> bool:
        return not world.waiting("KEYWHEEL_NOTIFY_QUEUE_URL") and not world.busy()
    until(rests, "all is told", seconds)


def verified(request: Request) -> dict:
    """The event in a webhook; fails where the signature is not right."""
    return Webhook(KEY).verify(request.body, request.headers)


def webhooks(receiver: StandIn, of: str) -> list[dict]:
    found = [verified(request) for request in receiver.received(HOOK)]
    return [one for one in found if one["id"] == of]


def messages(receiver: StandIn, path: str = SLACK) -> list[dict]:
    found = [request.json for request in receiver.received(path)]
    for message in found:
        assert block_kit.problems(message) == [], message
    return found


def slack(receiver: StandIn, of: str, path: str = SLACK) -> list[dict]:
    """The messages about an event that came alone: each ends in its id."""
    return [message for message in messages(receiver, path) if of in json.dumps(message["blocks"][-1])]


def said(receiver: StandIn, words: str, since: int = 0) -> int:
    """How often Slack shows these words, in messages about one event or about several."""
    shown = (json.dumps(message["blocks"], ensure_ascii=False) for message in messages(receiver)[since:])
    return sum(text.count(words) for text in shown)


def headline(message: dict) -> str:
    return message["blocks"][0]["text"]["text"]


def mails(world: World, of: str) -> list[dict]:
    """What was published about an event; each is taken from the queue."""
    sqs = world.client("sqs")
    url = sqs.get_queue_url(QueueName="mails")["QueueUrl"]
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(json.loads(message["Body"]))
    return [mail for mail in found if of in mail["Message"]]


def dead_letters(world: World) -> list[str]:
    """Take all dead letters; why each is one."""
    sqs, url = world.client("sqs"), world.stack.env["KEYWHEEL_NOTIFY_DEAD_LETTER_URL"]
    reasons = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0,
                                          MessageAttributeNames=["All"]).get("Messages"):
        for message in messages:
            reasons.append(message.get("MessageAttributes", {}).get("reason", {}).get("StringValue", ""))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return reasons


def measured(world: World, function: str = "notify") -> list[dict]:
    name = world.stack.env[f"KEYWHEEL_{function.upper()}_FUNCTION"]
    lines = world.stack.local("GET", "logs").get(name, [])
    return [json.loads(line) for line in lines if line.startswith("{") and '"_aws"' in line]


# ---- tests -----------------------------------------------------------------------------------------------------------
def test_a_rotation_a_failure_and_a_finding_are_told(world: World, receiver: StandIn):
    one = world.tenant.credentials["turned"]
    jobs = [
        {"credential": one.name, "application": one.app.app_id, "replaces": one.current.rotation},
        {"credential": "nobody", "application": APP, "replaces": None},
    ]
    for job in jobs:
        work = {"kind": "rotate", "rotation": new_id(), "replaces": job.pop("replaces"), "reason": "requested"}
        world.client("sqs").send_message(
            QueueUrl=world.stack.env["KEYWHEEL_QUEUE_URL"], MessageGroupId=job["credential"],
            MessageDeduplicationId=new_id(),
            MessageBody=json.dumps({"schema": 1, "requested_by": "test", "work": work} | job))
    world.sweep()
    world.rest()
    at_rest(world)
    [promoted] = world.events("keywheel.rotation.promoted")
    [failed] = world.events("keywheel.rotation.failed")
    finding = next(event for event in world.events("keywheel.finding.") if event["subject"] == "by-hand")
    assert said(receiver, "turned has a new client secret") == 1
    assert said(receiver, "The old key goes with the first sweep after") == 1
    assert said(receiver, "Rotating nobody failed") == 1
    assert said(receiver, "by-hand: " + finding["type"].removeprefix("keywheel.").translate(DASHES)) == 1
    for event in (promoted, failed, finding):
        assert webhooks(receiver, event["id"]) == [event], "the event as it is on the bus"
    [mail] = mails(world, failed["id"])
    assert mail["Subject"] == "Keywheel: Rotating nobody failed"
    assert mail["MessageAttributes"]["type"]["Value"] == "keywheel.rotation.failed"
    assert mails(world, promoted["id"]) == [], "not what that topic is for"
    assert receiver.received("/quiet") == [], "none of its credentials"
    assert world.signs_in(one) and dead_letters(world) == []


def test_what_happened_is_measured_once(world: World):
    bus = world.stack.env["KEYWHEEL_BUS"]
    lines = measured(world)
    assert {line["Deployment"] for line in lines} == {bus}
    counts = {name: sum(line[name] for line in lines if name in line) for name in ("Rotations", "RotationFailures")}
    assert counts == {"Rotations": 1, "RotationFailures": 1}
    [proved] = [line["TimeToProve"] for line in lines if "TimeToProve" in line]
    assert 1 <= proved <= 60, "the settle time is two seconds"
    kinds = {event["type"].removeprefix("keywheel.finding.") for event in world.events("keywheel.finding.")}
    assert {line["Kind"] for line in lines if "Findings" in line} == kinds
    left = {line["Credential"]: line["DaysToExpiry"] for line in measured(world, "sweep")}
    assert 149 <= left["turned"] <= 180


def test_an_event_told_twice_is_told_once(world: World, receiver: StandIn):
    twice = event("keywheel.rotation.failed", "prod-twice", reason="<!channel> & *all*")
    put(world, twice)
    at_rest(world)
    put(world, twice, twice)
    at_rest(world)
    assert len(webhooks(receiver, twice["id"])) == 1
    [message] = slack(receiver, twice["id"])
    assert "&lt;!channel&gt; &amp;" in json.dumps(message)
    assert len(slack(receiver, twice["id"], "/quiet")) == 1
    assert len(mails(world, twice["id"])) == 1


def test_a_target_that_is_listed_twice_is_told_once(world: World, receiver: StandIn):
    manifest = json.loads(world.tenant.manifest())
    manifest["notifications"].append({"slack": "quiet", "on": ["failures", "rotations"]})
    world.stack.put_manifest(json.dumps(manifest))
    both = event("keywheel.rotation.failed", "prod-both", reason="both entries want it")
    put(world, both)
    at_rest(world)
    second = event("keywheel.rotation.abandoned", "prod-both", reason="the second entry wants it")
    put(world, second)
    at_rest(world)
    world.stack.put_manifest(world.tenant.manifest())
    assert [len(slack(receiver, one["id"], "/quiet")) for one in (both, second)] == [1, 1]
    assert dead_letters(world) == []


def test_what_comes_together_is_told_together_in_slack(world: World, receiver: StandIn):
    """Slack takes about a message a second: one for each of very many would end as dead letters."""
    before = len(receiver.received(SLACK))
    receiver.script(SLACK, Answer(429, "rate_limited", headers=(("Retry-After", "1"),)))
    failed = [event("keywheel.rotation.failed", f"burst-{number:02}", reason="all at once") for number in range(40)]
    for some in range(0, len(failed), 10):
        put(world, *failed[some:some + 10])
    at_rest(world, 120)
    refused = 1
    told = [said(receiver, f"Rotating {one['subject']} failed", before + refused) for one in failed]
    assert told == [1] * len(failed)
    assert len(receiver.received(SLACK)) - before < 20
    for one in failed:
        assert len(webhooks(receiver, one["id"])) == 1
    assert dead_letters(world) == []


def test_a_receiver_that_is_down_is_told_later_and_nobody_else_again(world: World, receiver: StandIn):
    with StandIn() as away:
        manifest = json.loads(world.tenant.manifest())
        manifest["notifications"].append({"webhook": f"{away.url}/away", "key": "siem", "on": ["failures"]})
        world.stack.put_manifest(json.dumps(manifest))
        away.down()
        failed = event("keywheel.rotation.failed", reason="while it is away")
        put(world, failed)
        until(lambda: webhooks(receiver, failed["id"]), "those that are there are told")
        until(lambda: any("no connection" in line and failed["id"] in line for line in log(world)), "it was tried")
        away.up()
        elsewhere = (("Location", f"{away.url}/elsewhere"), ("Retry-After", "1"))
        away.script("/away", Answer(302, body="x" * 100_000, headers=elsewhere))
        at_rest(world, 150)
        told = [request for request in away.received("/away") if verified(request)["id"] == failed["id"]]
        assert len(told) == 2, "refused once, then taken"
        assert len({request.headers["webhook-id"] for request in told}) == 1
        assert away.received("/elsewhere") == [], "redirects are not followed"
    world.stack.put_manifest(world.tenant.manifest())
    assert len(webhooks(receiver, failed["id"])) == len(slack(receiver, failed["id"])) == 1
    assert len(mails(world, failed["id"])) == 1 and dead_letters(world) == []


def log(world: World) -> list[str]:
    return world.stack.local("GET", "logs").get(world.stack.env["KEYWHEEL_NOTIFY_FUNCTION"], [])


def test_what_each_sweep_fails_at_again_is_told_to_people_once_a_day(world: World, receiver: StandIn):
    def failed() -> dict:
        one = event("keywheel.rotation.failed", "lasting", requested_by="keywheel sweep", reason="consent is withdrawn")
        one["time"] = "2026-11-21T09:00:00Z"
        put(world, one)
        at_rest(world)
        return one

    first, second = failed(), failed()
    assert len(slack(receiver, first["id"])) == 1 and slack(receiver, second["id"]) == []
    assert [len(webhooks(receiver, one["id"])) for one in (first, second)] == [1, 1], "machines are told of each"
    assert len(mails(world, "lasting")) == 1


def test_slack_says_no_and_the_others_are_told(world: World, receiver: StandIn):
    receiver.script(SLACK, Answer(404, "no_service"))
    failed = event("keywheel.rotation.failed", reason="Slack is gone")
    put(world, failed)
    at_rest(world)
    [why] = dead_letters(world)
    assert why == "Slack platform answered 404 Not Found: no_service"
    assert len(webhooks(receiver, failed["id"])) == 1 and len(mails(world, failed["id"])) == 1


def test_a_webhook_of_slack_that_was_replaced_is_told_at_its_new_address(world: World, receiver: StandIn):
    """Processes hold the secret for five minutes, but not against a webhook that is gone."""
    old, new = f"/moved/{new_id()}", f"/moved/{new_id()}"
    of = {"SecretId": world.stack.env["KEYWHEEL_NOTIFY_SECRET"]}
    secret = json.loads(world.client("secretsmanager").get_secret_value(**of)["SecretString"])

    def put_moving(path: str) -> None:
        secret["slack"]["moving"] = receiver.url + path
        world.client("secretsmanager").put_secret_value(**of, SecretString=json.dumps(secret))

    put_moving(old)
    manifest = json.loads(world.tenant.manifest())
    manifest["notifications"].append({"slack": "moving", "on": ["failures"]})
    world.stack.put_manifest(json.dumps(manifest))
    before = event("keywheel.rotation.failed", "prod-moving")
    put(world, before)
    at_rest(world, 120)
    assert len(slack(receiver, before["id"], old)) == 1
    put_moving(new)
    receiver.script(old, *[Answer(404, "no_service")] * 100)
    buried = []

    def told() -> bool:
        # A process that has just read the secret does not read it again at once.
        failed = event("keywheel.rotation.failed", "prod-moving")
        put(world, failed)
        at_rest(world)
        buried.extend(dead_letters(world))
        return len(slack(receiver, failed["id"], new)) == 1

    until(told, "a process reads the secret anew")
    world.stack.put_manifest(world.tenant.manifest())
    assert set(buried) <= {"Slack moving answered 404 Not Found: no_service"}


def test_the_key_of_an_encrypted_topic_may_be_used_for_publishing_and_for_nothing_else(world: World):
    """SNS calls KMS in the publisher's name. The local AWS encrypts nothing: only the permission can be seen."""
    iam, role = world.client("iam"), world.stack.env["KEYWHEEL_NOTIFY_ROLE_ARN"].rpartition("/")[2]
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policies = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
    statements = [one for policy in policies for one in policy["Statement"] if TOPIC_KEY in json.dumps(one)]
    [(effect, actions, resource, condition)] = [
        (one["Effect"], set(one["Action"]), one["Resource"], one["Condition"]) for one in statements]
    assert (effect, actions, resource) == ("Allow", {"kms:Decrypt", "kms:GenerateDataKey"}, TOPIC_KEY)
    assert condition == {"StringEquals": {"kms:ViaService": f"sns.{REGION}.amazonaws.com"}}


@pytest.mark.parametrize("body", ["PLANTED", '{"source": "keywheel", "detail": {"type": "PLANTED"}}'])
def test_a_message_that_is_no_event_is_a_dead_letter(world: World, body: str):
    world.client("sqs").send_message(QueueUrl=world.stack.env["KEYWHEEL_NOTIFY_QUEUE_URL"], MessageBody=body)
    at_rest(world)
    [why] = dead_letters(world)
    assert why.startswith("the message is no event of Keywheel's"), why
    assert not any("PLANTED" in line for line in log(world))


def test_the_digest_is_told(world: World, receiver: StandIn):
    expiring = [
        {"application": APP, "display_name": "Somebody's <app>", "certificate": new_id(),
         "expires_on": "2026-12-01T00:00:00Z", "managed": False},
        {"credential": "turned", "application": APP, "key": new_id(), "expires_on": "2026-12-05T12:00:00Z",
         "managed": True}]
    digest = event("keywheel.digest.expiring")
    digest |= {"data": {"expiring": expiring, "total": 2}}
    del digest["subject"]
    put(world, digest)
    at_rest(world)
    [message] = slack(receiver, digest["id"])
    assert headline(message) == "2 keys and certificates expire within 60 days"
    first, second = (block["text"]["text"] for block in message["blocks"][1:3])
    assert first.startswith("*Nobody replaces*\n• 2026-12-01: Somebody's &lt;app&gt;"), first
    assert second.startswith("*Keywheel replaces in time*\n• 2026-12-05: turned"), second
    assert webhooks(receiver, digest["id"]) == [digest]
    assert len(mails(world, digest["id"])) == 1


@pytest.mark.parametrize("asked_by", ["commands", "actions"])
def test_whoever_asked_sees_how_it_goes_on(world: World, receiver: StandIn, asked_by: str):
    request, answers = new_id(), f"/{asked_by}/T0/{new_id()}"
    s3, bucket = world.client("s3"), world.stack.env["KEYWHEEL_STATE_BUCKET"]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    s3.put_object(Bucket=bucket, Key=f"requests/{request}.json", Body=json.dumps({
        "schema": 1, "request": request, "credential": "turned", "application": APP, "requested_by": "slack T0/U1",
        "reason": "leaked", "revoke_old": "now", "slack": {
            "response_url": receiver.url + answers, "channel": "C1", "user": "U1", "team": "T0"},
        "requested_at": now, "approved_at": now if asked_by == "actions" else None}).encode())
    steps = ["key.minted", "rotation.stored", "rotation.abandoned", "key.minted", "rotation.stored",
             "rotation.promoted", "key.removed", "key.removed"]
    for step in steps:
        put(world, event(f"keywheel.{step}", rotation=request, request=request, key=new_id()))
        at_rest(world)
    kept = {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=f"progress/{request}/")["Contents"]}
    assert kept == {f"progress/{request}/keywheel.{step}.json" for step in steps}
    posts = [one.json for one in receiver.received(answers)]
    assert len(posts) <= 5, "what a response_url takes"
    assert all(block_kit.problems(post) == [] for post in posts)
    shown = receiver.shown(answers)
    if asked_by == "commands":
        assert [headline(one) for one in shown] == [
            "turned has a new client secret", "The old key of turned is removed"]
        assert "minted" not in json.dumps(shown[1]), "each is told once"
    else:
        assert [headline(one) for one in posts] == [
            "Rotating turned", "Rotating turned", "turned has a new client secret", "turned has a new client secret"]
        [last] = shown
        assert "The old key is removed" in json.dumps(last) and "○" not in json.dumps(last)


def test_a_request_that_is_not_known_has_no_progress(world: World):
    request = new_id()
    put(world, event("keywheel.key.minted", request=request))
    at_rest(world)
    bucket = world.stack.env["KEYWHEEL_STATE_BUCKET"]
    listed = world.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"progress/{request}/")
    assert listed["KeyCount"] == 0 and dead_letters(world) == []


def test_what_may_post_and_sign_is_written_nowhere(world: World, receiver: StandIn):
    paths = {request.path for request in receiver.received("/commands/")} | {SLACK}
    assert len(paths) > 1
    kept = f"S3: {world.stack.env['KEYWHEEL_STATE_BUCKET']}/requests/"  # where whoever asked is to be told
    found = leaks.found(world, [*paths, KEY, KEY.removeprefix("whsec_")])
    assert [place for place in found if not place.startswith(kept)] == []
    assert not any(HOOK in line for line in log(world)), "a receiver's path may be a capability too"
