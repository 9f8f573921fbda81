"""``make prove``: its short form, a small fleet turned while everything fails, and what is made of a finding."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
from keywheel_local import prove
from keywheel_local.github_stand_in import GitHub
from keywheel_local.leaker import Leak, Leaker
from keywheel_local.tenant import App, Credential
from keywheel_local.torture import Result, torture

CLEAN = ("refused sign-ins", "orphans after rest", "changes without a record", "events not in whole chains",
         "leaked secrets that nobody heeded", "current secrets that do not sign in", "requests that AWS could not read",
         "places that hold a secret's text")


def test_nothing_is_lost(tmp_path: Path):
    result = torture(rotations=16, applications=8, seed=2, home=tmp_path)
    assert result.violations == {where: [] for where in CLEAN}
    assert result.rotations >= 16
    assert result.sign_ins > result.rotations
    assert sum(result.struck.values()) > 20, "the days were too good"
    assert result.struck["Entra: expired tokens refused"] > 0 and result.struck["clocks set wrong"] >= 2
    for service in ("secretsmanager", "s3"):
        assert sum(times for what, times in result.struck.items() if what.startswith(f"AWS: {service} ")) > 0, service
    for victim in ("rotate", "compare"):
        assert result.struck[f"{victim} processes killed"] > 0
    assert result.struck["leaks of secrets that worked"] > 0 and result.struck["leaked secrets that work no more"] > 0


LEAKED = "finding.leaked-secret", "one", "leaked: octo-org/app alert 1"


@pytest.mark.parametrize(("events", "dead_letter", "code", "heeded"), [
    ([], None, 0, False),
    ([], None, 7000215, False),
    ([], 1, 0, True),
    ([], 11, 0, False),
    ([("finding.leaked-secret", "one", "leaked: octo-org/app alert 11")], None, 7000215, False),
    ([LEAKED], None, 0, False),
    ([LEAKED], 1, 0, False),
    ([("finding.leaked-secret-unmatched", "github", "octo-org/app alert 1: none")], None, 0, False),
    ([LEAKED], None, 7000215, True),
    ([("finding.leaked-secret-not-compared", "github", "octo-org/app alert 1: not compared")], None, 0, True),
    ([LEAKED, ("rotation.failed", "one", "no room")], None, 0, True),
    ([LEAKED, ("rotation.failed", "two", "no room")], None, 0, False),
])
def test_a_leak_is_heeded_where_the_secret_is_gone_or_a_person_is_told(
        events: list[tuple[str, str, str]], dead_letter: int | None, code: int, heeded: bool) -> None:
    letters = [{"body": json.dumps({"number": dead_letter})}] if dead_letter else []
    told = [{"id": kind, "type": f"keywheel.{kind}", "subject": subject,
             "data": {"reason": reason, "requested_by": "github:octo-org/app"}} for kind, subject, reason in events]
    world = SimpleNamespace(sign_in=lambda *_: code, dead_letters=lambda queue: letters, events=lambda kind: [
        event for event in told if event["type"].startswith(kind)])
    leaker = Leaker(world, GitHub("token"), SimpleNamespace(), random.Random(1), patience=0)
    leaker.leaks.append(Leak(1, Credential("one", App("one"), "keywheel/one"), "text"))
    leaker.look()
    assert (leaker.unheeded == []) == heeded, leaker.unheeded
    assert leaker.counts.total() == heeded


def test_a_replica_that_accepts_a_removed_key_for_a_moment_longer_is_no_leak_unheeded():
    answers = iter([0, 0, 7000215])
    finding = {"id": "1", "type": "keywheel.finding.leaked-secret", "subject": "one",
               "data": {"reason": LEAKED[2], "requested_by": "github:octo-org/app"}}
    world = SimpleNamespace(sign_in=lambda *_: next(answers), dead_letters=lambda queue: [],
                            events=lambda kind: [finding] if finding["type"].startswith(kind) else [])
    leaker = Leaker(world, GitHub("token"), SimpleNamespace(), random.Random(1))
    leaker.leaks.append(Leak(1, Credential("one", App("one"), "prod/azure/one"), "text"))
    leaker.look()
    assert leaker.unheeded == [] and leaker.counts["leaked secrets that work no more"] == 1


def verdict(monkeypatch: pytest.MonkeyPatch, *, held: bool = True, survived: tuple[str, ...] = (),
            checked: bool = True, found: str = "") -> int:
    """The exit code of ``make prove`` where its parts came to this."""
    violations = {where: ["planted"] if where == found else [] for where in CLEAN}
    monkeypatch.setattr(prove, "rules", lambda faults: ([("scenario", 1)], held))
    monkeypatch.setattr(prove, "mistakes", lambda: (1, list(survived), checked))
    monkeypatch.setattr(prove, "torture", lambda *_: Result(1, 1, violations))
    monkeypatch.setattr("sys.argv", ["prove"])
    with pytest.raises(SystemExit) as ended:
        prove.main()
    return ended.value.code


def test_only_a_run_without_any_violation_ends_with_0(monkeypatch: pytest.MonkeyPatch):
    assert verdict(monkeypatch) == 0
    assert verdict(monkeypatch, held=False) == 1
    assert verdict(monkeypatch, survived=("promote before the proof",)) == 1
    assert verdict(monkeypatch, checked=False) == 1


@pytest.mark.parametrize("found", CLEAN)
def test_each_violation_fails_a_promise(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, found: str):
    assert verdict(monkeypatch, found=found) == 1
    table = capsys.readouterr().out
    assert f"{found}: planted" in table
    assert any(line[0] in "123456-" and line.endswith(" 1") for line in table.splitlines() if line), table
