"""The program: where it listens, what it refuses, how it ends."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HERE, Aws, until
from local_aws import __main__ as launcher

BUSY = """
import os, time

def handle(event):
    print(os.getpid(), flush=True)
    time.sleep(60)
"""


def gone(pid: int) -> bool:
    """Ended, or waiting to be collected by whoever started it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def listening(pid: int) -> list[str]:
    """The addresses a process listens on, as the kernel writes them."""
    own = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.exists()}
    rows = [row.split() for table in ("tcp", "tcp6") for row in Path(f"/proc/{pid}/net/{table}").read_text().split("\n")
            if ":" in row]
    return [row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own]


def test_it_listens_on_loopback_only(aws):
    assert set(listening(aws.ready["pid"])) == {"0100007F"}


def test_it_ends_on_sigterm_and_takes_its_functions_and_their_files_along(tmp_path):
    process = subprocess.Popen([sys.executable, "-m", "local_aws", "--dir", str(tmp_path)], cwd=HERE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    aws = Aws(json.loads(process.stdout.readline()))
    aws.function("busy", BUSY)
    aws.client("lambda").invoke(FunctionName="busy", InvocationType="Event", Payload=b"{}")
    pid = int(until(lambda: aws.local("GET", "logs").get("busy"))[0])
    assert not gone(pid)
    assert list(launcher.scratch(tmp_path).rglob("bootstrap"))
    process.terminate()
    assert process.wait(timeout=15) == 0
    until(lambda: gone(pid), 5)
    assert not launcher.scratch(tmp_path).exists()


def test_another_version_of_ministack_is_refused(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.6.0")
    with pytest.raises(SystemExit, match="was not made for 1.6.0"):
        launcher.refuse_other_versions()
