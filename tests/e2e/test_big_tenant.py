"""Twenty thousand applications: one sweep pages through them, and one short of time goes on until it is finished."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from keywheel_local import leaks
from keywheel_local.tenant import Tenant
from keywheel_local.world import SCHEDULED, World, until

LISTINGS = ["applications", "service-principals", "directory-audits"]
APPLICATIONS = 20_000


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    tenant.managed("due", "+10d", 170)
    return start(tenant, applications=APPLICATIONS)


def pages(world: World) -> list[dict]:
    """The pages of the directory that Keywheel asked for."""
    return [call for call in world.stack.admin("GET", "requests") if call["operation"] == "list"
            and call["caller_app_id"] == world.stack.env["KEYWHEEL_APPLICATION"] and "$top=999" in call["path"]]


def test_a_sweep_pages_through_the_whole_directory(world: World):
    answer = world.sweep_to_rest()
    assert answer["finished"], answer
    assert answer["objects"] >= 2 * APPLICATIONS, answer
    assert answer["queued"] == [{"credential": "due", "work": "rotate (expiring)"}]
    assert world.signs_in(world.tenant.credentials["due"])
    listed = pages(world)
    assert len(listed) <= 2 * (APPLICATIONS // 999 + 2), "full pages"
    assert all(call["status"] == 200 for call in listed)
    budget = world.client("lambda").get_function_configuration(
        FunctionName=world.stack.env["KEYWHEEL_SWEEP_FUNCTION"])["Timeout"]
    [call] = world.invocations("sweep")
    assert call["ended"] - call["started"] < budget, "within the function's own time-out"


def test_a_sweep_short_of_time_goes_on_until_it_is_finished(world: World):
    """With less time than a page's reserve, each function reads one part and hands on."""
    name = world.stack.env["KEYWHEEL_SWEEP_FUNCTION"]
    world.client("lambda").update_function_configuration(FunctionName=name, Timeout=40)
    before, jobs, told = len(world.invocations("sweep")), len(world.jobs()), len(pages(world))
    answer = world.stack.invoke("sweep", SCHEDULED)
    assert not answer["error"] and not answer["result"]["finished"], answer
    needed = 2 * (APPLICATIONS // 999 + 1) - 4

    def finished() -> bool:
        calls = world.invocations("sweep")[before:]
        continued = len(world.events("keywheel.sweep.continued"))
        return bool(calls) and all(call["ended"] for call in calls) and len(calls) == 1 + continued

    until(lambda: len(world.invocations("sweep")) - before >= needed and finished(), "the last part is swept", 150)
    calls = world.invocations("sweep")[before:]
    assert [call["error"] for call in calls if call["error"]] == []
    assert {call["event"]["detail-type"] for call in calls[1:]} == {"keywheel.sweep.continued"}
    assert len(world.jobs()) == jobs, "nothing was due, and nothing is queued twice"
    assert len(pages(world)) - told >= needed
    listings = [call["event"]["detail"]["listing"] for call in calls[1:]]
    assert listings == sorted(listings, key=LISTINGS.index) and set(listings) == set(LISTINGS), "each once, in order"


def test_a_sweep_throttled_on_its_way_goes_on_where_it_was_refused(world: World):
    """Graph refuses the second page for longer than the function may run: what was read before it is not lost."""
    name = world.stack.env["KEYWHEEL_SWEEP_FUNCTION"]
    world.client("lambda").update_function_configuration(FunctionName=name, Timeout=60)
    # The budget of this minute may be used already: with the next one, Retry-After asks for a whole minute.
    world.outlive(minutes=1)
    before, told = len(world.invocations("sweep")), len(pages(world))
    earlier = len(world.events("keywheel.sweep.continued"))
    world.stack.admin("POST", "faults", {"throttle": {"key_credentials_per_minute": 1}})
    try:
        answer = world.stack.invoke("sweep", SCHEDULED)
    finally:
        world.stack.admin("POST", "faults", {})
    assert not answer["error"] and not answer["result"]["finished"], answer
    assert answer["result"]["objects"] >= 999, "what was read is told"
    assert [call["status"] for call in pages(world)[told:][:2]] == [200, 429]

    def finished() -> bool:
        # The next function may have come before the fault was lifted; Lambda tries again then.
        done = [call for call in world.invocations("sweep")[before:] if call["ended"] and not call["error"]]
        return len(done) == 1 + len(world.events("keywheel.sweep.continued")) - earlier

    until(finished, "the last part is swept", 150)
    went_on = world.invocations("sweep")[before + 1]["event"]["detail"]
    assert went_on["listing"] == "applications" and went_on["next"], "from the second page"
    read = [call["path"] for call in pages(world)[told:] if call["status"] == 200]
    assert len(read) >= 2 * (APPLICATIONS // 999) and len(read) == len(set(read)), "each page once"


def test_any_of_all_its_secrets_would_be_found(world: World):
    """The search at the end of this module looks for each of them, not for some."""
    texts = leaks.every_secret(world)
    assert len(texts) > APPLICATIONS
    first, middle, last = texts[0], texts[len(texts) // 2], texts[APPLICATIONS]
    bucket = world.stack.env["KEYWHEEL_STATE_BUCKET"]
    log = world.stack.settings.home / "aws" / "planted.log"
    log.write_text(json.dumps({"message": f"POST {{{first}}}"}) + "\n" + urlencode({"a": middle}).replace("~", "%7E"))
    world.client("s3").put_object(Bucket=bucket, Key="planted", Body=json.dumps([{"b": last}]).encode())
    try:
        found = leaks.found(world, texts)
    finally:
        log.unlink()
        world.client("s3").delete_object(Bucket=bucket, Key="planted")
    assert sorted(place.partition("…")[0] for place in found) == sorted([
        f"aws/planted.log: {first[:4]}", f"aws/planted.log: {middle[:4]}",
        f"S3: {bucket}/planted: {last[:4]}"])
