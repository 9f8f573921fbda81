"""A sweep turns exactly what is due; the next one finds nothing to do; time takes the old keys."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from keywheel_local import ROOT, deployment, leaks
from keywheel_local.fleet import FRESH, STOPPED, Fleet
from keywheel_local.tenant import ID
from keywheel_local.world import World, until


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    return start(Fleet())


@pytest.fixture(scope="module")
def before(world: World) -> dict[str, tuple]:
    return {name: world.current(one.secret) for name, one in world.tenant.everyone.items()}


@pytest.fixture(scope="module")
def swept(world: World, before: dict) -> World:
    """After the schedule has fired once and all its jobs are done."""
    world.sweep_on_schedule()
    world.rest()
    return world


def test_the_schedule_turns_exactly_what_is_due(swept: World, before: dict):
    turned = {name for name, one in swept.tenant.everyone.items() if swept.current(one.secret) != before[name]}
    assert turned == set(swept.tenant.rotated)
    jobs = {job["credential"] for job in swept.jobs() if job["work"]["kind"] == "rotate"}
    assert jobs == {one.name for one in swept.tenant.rotated.values()}
    assert swept.dead_letters() == []


def test_each_new_secret_signs_in_and_its_key_is_the_labels(swept: World):
    for name, one in swept.tenant.rotated.items():
        version, key = swept.current(one.secret)
        assert swept.signs_in(one), name
        shown = swept.keys(one)[key]
        assert shown["display_name"] == f"keywheel/{one.scope}/{version}", name
        assert any(label.startswith("keywheel:since:") for label in swept.labels(one.secret)[version]), name


def test_the_old_secret_signs_in_as_well_during_the_overlap(swept: World):
    for name in ("expiring", "partner", "adopted"):
        one = swept.tenant.credentials[name]
        assert swept.sign_in(one.app.app_id, one.versions[0].key.secret) == 0, name
        assert swept.text(one.secret, "AWSPREVIOUS") == one.versions[0].key.secret, name


def test_nobodys_secret_but_what_was_due_was_touched(swept: World):
    for name in FRESH:
        one = swept.tenant.credentials[name]
        assert swept.text(one.secret) == one.current.key.secret and swept.signs_in(one), name
    for name in STOPPED:
        one = swept.tenant.credentials[name]
        assert set(swept.keys(one)) == {key.key_id for key in one.keys if one.app.known}, name
    for app in swept.tenant.watched.values():
        assert set(swept.keys_of(app.app_id)) == {key.key_id for key in app.keys}, app.name


def test_what_it_may_not_turn_is_a_finding(swept: World):
    found = swept.findings()
    for name, finding in STOPPED.items():
        assert finding in found[name], (name, found[name])
    assert "foreign-key" in found["shared"]
    for finding, app in swept.tenant.watched.items():
        assert finding in found[app.app_id], (app.name, found.get(app.app_id))


def test_the_key_whose_overlap_was_over_and_the_orphan_are_gone(swept: World):
    two = swept.tenant.credentials["two-keys"]
    assert set(swept.keys(two)) == {two.current.key.key_id}
    removed = {event["data"]["key"] for event in swept.events("keywheel.key.removed")}
    assert removed == {swept.tenant.old.key_id, swept.tenant.lost.key_id}
    assert two.versions[0].rotation not in swept.labels(two.secret), "the retired version has no label left"


def test_every_change_has_one_record(swept: World):
    """Minted, stored, promoted: once each for each rotation, with the keys and who asked."""
    for name, one in swept.tenant.rotated.items():
        version, key = swept.current(one.secret)
        for kind in ("key.minted", "rotation.stored", "rotation.promoted"):
            told = [event for event in swept.events(f"keywheel.{kind}") if event["data"].get("version") == version]
            assert [event["data"]["key"] for event in told] == [key], (name, kind)
            assert told[0]["subject"] == one.name and told[0]["data"]["tenant"] == ID
            assert told[0]["data"]["requested_by"] == "keywheel sweep"
            assert told[0]["specversion"] == "1.0"


def test_a_second_sweep_does_nothing(swept: World):
    jobs, keys = len(swept.jobs()), {name: set(swept.keys(one)) for name, one in swept.tenant.everyone.items()}
    answer = swept.sweep_to_rest()
    assert answer["queued"] == [] and answer["finished"], answer
    assert len(swept.jobs()) == jobs
    assert {name: set(swept.keys(one)) for name, one in swept.tenant.everyone.items()} == keys


def test_whatever_is_written_down_is_searched_for_secrets(swept: World):
    """The search at the end of each module does see what functions, queues, events and Graph's log hold."""
    key = swept.events("keywheel.key.minted")[0]["data"]["key"]
    known = {"logs": "PutSecretValue", "sent": key, "invocations": "requested_by", "requests": key}
    for place, text in known.items():
        assert any(place in where for where in leaks.found(swept, [text])), place


