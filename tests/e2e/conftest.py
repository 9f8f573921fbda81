"""Deployments for the tests: one for each module, or one for the whole run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from keywheel_local import Settings, Stack, leaks
from keywheel_local.tenant import Tenant
from keywheel_local.world import World


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., World]]:
    """Starts a world that lives as long as the module. In the end, no secret is found in anything it wrote, and no
    function asked what AWS could not have read or what its role does not allow."""
    worlds: list[World] = []
    with ExitStack() as running:
        def begin(tenant: Tenant, **settings: Any) -> World:
            world = running.enter_context(World(tenant, tmp_path_factory.mktemp("world"), **settings))
            worlds.append(world)
            return world

        yield begin
        for world in worlds:
            leaks.check(world)
            assert not (invalid := world.stack.local("GET", "invalid")), invalid
            assert not (denied := world.stack.local("GET", "denied")), denied


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """What is deployed; a suite may override it."""
    return Settings(home=tmp_path_factory.mktemp("keywheel"), parameters={"ScheduleState": "DISABLED"})


@pytest.fixture(scope="session")
def stack(settings: Settings) -> Iterator[Stack]:
    with Stack(settings) as running:
        yield running
        assert not (invalid := running.local("GET", "invalid")), invalid
        assert not (denied := running.local("GET", "denied")), denied


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
