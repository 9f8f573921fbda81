"""A manifest with a mistake: the tool names line and cure, and the deployed sweep touches nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from keywheel_local.tenant import ID, Tenant
from keywheel_local.world import SCHEDULED, World

APP, OTHER = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"
GOOD = f"""\
tenant: {ID}
defaults: {{ rotate_before: 30d, lifetime: 180d, overlap: 24h, settle: 2s }}
credentials:
  one:
    application: {APP}
    secret: keywheel/due
  two:
    application: {OTHER}
    secret: keywheel/two
"""
WRONG = {  # what is changed, and where and how that is told
    "unknown field": (("    secret: keywheel/two", "    secert: keywheel/two"), 9, "did you mean `secret`?"),
    "bad UUID": ((f"application: {OTHER}", "application: 11111111-not-a-uuid"), 8, "write it like `408bf248"),
    "two credentials on one secret": (("keywheel/two", "keywheel/due"), 9, "keywheel/due"),
    "rotate_before longer than lifetime": (("rotate_before: 30d", "rotate_before: 200d"), 2, "shorten rotate_before"),
    "a lifetime without a unit": (("lifetime: 180d", "lifetime: 180"), 2, "give it a unit, like `180d`"),
    "a key that is a number": (("  two:", "  2:"), 7, "put it in quotes"),
    "no YAML": (("credentials:", "credentials: ["), None, ""),
}


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    due = tenant.managed("due", "+3d", 177)
    due.app.app_id = APP
    return start(tenant)


def test_the_manifest_without_a_mistake_is_valid(world: World, tmp_path: Path):
    path = tmp_path / "manifest.yaml"
    path.write_text(GOOD)
    done = world.stack.keywheel("validate", str(path))
    assert (done.returncode, done.stderr) == (0, ""), done


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_told_with_file_line_and_cure(world: World, tmp_path: Path, mistake: str):
    (found, instead), line, cure = WRONG[mistake]
    path = tmp_path / "manifest.yaml"
    path.write_text(GOOD.replace(found, instead))
    done = world.stack.keywheel("validate", str(path))
    assert done.returncode == 1
    assert f"{path}:{line}:" in done.stdout if line else f"{path}:" in done.stdout, done
    assert "cure: " in done.stdout and cure in done.stdout, done
    problems = json.loads(world.stack.keywheel("validate", str(path), "--json").stdout)["problems"]
    assert problems and all(problem["cure"] and problem["what"] for problem in problems)


@pytest.mark.parametrize("mistake", WRONG)
def test_the_deployed_sweep_refuses_it_before_anything_is_touched(world: World, mistake: str):
    (found, instead), line, _ = WRONG[mistake]
    one = world.tenant.credentials["due"]
    before = world.labels(one.secret), set(world.keys(one))
    world.stack.put_manifest(GOOD.replace(found, instead))
    answer = world.stack.invoke("sweep", SCHEDULED)
    assert answer["error"], answer
    if line:
        assert f"manifest.yaml:{line}:" in answer["result"]["errorMessage"], answer
    assert world.jobs() == [] and world.events() == []
    assert (world.labels(one.secret), set(world.keys(one))) == before


def test_a_mended_manifest_is_taken_up_without_a_deployment(world: World):
    """Last in this module: the same processes go on with the manifest of the moment."""
    one = world.tenant.credentials["due"]
    world.stack.put_manifest(GOOD.split("  two:")[0])
    answer = world.sweep_to_rest()
    assert answer["queued"] == [{"credential": "one", "work": "rotate (expiring)"}]
    assert world.current(one.secret)[0] != one.current.rotation and world.signs_in(one)
