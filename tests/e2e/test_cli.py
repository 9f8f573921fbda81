"""The command-line tool against the deployed system, with the environment that ``make up`` writes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from keywheel_local.fleet import STOPPED, Fleet
from keywheel_local.tenant import App
from keywheel_local.world import World

HAND_MADE = "hand-made"


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    fleet = Fleet()
    fleet.by_hand(HAND_MADE, "+100d", adopt=True)
    return start(fleet)


def keywheel(world: World, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """As the README says, with nothing set but by ``. .local/env``."""
    settings = world.stack.settings
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AZURE_", "KEYWHEEL_"))}
    command = ["bash", "-c", '. "$0" && exec "$@"', settings.home / "env", settings.bin / "keywheel", *arguments]
    return subprocess.run(command, env=bare | env, capture_output=True, text=True, timeout=300)


def shape(done: subprocess.CompletedProcess[str], code: int = 0) -> dict:
    assert done.returncode == code, done
    return json.loads(done.stdout)


def test_plan_says_what_a_sweep_would_do_and_does_nothing(world: World):
    planned = shape(keywheel(world, "plan", "--json"))
    rotations = {one["credential"]: one["reason"] for one in planned["planned"] if one["work"] == "rotate"}
    assert set(rotations) == {one.name for one in world.tenant.rotated.values()} | {HAND_MADE}
    assert rotations["expired"] == rotations["expiring"] == "expiring"
    assert (rotations["first"], rotations["adopted"]) == ("first", "adopt")
    others = {(one["work"], one["key"]) for one in planned["planned"] if one["work"] != "rotate"}
    assert others == {("retire", world.tenant.old.key_id), ("resolve", world.tenant.lost.key_id)}
    found = {(one["credential"], one["finding"]) for one in planned["findings"]}
    assert {(name, finding) for name, finding in STOPPED.items()} <= found
    assert planned["credentials"] == len(world.tenant.everyone) and planned["objects"] > 0
    assert all(one["explanation"] for one in planned["findings"])
    assert world.jobs() == [] and world.events() == []


def test_plan_has_an_exit_code_for_what_is_due(world: World):
    assert keywheel(world, "plan", "--detailed-exitcode").returncode == 2
    assert keywheel(world, "plan").returncode == 0


def test_status_tells_how_each_stands(world: World):
    standing = {one["credential"]: one for one in shape(keywheel(world, "status", "--json"))["credentials"]}
    assert set(standing) == {one.name for one in world.tenant.everyone.values()}
    fresh = world.tenant.credentials["fresh"]
    assert standing["fresh"]["current"]["key"] == fresh.current.key.key_id
    assert standing["fresh"]["current"]["version"] == fresh.current.rotation
    assert standing["fresh"]["due"] == []
    assert [work["reason"] for work in standing["expiring"]["due"]] == ["expiring"]
    assert standing["first"]["state"] == "missing" and standing["first"]["current"] is None
    for name, finding in STOPPED.items():
        assert finding in {one["finding"] for one in standing[name]["findings"]}
    assert world.tenant.credentials["adopted"].fields["retire_keys"]
    assert not standing["adopted"]["findings"], "its key is named under `retire_keys` already"


def test_rotate_waits_until_the_new_secret_is_current(world: World):
    one = world.tenant.credentials["fresh"]
    done = shape(keywheel(world, "rotate", "fresh", "--wait", "--timeout", "60s", "--json"))
    version, key = world.current(one.secret)
    assert (done["outcome"], done["version"], done["key"]) == ("promoted", version, key)
    assert (done["replaces"], done["old_key"]) == (one.current.rotation, one.current.key.key_id)
    assert version != one.current.rotation and world.signs_in(one)
    assert world.sign_in(one.app.app_id, one.current.key.secret) == 0
    world.rest()
    [promoted] = [event for event in world.events("keywheel.rotation.promoted") if event["subject"] == "fresh"]
    assert promoted["data"]["requested_by"].startswith("arn:aws:"), "who asked is on the record"


def test_rotate_revokes_the_old_secret_where_that_is_asked(world: World):
    one = world.tenant.credentials["shared"]
    done = shape(keywheel(world, "rotate", "shared", "--now-revoke-old", "--yes", "--timeout", "60s", "--json"))
    assert (done["outcome"], done["revoke_old"]) == ("promoted", "now")
    world.rest()
    assert world.sign_in(one.app.app_id, one.current.key.secret) == 7000215 and world.signs_in(one)


def test_rotate_does_not_call_an_old_secret_revoked_whose_key_it_does_not_know(world: World):
    one = world.tenant.credentials[HAND_MADE]
    arguments = ("rotate", HAND_MADE, "--now-revoke-old", "--yes", "--timeout", "60s", "--json")
    done = keywheel(world, *arguments)
    told = shape(done, 4)
    version, key = world.current(one.secret)
    assert (told["outcome"], told["old_key"], told["old_key_left"]) == ("not-revoked", None, "unknown")
    assert (told["replaces"], told["version"], told["key"]) == (one.current.rotation, version, key)
    assert [step["step"] for step in told["steps"]][-1] == "recorded" and "still works" in told["why"]
    warning, error = f"warning: {HAND_MADE} can be rotated, but ", f"error: {HAND_MADE} is rotated, but "
    assert warning in done.stderr and error in done.stderr and "still works until" in done.stderr, done.stderr
    assert "cure: remove the key in Entra by hand" in done.stderr, done.stderr
    world.rest()
    assert version != one.current.rotation and world.signs_in(one), "it is rotated all the same"
    assert world.sign_in(one.app.app_id, one.current.key.secret) == 0, "and the old one still works"
    assert set(world.keys(one)) == {one.current.key.key_id, key}


def test_rotate_finds_a_rules_credential_by_its_application(world: World):
    member = world.tenant.members[0]
    done = shape(keywheel(world, "rotate", "--application", member.app.app_id, "--timeout", "60s", "--json"))
    assert done["outcome"] == "promoted" and done["secret"] == member.secret
    assert world.signs_in(member)


def test_rotate_without_waiting_queues_the_job(world: World):
    done = shape(keywheel(world, "rotate", "expired", "--no-wait", "--json"))
    assert done["outcome"] == "queued"
    world.rest()
    assert world.current(world.tenant.credentials["expired"].secret)[0] == done["version"]


@pytest.mark.parametrize("name", ["nobody", "gone", "no-principal", "unknown"])
def test_what_cannot_be_rotated_is_refused_with_a_cure(world: World, name: str):
    jobs = world.stack.local("GET", "sent")
    done = keywheel(world, "rotate", name, "--timeout", "30s", "--json")
    assert shape(done, 4)["outcome"] in ("refused", "failed"), done
    assert shape(done, 4)["why"]
    assert len(world.stack.local("GET", "sent")) == len(jobs), "nothing is queued"


def tags(world: World, app: App) -> list[str]:
    [found] = [one for one in world.stack.admin("GET", "state")["applications"] if one["app_id"] == app.app_id]
    return found["tags"]


def test_tag_puts_an_application_under_a_rule_and_takes_it_out(world: World):
    free, member = world.tenant.watched["expiring-key"], world.tenant.members[0]
    listed = world.tenant.credentials["fresh"]
    apps = [free.app_id, listed.app.app_id, member.app.app_id]
    unasked = keywheel(world, "tag", *apps)
    assert unasked.returncode == 2 and "add --yes" in unasked.stderr and tags(world, free) == []
    dry = shape(keywheel(world, "tag", "--dry-run", "--json", *apps))
    outcomes = {one["application"]: (one["outcome"], one["credential"]) for one in dry["applications"]}
    assert outcomes == {
        free.app_id: ("changed", f"keywheel/entra/{free.app_id}"), listed.app.app_id: ("elsewhere", None),
        member.app.app_id: ("unchanged", member.name)}
    assert tags(world, free) == []
    assert keywheel(world, "tag", "--yes", *apps).returncode == 0
    assert (tags(world, free), tags(world, listed.app)) == (["keywheel"], [])
    planned = {one["credential"] for one in shape(keywheel(world, "plan", "--json"))["planned"]}
    assert f"keywheel/entra/{free.app_id}" in planned
    assert keywheel(world, "tag", "--yes", "--remove", free.app_id).returncode == 0
    assert tags(world, free) == []


@pytest.mark.parametrize(("arguments", "why"), [
    (["tag", "00000000-0000-0000-0000-000000000000", "--yes"], "Graph knows no application"),
    (["tag", "--rule", "Keywheel", "00000000-0000-0000-0000-000000000000"], "capital letters count"),
])
def test_tag_refuses_what_no_rule_could_manage(world: World, arguments: list[str], why: str):
    done = keywheel(world, *arguments)
    assert done.returncode == 4 and why in done.stderr, done


def test_missing_credentials_and_a_missing_network_are_told_apart(world: World):
    keys = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_CONFIG_FILE": os.devnull}
    unsigned = world.stack.keywheel("status", **keys, AWS_EC2_METADATA_DISABLED="true")
    assert unsigned.returncode == 1 and "no AWS credentials" in unsigned.stderr, unsigned
    assert "cure: sign in to AWS" in unsigned.stderr
    away = world.stack.keywheel("status", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert away.returncode == 1 and "no connection" in away.stderr and "cure: check the network" in away.stderr, away
    unset = world.stack.keywheel("rotate", "fresh", KEYWHEEL_QUEUE_URL="")
    assert unset.returncode == 2 and "KEYWHEEL_QUEUE_URL is not set" in unset.stderr, unset


def test_status_of_an_unknown_credential_is_refused(world: World):
    assert keywheel(world, "status", "nobody").returncode == 4


def test_a_person_reads_tables_that_fit(world: World):
    for arguments in (["plan"], ["status"], ["status", "fresh"]):
        done = keywheel(world, *arguments)
        assert done.returncode == 0 and done.stdout and "\x1b" not in done.stdout, done


def test_no_command_ever_prints_a_secret(world: World):
    """Whatever it prints, with the most talkative log, holds none of the tenant's secrets."""
    secrets = [text for text in world.stack.admin("GET", "secrets") if len(text) >= 16]
    commands = (["plan"], ["status"], ["rotate", "expiring", "--timeout", "60s"], ["validate"])
    for arguments in commands:
        done = keywheel(world, *arguments, KEYWHEEL_LOG="trace", RUST_LOG="trace")
        assert done.returncode == 0, (arguments, done.returncode)
        secrets += [text for text in world.stack.admin("GET", "secrets") if len(text) >= 16]
        assert not any(text in done.stdout + done.stderr for text in secrets), arguments


