"""Secrets Manager's own rotation: RotateSecret, the four steps, and a queued job beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from keywheel_local import names
from keywheel_local.tenant import Credential, Tenant, new_id
from keywheel_local.world import World, until

STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    tenant.managed("native", "+20d", 160, trigger="native")
    tenant.managed("late", "+3d", 177, trigger="native")
    tenant.managed("swept", "+150d", 30)
    tenant.managed("beside", "+150d", 30)
    tenant.managed("disabled", "+150d", 30)
    tenant.managed("tried", "+150d", 30)
    tenant.managed("upper", "+150d", 30)
    tenant.managed("simple", "+150d", 30)
    tenant.managed("cut-off", "+150d", 30)
    tenant.managed("traceless", "+150d", 30)
    untagged = tenant.app("untagged")
    tenant.rules.append({"match": {"tag": "keywheel"}, "secret": "keywheel/entra/{appId}"})
    world = start(tenant)
    manager = world.client("secretsmanager")
    manager.create_secret(Name=f"keywheel/entra/{untagged.app_id}", SecretString="somebody's")
    manager.create_secret(Name="keywheel/not/in/the/manifest", SecretString="somebody's")
    return world


def rotate(world: World, secret: str, **more: Any) -> str:
    answer = world.client("secretsmanager").rotate_secret(
        SecretId=secret, RotationLambdaARN=world.stack.env["KEYWHEEL_ROTATE_FUNCTION_ARN"],
        RotationRules={"AutomaticallyAfterDays": 30}, **more)
    return answer.get("VersionId", "")  # none of a trial


def steps(world: World, token: str) -> list[str]:
    return [call["event"]["Step"] for call in world.invocations("rotate")
            if call["event"].get("ClientRequestToken") == token]


def errors(world: World, token: str) -> list[str]:
    return [json.dumps(call["error"]) for call in world.invocations("rotate")
            if call["event"].get("ClientRequestToken") == token and call["error"]]


def check_turned(world: World, one: Credential, token: str) -> None:
    version, key = world.current(one.secret)
    assert version == token, errors(world, token)
    assert steps(world, token) == STEPS
    assert world.signs_in(one)
    assert world.keys(one)[key]["display_name"] == names.display_name(one.scope, token)
    assert world.sign_in(one.app.app_id, one.versions[0].key.secret) == 0, "the old one works for the overlap"


def test_a_sweep_leaves_native_ones_to_secrets_manager(world: World):
    answer = world.sweep_to_rest()
    assert answer["queued"] == [], answer
    assert "native-rotation-late" in world.findings()["late"]
    assert "native-rotation-late" not in world.findings().get("native", set())


def test_a_trial_of_the_configuration_mints_nothing(world: World):
    one, token = world.tenant.credentials["tried"], new_id()
    labels = world.labels(one.secret)
    rotate(world, one.secret, ClientRequestToken=token, RotateImmediately=False)
    until(lambda: not world.busy(), "the trial ends")
    assert (steps(world, token), errors(world, token)) == (["testSecret"], [])
    assert set(world.keys(one)) == {one.current.key.key_id} and world.labels(one.secret) == labels
    assert [event for event in world.events() if event["subject"] == one.name] == []


@pytest.mark.parametrize("name", ["native", "swept"])
def test_rotate_secret_turns_a_secret_in_four_steps(world: World, name: str):
    one = world.tenant.credentials[name]
    token = rotate(world, one.secret)
    until(lambda: not world.busy(), "the rotation ends")
    check_turned(world, one, token)


@pytest.mark.parametrize("name", ["upper", "simple"])
def test_a_token_is_used_in_the_spelling_that_it_was_given_in(world: World, name: str):
    """`uuidgen` writes capital letters on a Mac, and others write no hyphens."""
    one = world.tenant.credentials[name]
    given = f"abcdef{new_id()[6:]}"
    token = given.upper() if name == "upper" else given.replace("-", "")
    assert rotate(world, one.secret, ClientRequestToken=token) == token
    until(lambda: not world.busy(), "the rotation ends")
    check_turned(world, one, token)
    told = [event["data"] for event in world.events() if event["data"].get("version") == token]
    assert told and {data["rotation"] for data in told} == {token}
    assert errors(world, token) == []


def test_the_rotation_is_on_the_record(world: World):
    one = world.tenant.credentials["native"]
    version, key = world.current(one.secret)
    told = [event for event in world.events() if event["data"].get("rotation") == version]
    assert [event["type"] for event in told] == [
        "keywheel.key.minted", "keywheel.rotation.stored", "keywheel.rotation.promoted"]
    assert {event["data"]["requested_by"] for event in told} == {"secretsmanager.amazonaws.com"}
    assert {event["data"]["key"] for event in told} == {key}


def test_a_second_rotate_secret_while_one_is_pending_is_refused_and_joins_it(world: World):
    one = world.tenant.credentials["late"]
    token = rotate(world, one.secret)
    until(lambda: any("AWSPENDING" in labels and names.key_of(labels)
                      for labels in world.labels(one.secret).values()), "the new secret is stored")
    with pytest.raises(ClientError, match="previous rotation isn't complete"):
        world.client("secretsmanager").rotate_secret(SecretId=one.secret, ClientRequestToken=new_id())
    world.rest()
    assert world.current(one.secret)[0] == token
    assert len(world.keys(one)) == 2, "one new key, not two"


def test_a_queued_job_beside_rotate_secret_makes_one_rotation(world: World):
    """They share one lock: whoever comes second goes on with what the first began."""
    one = world.tenant.credentials["beside"]
    token = rotate(world, one.secret)
    job = {"schema": 1, "credential": one.name, "application": one.app.app_id, "requested_by": "test",
           "work": {"kind": "rotate", "rotation": new_id(), "replaces": one.current.rotation, "reason": "requested"}}
    world.client("sqs").send_message(
        QueueUrl=world.stack.env["KEYWHEEL_QUEUE_URL"], MessageBody=json.dumps(job), MessageGroupId=one.name,
        MessageDeduplicationId=new_id())
    world.rest()
    version, key = world.current(one.secret)
    assert version in (token, job["work"]["rotation"]) and version != one.current.rotation
    assert world.signs_in(one)
    pending = [version for version, labels in world.labels(one.secret).items() if "AWSPENDING" in labels]
    assert pending in ([], [version]), "nothing is left that would make the next RotateSecret fail"
    assert world.dead_letters() == []
    # One that lost its race may have minted: it goes after its hour, and nothing else does.
    world.advance(hours=2)
    world.sweep_to_rest()
    assert world.orphans() == []
    assert {key, one.current.key.key_id} <= set(world.keys(one)), "the overlap is not over"


def test_a_secret_that_is_in_no_manifest_fails_with_its_name(world: World):
    token = rotate(world, "keywheel/not/in/the/manifest")
    world.rest()
    [error] = errors(world, token)
    assert "no credential of the manifest keeps its secret in keywheel/not/in/the/manifest" in error
    value = world.client("secretsmanager").get_secret_value(SecretId="keywheel/not/in/the/manifest")
    assert value["SecretString"] == "somebody's"


def invoke(world: World, one: Credential, token: str, step: str = "createSecret") -> str:
    event = {"Step": step, "SecretId": one.secret, "ClientRequestToken": token}
    answer = world.stack.invoke("rotate", event)
    assert answer["error"], answer
    return answer["result"]["errorMessage"]


def test_a_secret_named_by_a_rules_pattern_gets_no_key_of_an_application_that_nobody_tagged(world: World):
    app = next(app for app in world.tenant.apps if app.name == "untagged")
    token = rotate(world, f"keywheel/entra/{app.app_id}")
    [error] = until(lambda: errors(world, token), "it fails")
    assert "its rule's tag is not on the application" in error
    assert world.keys_of(app.app_id) == {}


def test_the_contracts_checks_refuse_before_anything_is_minted(world: World):
    off, on = world.tenant.credentials["disabled"], world.tenant.credentials["native"]
    before = set(world.keys(off)), set(world.keys(on))
    assert "is not enabled" in invoke(world, off, new_id())
    assert "has no version" in invoke(world, on, new_id())
    assert "is not AWSPENDING" in invoke(world, on, on.current.rotation)
    assert "none of createSecret, setSecret" in invoke(world, on, new_id(), "frobnicate")
    assert (set(world.keys(off)), set(world.keys(on))) == before


def test_each_step_may_come_again(world: World):
    """Secrets Manager calls a finished rotation's steps again after a lost answer."""
    one = world.tenant.credentials["native"]
    version, keys = world.current(one.secret)[0], set(world.keys(one))
    for step in STEPS:
        event = {"Step": step, "SecretId": one.secret, "ClientRequestToken": version}
        answer = world.stack.invoke("rotate", event)
        assert not answer["error"], answer
    assert world.current(one.secret)[0] == version and set(world.keys(one)) == keys


