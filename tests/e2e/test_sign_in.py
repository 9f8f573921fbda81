"""How a person's terminal or a virtual machine signs Keywheel in: `az`, and a managed identity."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from keywheel_local.tenant import ID, Tenant
from keywheel_local.world import World

HEADER = "given-by-the-host"


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    tenant.managed("fresh", "+150d", 30)
    return start(tenant)


def token(world: World) -> str:
    """A token of the tenant's first principal for Graph."""
    form = {"grant_type": "client_credentials", "client_id": world.stack.env["AZURE_CLIENT_ID"],
            "client_secret": world.stack.env["AZURE_CLIENT_SECRET"], "scope": "https://graph.microsoft.com/.default"}
    url = f"{world.stack.env['AZURE_AUTHORITY_HOST'].rstrip('/')}/{ID}/oauth2/v2.0/token"
    tls = ssl.create_default_context(cafile=world.stack.env["KEYWHEEL_CA_FILE"])
    with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=20, context=tls) as answer:
        return json.load(answer)["access_token"]


def graph(world: World) -> str:
    return world.stack.env["KEYWHEEL_GRAPH_ENDPOINT"].rstrip("/")


def planned(done: subprocess.CompletedProcess[str]) -> int:
    """How many credentials a plan has looked at."""
    assert done.returncode == 0, done
    return json.loads(done.stdout)["credentials"]


@contextmanager
def host_of_a_managed_identity(status: int, answer: dict) -> Iterator[tuple[str, list[dict]]]:
    """The endpoint that App Service and Functions give their apps."""
    asked: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            asked.append(query | {"header": self.headers.get("X-IDENTITY-HEADER")})
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/msi/token", asked
        finally:
            server.shutdown()


def with_managed_identity(world: World, endpoint: str, **env: str) -> subprocess.CompletedProcess[str]:
    return world.stack.keywheel("plan", "--json", KEYWHEEL_SIGN_IN="managed_identity", IDENTITY_ENDPOINT=endpoint,
                                IDENTITY_HEADER=HEADER, KEYWHEEL_CLIENT_ID="", **env)


def test_a_managed_identity_signs_in_without_a_secret(world: World):
    answer = {"access_token": token(world), "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer",
              "resource": "https://graph.microsoft.com"}
    with host_of_a_managed_identity(200, answer) as (endpoint, asked):
        assert planned(with_managed_identity(world, endpoint)) == 1
    assert asked and all(one["header"] == HEADER for one in asked)
    assert {one["resource"] for one in asked} == {graph(world)}


def test_a_managed_identity_that_is_not_there_is_named(world: World):
    with host_of_a_managed_identity(400, {"error": "invalid_request", "error_description": "Identity not found"}) as (
            endpoint, _):
        done = with_managed_identity(world, endpoint)
    assert done.returncode not in (0, 2)
    assert "managed" in done.stderr.lower() or "identity" in done.stderr.lower(), done


def az(folder: Path, code: str) -> str:
    """A PATH that begins with an `az` of our own."""
    tool = folder / "az"
    tool.write_text(f"#!{sys.executable}\nimport json, sys\n{code}\n")
    tool.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_whoever_is_signed_in_to_the_azure_cli_needs_nothing_else(world: World, tmp_path: Path):
    answer = {"accessToken": token(world), "expires_on": int(time.time()) + 3600, "tokenType": "Bearer", "tenant": ID}
    (tmp_path / "answer.json").write_text(json.dumps(answer))
    path = az(tmp_path, f"open({str(tmp_path / 'asked')!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10))\n"
                        f"print(open({str(tmp_path / 'answer.json')!r}).read())")
    done = world.stack.keywheel("plan", "--json", KEYWHEEL_SIGN_IN="azure_cli", PATH=path)
    assert planned(done) == 1
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("account get-access-token") and f"--tenant {ID}" in asked
    assert f"--scope {graph(world)}/.default" in asked


def test_a_terminal_that_is_not_signed_in_is_told_what_to_do(world: World, tmp_path: Path):
    path = az(tmp_path, "sys.exit(\"ERROR: Please run 'az login' to setup account.\")")
    done = world.stack.keywheel("plan", KEYWHEEL_SIGN_IN="azure_cli", PATH=path)
    assert done.returncode not in (0, 2) and "az login" in done.stderr, done