def test_aws_credentials_may_come_from_a_process_that_a_profile_names(world: World, tmp_path: Path):
    env = world.stack.env
    keys = {"Version": 1, "AccessKeyId": env["AWS_ACCESS_KEY_ID"], "SecretAccessKey": env["AWS_SECRET_ACCESS_KEY"]}
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    (tmp_path / "config").write_text(f"[profile local]\ncredential_process = cat {tmp_path}/keys.json\n")
    unset = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    done = world.stack.keywheel("status", **unset, AWS_CONFIG_FILE=str(tmp_path / "config"), AWS_PROFILE="local")
    assert done.returncode == 0, done.stderr
    without = world.stack.keywheel("status", **unset, AWS_CONFIG_FILE=os.devnull)
    assert without.returncode != 0, "the keys came from the profile"


def test_sweep_runs_the_function_and_follows_the_jobs_to_their_end(world: World):
    dry = shape(keywheel(world, "sweep", "--dry-run", "--json"))
    names = {job["credential"] for job in dry["queued"]}
    ruled = {one.name for one in world.tenant.members}
    assert ruled | {"first", "partner"} >= names - {"adopted", HAND_MADE, "two-keys"}
    assert "partner" in names and dry["followed"] is None and dry["finished"]
    assert world.jobs() == [], "a dry run queues nothing"
    done = shape(keywheel(world, "sweep", "--wait", "--timeout", "120s", "--json"))
    assert {job["credential"] for job in done["queued"]} == names
    assert done["followed"] == {"done": sorted(names), "failed": {}, "left": [], "interrupted": False}
    assert world.signs_in(world.tenant.credentials["partner"])
    table = keywheel(world, "sweep", "--wait")
    assert table.returncode == 0 and "0 jobs queued" in table.stdout, table


@pytest.mark.parametrize(("function", "code", "why"), [
    ("", 2, "stack's output `SweepFunctionName`"), ("nobody", 1, "stack's output `SweepFunctionName`"),
    ("{KEYWHEEL_NOTIFY_FUNCTION}", 1, "SweepFunctionName"),
])
def test_sweep_says_which_function_it_needs(world: World, function: str, code: int, why: str):
    done = keywheel(world, "sweep", "--function", function.format_map(world.stack.env))
    assert done.returncode == code and why in done.stderr, done
