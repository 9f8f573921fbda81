"""A process that prints one JSON line when it is ready and ends on SIGTERM."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path

PATIENCE = 30.0


class NotReady(RuntimeError):
    """The process ended, or took too long, before it was ready."""


def start(command: list[str | Path], log: Path, env: dict[str, str]) -> tuple[dict, int]:
    """Start in a process group of its own, wait for the line; gives it and the process id."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as errors:
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=errors, env=env, text=True, start_new_session=True)
    try:
        readable, _, _ = select.select([process.stdout], [], [], PATIENCE)
        line = process.stdout.readline() if readable else ""
        return json.loads(line), process.pid
    except ValueError:
        end(process.pid)
        raise NotReady(f"{command[0]} was not ready: {log.read_text()[-2000:] or line or 'it said nothing'}") from None
    except BaseException:  # Ctrl-C, before anybody else knows of the process
        end(process.pid)
        raise


def started_at(pid: int) -> str | None:
    """When the process began, in clock ticks: with its id it names a process for good. None: it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = text.rpartition(")")[2].split()
    return None if state == "Z" else rest[18]


def end(pid: int, began: str | None = None) -> None:
    """End the process and its group: asked first, then forced. Nothing happens where they are gone already."""
    now = started_at(pid)
    if now is not None and began is not None and now != began:
        return  # the id is another's by now
    if now is not None:
        os.kill(pid, signal.SIGTERM)
        _gone(pid, 10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what it left behind; the id is not given away while its group lives
    _gone(pid, 5)


def _gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == pid:  # not before its last thread has ended
                return True
        except ChildProcessError:
            if started_at(pid) is None:
                return True
        time.sleep(0.02)
    return False
