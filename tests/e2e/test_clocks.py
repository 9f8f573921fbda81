"""Our clock is wrong by ten minutes against Entra's and STS's: what is due by theirs is rotated, once, and works."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
from keywheel_local.names import SINCE
from keywheel_local.tenant import Tenant
from keywheel_local.witness import Witness
from keywheel_local.world import World

MINUTES = datetime.timedelta(minutes=1)
BEFORE, OVERLAP = datetime.timedelta(days=30), datetime.timedelta(hours=24)


@pytest.mark.parametrize("ahead", [600, -600], ids=["ahead", "behind"])
def test_what_is_due_is_rotated_once_by_entras_clock(start: Callable[..., World], ahead: int):
    theirs = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=ahead)
    tenant = Tenant()
    due = [tenant.managed("expiring", "+10d", 170), tenant.credential("first")]
    fresh = [tenant.managed("fresh", "+150d", 30)]
    # Within the ten minutes: one clock says that it is due, the other that it is not.
    edge = theirs + BEFORE + (-5 if ahead > 0 else 5) * MINUTES
    (due if ahead > 0 else fresh).append(tenant.managed("edge", f"{edge:%Y-%m-%dT%H:%M:%SZ}", 150))
    later = Tenant(credentials={one.name: one for one in tenant.credentials.values() if one in due})
    before = {one.name: one.current and one.current.rotation for one in tenant.credentials.values()}
    world = start(tenant)
    world.stack.admin("POST", "faults", {"clock_skew_seconds": ahead})
    world.stack.local("POST", "clock", {"advance_seconds": ahead})

    with Witness(world, tenant.credentials, OVERLAP) as witness:
        answer = world.sweep_to_rest()
        assert {job["credential"] for job in answer["queued"]} == {one.name for one in due}, answer
        turned = {one.name: world.current(one.secret)[0] for one in due}
        assert not {name for name, version in turned.items() if version == before[name]}
        assert world.sweep_to_rest()["queued"] == []
        for one in due:
            assert world.current(one.secret)[0] == turned[one.name], "once"
            assert one.current is None or len(world.keys(one)) == 2, "no key but the old and the new one"
            stamped = next(label for label in world.labels(one.secret)[turned[one.name]] if label.startswith(SINCE))
            since = datetime.datetime.fromtimestamp(int(stamped.removeprefix(SINCE)), datetime.UTC)
            assert abs(world.now() - since) < 5 * MINUTES, "by Entra's clock"
        world.stack.put_manifest(later.manifest())  # what was not due yet will be
        witness.advance(hours=24, minutes=5)
        assert world.sweep_to_rest()["queued"] == [], "ten minutes are spared for clocks"
        witness.advance(minutes=10)
        world.sweep_to_rest()
        for one in due:
            assert set(world.keys(one)) == {world.current(one.secret)[1]} and world.signs_in(one)
    assert witness.refusals == []
    assert all(witness.sign_ins[one.name] for one in (*due, *fresh)), witness.sign_ins
    assert {one.name: world.current(one.secret)[0] for one in fresh} == {one.name: before[one.name] for one in fresh}
    assert world.dead_letters() == [] and world.orphans() == []
    promoted = [event["subject"] for event in world.events("keywheel.rotation.promoted")]
    assert sorted(promoted) == sorted(one.name for one in due)
