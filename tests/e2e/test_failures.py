"""Jobs that fail for good become dead letters with a record, and leave their secrets as they were."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError
from keywheel_local import names
from keywheel_local.tenant import Credential, Tenant, new_id
from keywheel_local.world import World, until

WAITING = "waiting-a", "waiting-b", "waiting-c"
MENDED = 600  # seconds: MANIFEST_MENDED of functions/rotate


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    for name in ("fine", "moved", "denied", "deleted"):
        tenant.managed(name, "+150d", 30)
    gone = tenant.managed("gone", "+10d", 170)
    gone.app.known = False
    tenant.credential("newcomer", tenant.app("newcomer", service_principal=False))
    newcomer = tenant.credentials["newcomer"].app
    tenant.credential("object-id", tenant.app("object-id", known=False, app_id=newcomer.object_id))
    tenant.app("untagged")
    tenant.rules.append({"match": {"tag": "keywheel"}, "secret": "keywheel/entra/{appId}"})
    tenant.managed("blocked", "+150d", 30)
    tenant.managed("tried", "+150d", 30)
    tenant.managed("wanted-gone", "+150d", 30)
    tenant.managed("watched", "+150d", 30)
    for name in WAITING:
        tenant.managed(name, "+150d", 30)
    return start(tenant)


def job(credential: str, application: str, replaces: str | None = None, **more: object) -> dict:
    work = {"kind": "rotate", "rotation": new_id(), "replaces": replaces, "reason": "requested"}
    return {"schema": 1, "credential": credential, "application": application, "requested_by": "test",
            "work": work} | more


def job_of(one: Credential, **more: object) -> dict:
    return job(one.name, one.app.app_id, one.current.rotation, **more)


def send(world: World, body: dict | str, group: str = "test") -> None:
    world.client("sqs").send_message(
        QueueUrl=world.stack.env["KEYWHEEL_QUEUE_URL"], MessageGroupId=group, MessageDeduplicationId=new_id(),
        MessageBody=body if isinstance(body, str) else json.dumps(body))


def state(world: World) -> dict:
    """All that a failed job must leave alone."""
    return {name: (world.labels(one.secret), set(world.keys(one)))
            for name, one in world.tenant.credentials.items() if one.versions}


def failed(world: World, credential: str) -> list[str]:
    return [event["data"]["reason"] for event in world.events("keywheel.rotation.failed")
            if event["subject"] == credential]


def check_dead(world: World, body: dict | str, why: str) -> None:
    before = state(world)
    send(world, body)
    world.rest()
    [letter] = world.dead_letters()
    assert letter["body"] == (body if isinstance(body, str) else json.dumps(body)), "as it was received"
    assert why in letter["reason"], letter
    assert state(world) == before


@pytest.mark.parametrize(("body", "why"), [
    ("not json", "not a job"),
    ("{}", "names no schema"),
    ('{"schema": 1, "surprise": true}', "not a job of schema 1"),
    ('{"schema": 99, "credential": "fine"}', "a job of schema 99"),
    ('{"schema": 0, "credential": "fine"}', "a job of schema 0"),
    ('{"credential": "fine"}', "names no schema"),
])
def test_a_message_that_is_no_job_is_a_dead_letter(world: World, body: str, why: str):
    check_dead(world, body, why)


def test_a_job_of_an_unknown_credential_fails_for_good(world: World):
    check_dead(world, job("nobody", new_id()), "no such credential")
    assert len(failed(world, "nobody")) == 1


def test_a_job_of_another_application_than_the_manifests_fails_for_good(world: World):
    one = world.tenant.credentials["moved"]
    check_dead(world, job(one.name, new_id(), one.current.rotation), f"says application {one.app.app_id}")
    assert len(failed(world, "moved")) == 1


def test_a_job_of_an_application_that_is_gone_fails_for_good(world: World):
    check_dead(world, job_of(world.tenant.credentials["gone"]), "does not know the application")
    assert len(failed(world, "gone")) == 1


def test_a_first_job_of_an_object_id_fails_with_the_client_id(world: World):
    """Tried again, because some replica may not know a new application: the last try says what is wrong."""
    one = world.tenant.credentials["object-id"]
    send(world, job(one.name, one.app.app_id))

    def dead() -> list[str]:
        if set(world.busy()) == {"jobs"}:
            world.stack.local("POST", "queues/advance", {"advance_seconds": 20})
        return failed(world, one.name)

    [why] = until(dead, "its tries are over")
    assert f"`application: {world.tenant.credentials['newcomer'].app.app_id}`" in why
    world.rest()
    world.dead_letters()


def untagged(world: World) -> tuple[str, str]:
    """An application that nobody tagged, and the secret that a rule would make of it."""
    app = next(app for app in world.tenant.apps if app.name == "untagged")
    return app.app_id, f"keywheel/entra/{app.app_id}"


def test_no_key_is_minted_for_an_application_that_nobody_tagged(world: World):
    """A rule's pattern fits any application: who may send jobs must not have a key of each."""
    app_id, secret = untagged(world)
    check_dead(world, job(secret, app_id, new_id()), "no rule's tag is on the application")
    # A tag that was just put on may be unknown to this replica: a first rotation is tried again.
    before = len(world.invocations("rotate"))
    send(world, job(secret, app_id))
    until(lambda: [call for call in world.invocations("rotate")[before:] if call["ended"]], "it is tried")
    world.client("sqs").purge_queue(QueueUrl=world.stack.env["KEYWHEEL_QUEUE_URL"])
    assert world.keys_of(app_id) == {}
    with pytest.raises(ClientError, match="ResourceNotFound"):
        world.client("secretsmanager").describe_secret(SecretId=secret)


