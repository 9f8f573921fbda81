"""``make up``, ``make clock`` and ``make down``, as somebody meets them who tries Keywheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from keywheel_local import ROOT

Result = subprocess.CompletedProcess[str]


class Local:
    """The commands, over a home of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *arguments: object) -> Result:
        command = [sys.executable, "-m", "keywheel_local", "--home", self.home, *arguments]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=240, check=False,
                              env={**os.environ, "PYTHONPATH": str(ROOT / "tests/e2e")})

    def shell(self, script: str) -> Result:
        return subprocess.run(["bash", "-euc", f". {self.home}/env; {script}"], capture_output=True, text=True,
                              timeout=120, check=False, cwd=ROOT)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    commands = Local(tmp_path / "home")
    yield commands
    commands("down")


def test_nothing_is_running_before_up_and_after_down(local: Local) -> None:
    assert local("down").stdout == "Nothing was running.\n"
    clock = local("clock", "--by", "1h")
    assert (clock.returncode, clock.stderr) == (1, "Nothing is running; `make up` starts the local system.\n")
    assert "write 24h11m" in local("clock", "--by", "soon").stderr


def test_a_manifest_that_no_function_could_read_is_refused(local: Local, tmp_path: Path) -> None:
    manifest = tmp_path / "mine.yaml"
    assert f"{manifest} is no file" in local("up", "--manifest", manifest).stderr
    manifest.write_text("tenant: '{tenant}'\ncredentials:\n  a: {application: nonsense, secret: keywheel/a}\n")
    refused = local("up", "--manifest", manifest)
    assert refused.returncode == 1
    assert f"{manifest}:3:" in refused.stderr and "Nothing is left running." in refused.stderr
    assert local("down").stdout == "Nothing was running.\n"


def test_up_says_what_it_waits_for_and_time_passes_for_every_clock(local: Local) -> None:
    up = local("up", "--applications", 2)
    assert up.returncode == 0, up.stderr
    assert [line.partition("] ")[2] for line in up.stdout.splitlines()[:3]] == [
        "the local AWS starts", "the emulated Entra starts",
        "infra/entra/setup.py makes Keywheel's application in Entra"]
    assert "an earlier" not in up.stdout
    url = local.shell('curl -s "${KEYWHEEL_WEBHOOK_URL}openapi.json"; echo "$KEYWHEEL_WEBHOOK_URL" >&2')
    assert json.loads(url.stdout)["openapi"].startswith("3.1") and url.stderr.strip().endswith("/"), "as AWS gives it"
    assert local("clock", "--by", "24h11m").returncode == 0
    sweep = local.shell(
        'curl -s --aws-sigv4 "aws:amz:$AWS_REGION:lambda" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" '
        '"$AWS_ENDPOINT_URL/2015-03-31/functions/$KEYWHEEL_SWEEP_FUNCTION/invocations" '
        '--data "@events/sweep-schedule.json"')
    assert "queued" in json.loads(sweep.stdout), f"signed in as a day before, and not refused: {sweep.stdout}"
    again = local("up")
    assert "an earlier `make up` left running is ended" in again.stdout
    assert local("down").stdout == "The local system is ended.\n"
