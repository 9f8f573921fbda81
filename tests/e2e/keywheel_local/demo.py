"""``make demo``: a tenant in trouble, one sweep, what became of each application; a day later, the old keys go."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from .deployment import Failed
from .fleet import FRESH, STOPPED, Fleet
from .process import NotReady
from .tenant import Credential
from .world import World

WIDTH = 120
STATES = {
    "expired": "expired", "expiring": "10 days left", "fresh": "150 days left", "two-keys": "an old, a lost key",
    "shared": "a foreign key too", "partner": "key on principal", "adopted": "by hand, to adopt", "first": "no secret",
    "unknown": "by hand", "gone": "no application", "no-principal": "no principal",
    "fleet-a": "tagged", "fleet-b": "tagged",
}


def short(some_id: str | None) -> str:
    return (some_id or "-")[:8]


@dataclass
class Seen:
    """One credential at one moment."""

    version: str | None
    key: str | None
    keys: set[str]
    works: bool | None  # None: there is nothing to sign in with


@dataclass
class Demo:
    """What is shown, and what went otherwise than it should."""

    fleet: Fleet
    world: World
    began: float
    wrong: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(what)

    # ---- what there is -----------------------------------------------------------------------------------------------
    def see(self, one: Credential) -> Seen:
        version, key = self.world.current(one.secret)
        works = None
        if version and one.app.known and one.app.service_principal:
            works = self.world.sign_in(one.app.app_id, self.world.text(one.secret)) == 0
        return Seen(version, key, set(self.world.keys(one)), works)

    def see_all(self) -> dict[str, Seen]:
        return {name: self.see(one) for name, one in self.fleet.everyone.items()}

    # ---- the two sweeps ----------------------------------------------------------------------------------------------
    def run(self) -> None:
        before = self.see_all()
        self.say("the schedule fires: Keywheel compares the directory with the manifest")
        self.world.sweep_on_schedule()
        self.say(f"{len(self.world.jobs())} jobs are queued; each new secret is proved before it is current")
        self.world.rest()
        self.say("the queue is empty")
        after, findings = self.see_all(), self.world.findings()
        self._show(before, after, findings)
        self._check_rotated(before, after, findings)

        self.say("a day passes: the overlap is over; the schedule fires again")
        self.world.advance(hours=24, minutes=11)
        self.world.sweep_on_schedule()
        self.world.rest()
        later = self.see_all()
        self._show_retired(after, later)
        self._check_retired(after, later)
        self._audit()

    def _audit(self) -> None:
        done = self.world.stack.keywheel("audit", "verify", "--json")
        self.check(done.returncode == 0, f"the audit trail is not whole: {done.stdout or done.stderr}")
        chains = json.loads(done.stdout or "{}").get("chains", [])
        self.say(f"the audit trail has {sum(one['records'] for one in chains)} records in {len(chains)} whole chains")

    def _show(self, before: dict[str, Seen], after: dict[str, Seen], findings: dict[str, set[str]]) -> None:
        rows = [("APPLICATION", "BEFORE", "CURRENT KEY", "VERSION", "KEYS GONE", "SIGNS IN", "FINDINGS")]
        for name, one in self.fleet.everyone.items():
            old, new = before[name], after[name]
            turned = new.version != old.version
            keys = f"{self._key(name, old)} -> {short(new.key)}" if turned else self._key(name, old)
            works = f"{_yes(old.works)} -> {_yes(new.works)}"
            gone = sorted(short(key) for key in old.keys - new.keys)
            found = sorted(findings.get(one.name, ()))
            rows.append((name, STATES[name], keys, short(new.version), _first(gone), works, _first(found)))
            rows += [("", "", "", "", more[0], "", more[1]) for more in zip_longest(gone[1:], found[1:], fillvalue="")]
        for app in self.fleet.watched.values():
            rows.append((app.name, "in no manifest", "", "", "", "", ", ".join(findings.get(app.app_id, {"-"}))))
        _table(rows)

    def _key(self, name: str, seen: Seen) -> str:
        by_hand = self.fleet.everyone[name].versions and not seen.key
        return "by hand" if by_hand else short(seen.key)

    def _show_retired(self, after: dict[str, Seen], later: dict[str, Seen]) -> None:
        rows = [("APPLICATION", "KEYS GONE", "KEYS LEFT", "SIGNS IN")]
        for name, now in later.items():
            if gone := after[name].keys - now.keys:
                rows.append((name, _all(gone), _all(now.keys), _yes(now.works)))
        _table(rows)

    # ---- as it should be ---------------------------------------------------------------------------------------------
    def _check_rotated(self, before: dict[str, Seen], after: dict[str, Seen], findings: dict[str, set[str]]) -> None:
        for name, old in before.items():
            new, due = after[name], name in self.fleet.rotated
            self.check((new.version != old.version) == due, f"{name}: rotated: {not due}, due: {due}")
            if due:
                self.check(new.works is True, f"{name}: its new secret does not sign in")
                self.check(new.key in new.keys, f"{name}: its new key is not in Graph")
            if due and name != "expired" and (one := self.fleet.everyone[name]).versions:
                works = self.world.sign_in(one.app.app_id, one.versions[-1].key.secret) == 0
                self.check(works, f"{name}: its old secret is refused within the overlap")
        for name in FRESH:
            self.check(after[name].works is True, f"{name}: its secret does not sign in")
        two = after["two-keys"]
        self.check(two.keys == {two.key}, f"two-keys: still has {_all(two.keys - {two.key})}")
        self.check(self.fleet.foreign.key_id in after["shared"].keys, "shared: the foreign key was removed")
        expected = {name: {finding} for name, finding in STOPPED.items()} | {"shared": {"foreign-key"}}
        expected |= {app.app_id: {finding} for finding, app in self.fleet.watched.items()}
        for name, finding in expected.items():
            self.check(finding <= findings.get(name, set()), f"{name}: no finding {_all(finding)}")
        self.check(self.world.dead_letters() == [], "a job failed for good")

    def _check_retired(self, after: dict[str, Seen], later: dict[str, Seen]) -> None:
        for name in self.fleet.rotated:
            now = later[name]
            self.check(now.version == after[name].version, f"{name}: was rotated again")
            self.check(now.keys == {now.key}, f"{name}: still has {_all(now.keys - {now.key})}")
            self.check(now.works is True, f"{name}: its secret does not sign in")
        for name in (*FRESH, *STOPPED):
            self.check(later[name].keys == after[name].keys, f"{name}: lost a key")
        self.check(self.world.orphans() == [], f"orphans: {self.world.orphans()}")
        answer = self.world.sweep()
        self.check(answer["queued"] == [], f"a last sweep still finds {answer['queued']}")


def _yes(works: bool | None) -> str:
    return {True: "yes", False: "no", None: "-"}[works]


def _first(texts: list[str]) -> str:
    return texts[0] if texts else ""


def _all(ids: set[str]) -> str:
    return ", ".join(sorted(short(one) if len(one) == 36 else one for one in ids))


def _table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        print(line.rstrip()[:WIDTH])
    print(flush=True)


def _interrupted(number: int, _: object) -> None:
    """The first Ctrl-C ends the demo; the next ones must not keep it from ending what it started."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Exit code 0 only where everything ended as it should."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, _interrupted)
    began = time.monotonic()
    print("A local AWS and an emulated Entra start, and infra/template.yaml is deployed …", flush=True)
    fleet = Fleet()
    try:
        with tempfile.TemporaryDirectory(prefix="keywheel-demo-") as home, World(fleet, Path(home)) as world:
            demo = Demo(fleet, world, began)
            demo.say(f"deployed; {len(fleet.apps)} applications, {len(fleet.credentials)} credentials and a rule")
            demo.run()
    except (AssertionError, Failed, NotReady) as problem:
        print(f"demo: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; nothing is left running", file=sys.stderr)
        return 130
    for problem in demo.wrong:
        print(f"demo: {problem}", file=sys.stderr)
    if not demo.wrong:
        demo.say("as it should be: every secret that was due is new, proved and signs in; the old keys are gone")
    return 1 if demo.wrong else 0
