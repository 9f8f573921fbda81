"""The short form of ``make prove``: a small fleet, turned twice while everything fails."""

from __future__ import annotations

from pathlib import Path

from keywheel_local.torture import torture


def test_nothing_is_lost(tmp_path: Path):
    result = torture(rotations=16, applications=8, seed=2, home=tmp_path)
    assert {where: found for where, found in result.violations.items() if found} == {}
    assert result.rotations >= 16
    assert result.sign_ins > result.rotations
    assert sum(result.struck.values()) > 20, "the days were too good"
    assert result.struck["Entra: expired tokens refused"] > 0 and result.struck["clocks set wrong"] >= 2
    for service in ("secretsmanager", "s3"):
        assert sum(times for what, times in result.struck.items() if what.startswith(f"AWS: {service} ")) > 0, service
    assert sum(times for what, times in result.struck.items() if what.endswith("processes killed")) > 0
