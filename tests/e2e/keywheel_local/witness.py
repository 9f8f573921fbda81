"""Signs in all the while with what Secrets Manager says is current, as a workload that caches it would."""

from __future__ import annotations

import datetime
import threading
from collections import Counter
from collections.abc import Callable

from botocore.exceptions import ClientError

from .tenant import Credential
from .world import World

PAUSE = 0.01  # seconds between two credentials


class Witness:
    """Runs with its block. ``refusals`` must stay empty: a current secret works, and works on for the overlap."""

    def __init__(self, world: World, credentials: dict[str, Credential], overlap: datetime.timedelta) -> None:
        self.refusals: list[str] = []
        self.sign_ins: Counter[str] = Counter()
        self.secrets: dict[str, set[str]] = {name: set() for name in credentials}
        self._world, self._credentials, self._overlap = world, credentials, overlap
        # Of each credential the texts, and when each was last current.
        self._cached: dict[str, dict[str, datetime.datetime]] = {name: {} for name in credentials}
        self._waived: set[str] = set()
        self._ahead = datetime.timedelta()
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)

    def __enter__(self) -> Witness:
        self._set_clock()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the witness hangs"

    def working(self, name: str) -> list[str]:
        """A credential's texts that must work now."""
        with self._lock:
            return sorted(set(self._cached[name]) - self._waived)

    def waive(self, text: str) -> None:
        """This text has leaked: once another is current, it may be refused at once."""
        with self._lock:
            self._waived.add(text)

    def advance(self, **time_passed: float) -> None:
        """Let time pass."""
        self.between(lambda: self._world.advance(**time_passed))

    def between(self, change: Callable[[], object]) -> None:
        """Change a clock between two looks, so that what is in a cache is judged by one clock."""
        with self._lock:
            change()
            self._set_clock()

    def _set_clock(self) -> None:
        """Entra's clock runs as this one does, but for what it was advanced."""
        self._ahead = self._world.now() - datetime.datetime.now(datetime.UTC)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE):
            for name, one in self._credentials.items():
                with self._lock:
                    self._look(name, one)
                # Its sign-ins are not to take the place of what it watches.
                if self._stop.wait(PAUSE):
                    return

    def _look(self, name: str, one: Credential) -> None:
        now = datetime.datetime.now(datetime.UTC) + self._ahead
        try:
            text = self._world.text(one.secret)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException" or self.secrets[name]:
                self.refusals.append(f"{name}: {error}")
            return
        self.secrets[name].add(text)
        known = self._cached[name]
        known[text] = now
        for cached, seen in list(known.items()):
            if now - seen > self._overlap:
                del known[cached]
            else:
                self._sign_in(name, one, cached, "current" if cached == text else f"current until {seen}")

    def _sign_in(self, name: str, one: Credential, text: str, what: str) -> None:
        try:
            code = self._world.sign_in(one.app.app_id, text)
        except OSError:
            return  # no answer is no refusal
        self.sign_ins[name] += 1
        if code and text in self._waived and self._world.text(one.secret) != text:
            return
        seeded = {version.key.secret: version.key for version in one.versions}
        if code and not (code == 7000222 and text in seeded):  # it had expired before Keywheel came
            key = seeded[text].key_id if text in seeded else "a new key"
            self.refusals.append(f"{name}: AADSTS{code} for {key}, {what}, at {self._world.now()}")