def test_a_first_rotation_waits_for_an_application_that_is_not_known_everywhere_yet(world: World):
    """Of one that a sweep has just found some replicas show no service principal: no reason to give its job up."""
    one, before = world.tenant.credentials["newcomer"], len(world.invocations("rotate"))
    first = job(one.name, one.app.app_id)
    first["work"]["reason"] = "first"
    send(world, first, one.name)
    until(lambda: [call for call in world.invocations("rotate")[before:] if call["ended"]], "it is tried")
    assert failed(world, one.name) == [] and world.dead_letters() == []
    assert world.waiting("KEYWHEEL_QUEUE_URL") == 1, "its job is kept"
    world.stack.person("ann@example.com")("POST", "servicePrincipals", {"appId": one.app.app_id})
    world.rest()
    assert failed(world, one.name) == [] and world.dead_letters() == []
    assert world.current(one.secret)[0] == first["work"]["rotation"] and world.signs_in(one)


def test_a_job_of_a_secret_that_is_to_be_deleted_fails_for_good(world: World):
    one = world.tenant.credentials["deleted"]
    manager = world.client("secretsmanager")
    manager.delete_secret(SecretId=one.secret)
    try:
        check_dead(world, job_of(one), "scheduled for deletion")
    finally:
        manager.restore_secret(SecretId=one.secret)
    assert world.signs_in(one)


def test_conditional_access_blocks_the_new_secret_and_the_old_one_stays(world: World):
    one = world.tenant.credentials["blocked"]
    world.stack.admin("POST", "faults", {"rules": [
        {"kind": "conditional_access", "operation": "token", "application": one.app.app_id}]})
    try:
        send(world, job_of(one))
        world.rest()
    finally:
        world.stack.admin("POST", "faults", {})
    [letter] = world.dead_letters()
    assert "AADSTS53003" in letter["reason"]
    assert len(failed(world, "blocked")) == 1
    assert world.current(one.secret)[0] == one.current.rotation and world.signs_in(one)
    # What was stored is not lost: once the policy is mended, the next sweep goes on with it.
    keys = set(world.keys(one))
    answer = world.sweep_to_rest()
    assert {"credential": "blocked", "work": "rotate (resume)"} in answer["queued"]
    assert world.dead_letters() == []
    assert world.current(one.secret)[0] != one.current.rotation and world.signs_in(one)
    assert set(world.keys(one)) == keys, "no second key was minted"