PROBE = """
import boto3
from botocore.exceptions import ClientError

def handle(event):
    try:
        boto3.client("secretsmanager").get_secret_value(SecretId=event["secret"])
        return "read"
    except ClientError as error:
        return error.response["Error"]["Code"]
"""


@pytest.mark.parametrize(("role", "answer"), [("SWEEP", "AccessDeniedException"), ("ROTATE", "read")])
def test_the_sweeps_role_cannot_read_a_secret(swept: World, tmp_path: Path, role: str, answer: str):
    """A function of a few lines with the deployed role: IAM says what it may do, not what our code refrains from."""
    bootstrap = tmp_path / "bootstrap"
    runtime = (ROOT / "tests/aws/runtime.py").read_text()
    bootstrap.write_text(f"#!{sys.executable}\n{runtime}\n{PROBE}\nserve(handle)\n")
    functions = swept.client("lambda")
    functions.create_function(
        FunctionName=f"probe-{role}", Runtime="provided.al2023", Handler="bootstrap", Timeout=30,
        Role=swept.stack.env[f"KEYWHEEL_{role}_ROLE_ARN"], Code={"ZipFile": deployment.package(bootstrap)})
    secret = swept.tenant.credentials["fresh"].secret
    reply = functions.invoke(FunctionName=f"probe-{role}", Payload=json.dumps({"secret": secret}).encode())
    assert json.load(reply["Payload"]) == answer
    assert len(swept.denied()) == (answer != "read")


def test_a_stranger_to_the_account_is_refused(swept: World):
    """IAM is enforced at all: or the least privilege above would prove nothing."""
    env = swept.stack.env
    stranger = boto3.client("secretsmanager", endpoint_url=env["AWS_ENDPOINT_URL"], region_name=env["AWS_REGION"],
                            aws_access_key_id="AKIAXXXXXXXXSTRANGER", aws_secret_access_key="x")
    with pytest.raises(ClientError):
        stranger.get_secret_value(SecretId=swept.tenant.credentials["fresh"].secret)


def test_after_the_overlap_the_old_keys_go_and_the_new_ones_sign_in(swept: World):
    """The last test: it lets a day pass."""
    swept.advance(hours=24, minutes=11)
    answer = swept.sweep_to_rest()
    assert {job["work"].split()[0] for job in answer["queued"]} == {"retire"}, answer
    for name, one in swept.tenant.rotated.items():
        assert set(swept.keys(one)) == {swept.current(one.secret)[1]}, name
        assert swept.signs_in(one), name
        for version in one.versions:
            if version.key.end != "-2d":  # that one had expired, which is another refusal
                assert swept.sign_in(one.app.app_id, version.key.secret) == 7000215, name
    assert swept.tenant.foreign.key_id in swept.keys(swept.tenant.credentials["shared"]), "never a foreign key"
    assert swept.orphans() == []
    until(lambda: swept.sweep_to_rest()["queued"] == [], "nothing is left to do", 30)
