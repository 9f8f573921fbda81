"""The served OpenAPI document, by schemathesis: what it makes of it is answered as the document says."""

from __future__ import annotations

import hashlib
import hmac
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import requests
import schemathesis
from keywheel_local import ask
from keywheel_local.stack import Stack
from keywheel_local.tenant import Tenant
from keywheel_local.world import World
from schemathesis.checks import CHECKS, load_all_checks

PUBLISHED = Path(__file__).parents[2] / "events/openapi.json"
EXAMPLES = 60
# Random names are nobody's credentials: what is of the right shape is rightly refused.
NOT = {"positive_data_acceptance"}
BOUNDED = hypothesis.settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(hypothesis.HealthCheck))

schema = schemathesis.openapi.from_path(PUBLISHED)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    tenant = Tenant()
    tenant.managed("open", "+150d", 30, allow={"webhook": ["local"]})
    with World(tenant, tmp_path_factory.mktemp("world")) as running:
        yield running
        assert running.jobs() == [], "nothing of all that names a credential"


def test_the_published_document_is_served(world: World) -> None:
    answer = requests.get(world.stack.env["KEYWHEEL_WEBHOOK_URL"] + "openapi.json", timeout=30)
    assert answer.content == PUBLISHED.read_bytes()


def checks(*without: str) -> list:
    load_all_checks()
    return CHECKS.get_by_names([name for name in CHECKS.get_all_names() if name not in NOT | set(without)])


class Signed(requests.auth.AuthBase):
    """Signs what is about to be sent, as whoever sends it would."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        path = urllib.parse.unquote(urllib.parse.urlsplit(request.url).path)
        if path.startswith("/slack/"):
            at, secret = str(ask.now()), self.stack.env["KEYWHEEL_LOCAL_SLACK_SIGNING_SECRET"].encode()
            code = hmac.new(secret, f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
            headers = {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={code}"}
        elif path == "/github":
            secret = self.stack.env["KEYWHEEL_LOCAL_GITHUB_SECRET"].encode()
            headers = {"X-Hub-Signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest(),
                       "X-GitHub-Delivery": str(uuid.uuid4())}
        else:
            content = path if path.startswith("/rotations/") else body.decode("utf-8", "surrogateescape")
            try:
                headers = ask.signed(self.stack, "POST", "", content).headers
            except UnicodeEncodeError:  # not text: no library of Standard Webhooks signs it
                return request
            headers.pop("Content-Type")
        request.headers.update(headers)
        return request


@schema.parametrize()
@BOUNDED
def test_whoever_signs_is_answered_as_the_document_says(case: schemathesis.Case, world: World) -> None:
    session = requests.Session()
    session.auth = Signed(world.stack)
    response = case.call(base_url=world.stack.env["KEYWHEEL_WEBHOOK_URL"], session=session, timeout=60)
    # The right headers are put in, whatever case was made of them.
    case.validate_response(response, checks=checks("missing_required_header", "negative_data_rejection"))


@schema.parametrize()
@BOUNDED
def test_whoever_does_not_is_refused_as_the_document_says(case: schemathesis.Case, world: World) -> None:
    response = case.call(base_url=world.stack.env["KEYWHEEL_WEBHOOK_URL"], timeout=60)
    if not case.path.startswith("/openapi"):
        assert response.status_code in (401, 404, 405, 413), response.status_code
    case.validate_response(response, checks=checks())
