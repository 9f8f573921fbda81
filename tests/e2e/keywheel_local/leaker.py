"""Leaks secrets that work, as GitHub would tell of them, and looks at what became of each."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from dataclasses import dataclass

from . import ask
from .github_stand_in import GitHub
from .tenant import Credential
from .witness import Witness
from .world import TooLate, World, until

REMOVED = 10.0  # seconds until each replica of Entra refuses a removed key: three, and some for a slow machine
SENDINGS = 20  # of one delivery, by a person who sees in GitHub's list that it failed
NOT_COMPARED, BY_HAND = "leaked-secret-not-compared", "Keywheel does not know its key"


@dataclass
class Leak:
    """A secret that worked when it leaked."""

    number: int
    one: Credential
    text: str

    @property
    def is_by_hand(self) -> bool:
        made = (version.key.secret for version in self.one.versions if version.since_days_ago is None)
        return self.text in made

    def is_told_in(self, event: dict) -> bool:
        return bool(re.search(rf"\balert {self.number}\b", event["data"].get("reason") or ""))


class Leaker:
    """Leaks current and past secrets. ``unheeded`` must stay empty: each is replaced, or a person is told."""

    def __init__(self, world: World, github: GitHub, witness: Witness, dice: random.Random,
                 patience: float = REMOVED) -> None:
        self.counts: Counter[str] = Counter()
        self.unheeded: list[str] = []
        self._world, self._github, self._witness, self._dice = world, github, witness, dice
        self.leaks: list[Leak] = []  # that were not looked at yet
        self._made, self._failed, self._patience = 0, set(), patience

    def leak(self, most: int) -> None:
        """Leak a working secret of so many credentials."""
        credentials = self._world.tenant.credentials
        for name in self._dice.sample(sorted(credentials), min(most, len(credentials))):
            if working := self._witness.working(name):
                self._made += 1
                leak = Leak(self._made, credentials[name], self._dice.choice(working))
                self._witness.waive(leak.text)
                self._github.leak(leak.number, leak.text)
                self.leaks.append(leak)
                self._deliver(leak)

    def look(self) -> None:
        """Once all is at rest, and before the leaked secrets expire by themselves."""
        told = self._world.events("keywheel.finding.leaked-secret")
        unknown = self._world.events("keywheel.finding.replaced-key-unknown")
        failed, dead = self._failures(), self._dead_letters()
        for leak in self.leaks:
            findings = [event for event in told if leak.is_told_in(event)]
            left = any(event["type"].endswith(NOT_COMPARED) or BY_HAND in event["data"]["reason"] for event in findings)
            left = left or leak.is_by_hand and any(event["subject"] == leak.one.name for event in unknown)
            left = left or any(event["subject"] == leak.one.name for event in failed)
            if not findings and leak.number in dead:
                self.counts["leaks whose comparing is a dead letter, with an alarm"] += 1
            elif not findings:
                self.unheeded.append(f"{leak.one.name}: nobody was told of alert {leak.number}")
            elif not self._signs_in(leak):
                self.counts["leaked secrets that work no more"] += 1
            elif left:
                self.counts["leaked secrets left to a person, who is told"] += 1
            else:
                came = [(event["type"], event["data"].get("reason")) for event in self._world.events("keywheel.")
                        if event["subject"] == leak.one.name and event["data"].get("requested_by") != "sweep"]
                self.unheeded.append(f"{leak.one.name}: alert {leak.number}, and the secret works on: {came[-10:]}")
        self.leaks.clear()

    def _failures(self) -> list[dict]:
        """What GitHub's alerts asked for and failed for good since the last look: a person redrives it."""
        events = self._world.events("keywheel.rotation.failed")
        new = [event for event in events if event["id"] not in self._failed]
        self._failed |= {event["id"] for event in new}
        return [event for event in new if event["data"]["requested_by"].startswith("github:")]

    def _dead_letters(self) -> set[int]:
        """The alerts whose comparing was cut off at every try: an alarm tells a person, who redrives them."""
        letters = self._world.dead_letters("KEYWHEEL_COMPARE_DEAD_LETTER_URL")
        return {json.loads(letter["body"])["number"] for letter in letters}

    def _deliver(self, leak: Leak) -> None:
        event, status = ask.github(self._world.stack, ask.alert(leak.number)), 0
        for _ in range(SENDINGS):
            try:
                status = event.send(self._world.stack).status
            except OSError as error:  # GitHub waits for ten seconds only
                status = error
            if status in (202, 409):
                self.counts["leaks of secrets that worked"] += 1
                return
            self.counts["deliveries that failed and were sent again"] += 1
        raise TooLate(f"alert {leak.number} was not taken in {SENDINGS} sendings; the last: {status}")

    def _signs_in(self, leak: Leak) -> bool:
        """Whether the secret works on once each replica of Entra's knows of a removal of a moment ago."""
        def refused() -> bool:
            try:
                return self._world.sign_in(leak.one.app.app_id, leak.text) != 0
            except OSError:
                return False
        try:
            return not until(refused, "the leaked secret is refused", self._patience)
        except TooLate:
            return True