def fail(world: World, one: Credential, kind: str) -> str:
    """A rotation with a token in capital letters, whose first step comes to nothing; gives the token."""
    world.stack.admin("POST", "faults", {"rules": [
        {"kind": kind, "operation": "addPassword", "application": one.app.app_id}]})
    token = f"abcdef{new_id()[6:]}".upper()
    rotate(world, one.secret, ClientRequestToken=token)
    until(lambda: not world.busy() and errors(world, token), "the first step failed")
    world.stack.admin("POST", "faults", {})
    assert world.labels(one.secret)[token] == {"AWSPENDING"}, "nothing is stored under it"
    return token


def test_a_rotation_in_another_spelling_that_was_cut_off_after_its_key_was_minted_is_resumed(world: World):
    one = world.tenant.credentials["cut-off"]
    token = fail(world, one, "lost_answer")
    [lost] = set(world.keys(one)) - {one.current.key.key_id}
    answer = world.sweep_to_rest()
    assert {"credential": one.name, "work": "rotate (resume)"} in answer["queued"]
    assert world.current(one.secret)[0] == token and world.signs_in(one)
    assert "foreign-pending" not in world.findings().get(one.name, set())
    world.advance(hours=2)
    world.sweep_to_rest()
    assert lost not in world.keys(one), "nobody knows its text"
    assert world.dead_letters() == []


def test_one_that_left_no_trace_is_told_with_what_helps(world: World):
    one = world.tenant.credentials["traceless"]
    token = fail(world, one, "server_error")
    world.sweep_to_rest()
    [told] = [event for event in world.events("keywheel.finding.foreign-pending") if event["subject"] == one.name]
    assert "call RotateSecret again" in told["data"]["reason"] and "--remove-from-version-id" in told["data"]["reason"]
    with pytest.raises(ClientError, match="will be reattempted"):
        rotate(world, one.secret)
    until(lambda: not world.busy(), "the rotation ends")
    assert world.current(one.secret)[0] == token and world.signs_in(one)
