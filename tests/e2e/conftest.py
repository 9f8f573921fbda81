"""One deployment for the whole run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from keywheel_local import Settings, Stack


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """What is deployed; a suite may override it."""
    return Settings(home=tmp_path_factory.mktemp("keywheel"), parameters={"ScheduleState": "DISABLED"})


@pytest.fixture(scope="session")
def stack(settings: Settings) -> Iterator[Stack]:
    with Stack(settings) as running:
        yield running


@pytest.fixture
def until() -> Callable:
    """Wait for a condition; gives what it gave."""

    def wait(condition: Callable[[], object], seconds: float = 30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(0.1)
        pytest.fail(f"not within {seconds} s")

    return wait