def test_whoever_follows_a_job_that_fails_for_good_is_told_so(world: World):
    """Not that it is under way; and an older letter of a rotation that is resumed says nothing of the new job."""
    one = world.tenant.credentials["watched"]
    rotate = "rotate", one.name, "--now-revoke-old", "--yes", "--timeout", "120s"
    world.stack.admin("POST", "faults", {"rules": [
        {"kind": "conditional_access", "operation": "token", "application": one.app.app_id}]})
    try:
        done = world.stack.keywheel(*rotate, "--json")
    finally:
        world.stack.admin("POST", "faults", {})
    assert done.returncode == 4, done
    told = json.loads(done.stdout)
    assert told["outcome"] == "failed" and "AADSTS53003" in told["why"], told
    assert "under way" not in done.stderr and "failed for good" in done.stderr, done.stderr
    arn = world.client("sqs").get_queue_attributes(
        QueueUrl=world.stack.env["KEYWHEEL_DEAD_LETTER_URL"], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    assert f"aws sqs start-message-move-task --source-arn {arn}" in told["why"]
    assert world.current(one.secret)[0] == one.current.rotation and world.signs_in(one)
    [standing] = json.loads(world.stack.keywheel("status", one.name, "--json").stdout)["credentials"]
    assert [(job["work"], "AADSTS53003" in job["reason"]) for job in standing["failed_jobs"]] == [("rotate", True)]
    assert "failed" in world.stack.keywheel("status", one.name).stdout and "failed-job" in \
        world.stack.keywheel("status").stdout
    again = world.stack.keywheel(*rotate, "--json")
    assert again.returncode == 0, again
    assert json.loads(again.stdout)["version"] == told["version"], "resumed"
    [letter] = world.dead_letters()
    assert "AADSTS53003" in letter["reason"], "it was only looked at"


def test_a_permission_that_is_lacking_leaves_the_secret_as_it_was(world: World):
    """PutSecretValue is denied after the key was minted: the worst moment."""
    one = world.tenant.credentials["denied"]
    role = world.stack.env["KEYWHEEL_ROTATE_ROLE_ARN"].rsplit("/", 1)[1]
    deny = {"Effect": "Deny", "Action": "secretsmanager:PutSecretValue", "Resource": "*"}
    iam, labels = world.client("iam"), world.labels(one.secret)
    iam.put_role_policy(RoleName=role, PolicyName="deny",
                        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    try:
        send(world, job_of(one))
        world.rest()
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="deny")
    [letter] = world.dead_letters()
    assert "with an explicit deny in an identity-based policy" in letter["reason"], "AWS's own words"
    assert {one["action"] for one in world.denied()} == {"secretsmanager:PutSecretValue"}
    assert len(failed(world, "denied")) == 1
    assert world.labels(one.secret) == labels and world.signs_in(one)
    assert len(world.orphans()) == 1, "its key was minted and is held by nobody"
    world.advance(hours=2)
    world.sweep_to_rest()
    assert world.orphans() == []
    told = [event["data"]["key"] for event in world.events("keywheel.key.") if event["subject"] == one.name]
    assert len(told) == 2 and len(set(told)) == 1, "minted and removed are both on the record"


def test_a_job_that_was_tried_too_often_is_a_dead_letter_with_a_record(world: World):
    """Graph stays away; SQS has handed the message out four times before."""
    one = world.tenant.credentials["tried"]
    before = state(world)
    world.stack.admin("POST", "faults", {"rules": [
        {"kind": "unavailable", "operation": "addPassword", "application": one.app.app_id}]})
    functions, sqs, url = world.client("lambda"), world.client("sqs"), world.stack.env["KEYWHEEL_QUEUE_URL"]
    [mapping] = functions.list_event_source_mappings(
        FunctionName=world.stack.env["KEYWHEEL_ROTATE_FUNCTION"])["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        send(world, job_of(one), one.name)
        for _ in range(4):
            until(lambda: sqs.receive_message(QueueUrl=url, VisibilityTimeout=0).get("Messages"), "it is handed out")
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
        world.rest()
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
        world.stack.admin("POST", "faults", {})
    [letter] = world.dead_letters()
    [reason] = failed(world, one.name)
    assert reason.startswith("after 5 tries: Graph: addPassword") and letter["reason"] == reason
    assert state(world) == before


def test_a_failed_job_holds_up_nothing_else(world: World):
    """Another job of the same message group goes on behind a dead letter."""
    one = world.tenant.credentials["fine"]
    send(world, "not json", one.name)
    send(world, job_of(one), one.name)
    world.rest()
    assert len(world.dead_letters()) == 1
    assert world.current(one.secret)[0] != one.current.rotation and world.signs_in(one)


def test_a_key_that_somebody_wants_gone_and_that_may_not_go_yet_is_no_success(world: World):
    one = world.tenant.credentials["wanted-gone"]
    pending, key = new_id(), new_id()
    manager = world.client("secretsmanager")
    manager.put_secret_value(SecretId=one.secret, SecretString="{}", ClientRequestToken=pending,
                             VersionStages=["AWSPENDING"])
    manager.update_secret_version_stage(SecretId=one.secret, VersionStage=names.KEY + key, MoveToVersionId=pending)
    body = job_of(one, work={"kind": "retire", "version": pending, "key": key, "revoke_old": "now"})

    def received(times: int) -> dict:
        return world.stack.invoke("rotate", {"Records": [{
            "messageId": "m", "receiptHandle": "no handle", "body": json.dumps(body), "eventSource": "aws:sqs",
            "attributes": {"ApproximateReceiveCount": str(times), "MessageGroupId": "test"}}]})

    assert received(1)["result"] == {"batchItemFailures": [{"itemIdentifier": "m"}]}
    assert failed(world, one.name) == []
    assert received(5)["result"] == {"batchItemFailures": []}
    [why] = failed(world, one.name)
    assert "the key is still there" in why and "by hand" in why
    [letter] = world.dead_letters()
    assert letter["reason"] == why


def test_jobs_wait_for_a_manifest_that_is_broken(world: World):
    """Each is handed out once in ten minutes; the queue gives up after five times."""
    waiting = [world.tenant.credentials[name] for name in WAITING]
    queue = world.stack.env["KEYWHEEL_QUEUE_URL"].rsplit("/", 1)[1]
    before, called = state(world), len(world.invocations("rotate"))

    def tried() -> bool:
        calls = world.invocations("rotate")[called:]
        return len(calls) == len(waiting) and all(call["ended"] for call in calls) and set(world.busy()) == {"jobs"}

    def pass_time(seconds: int) -> int:
        """How many jobs may be handed out again by then."""
        visible = world.stack.local("POST", "queues/advance", {"advance_seconds": seconds})["visible"]
        [count] = [count for url, count in visible.items() if url.endswith(f"/{queue}")]
        return count

    world.stack.put_manifest("tenant: nonsense")
    try:
        for one in waiting:
            send(world, job_of(one), one.name)
        until(tried, "each was tried once, and waits")
        assert pass_time(MENDED - 60) == 0
        assert tried() and state(world) == before
    finally:
        world.stack.put_manifest(world.tenant.manifest())
    assert pass_time(60) == len(waiting)
    world.rest()
    assert world.dead_letters() == []
    for one in waiting:
        assert world.current(one.secret)[0] != one.current.rotation and world.signs_in(one), one.name
