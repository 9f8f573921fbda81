"""Starts the emulator for clients that nobody here wrote."""

import json
import os
import pathlib
import ssl
import subprocess
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SEED = """
applications:
- app_id: 00000000-0000-0000-0000-000000000a11
  display_name: billing
  tags: [rotate]
  passwords: [{secret: the-first-secret-of-billing-0123456789ab, start: -30d}]
"""


class Emulator:
    """A running emulator: where it is, and its steering."""

    def __init__(self, at):
        self.at = at
        self.tls = ssl.create_default_context(cafile=at["ca"])

    def __getattr__(self, name):
        return self.at[name]

    def steer(self, path, body=None):
        """Posts to the emulator's own interface, or reads it where there is no body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.at['admin']}/{path}", data=data)
        with urllib.request.urlopen(request, context=self.tls) as answer:
            return json.load(answer)


@pytest.fixture
def emulator(tmp_path, monkeypatch):
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = os.environ.get("AZURE_EMULATOR", str(target / "debug" / "azure-emulator"))
    seed = tmp_path / "seed.yaml"
    seed.write_text(SEED)
    command = [program, "--tls-dir", str(tmp_path), "--seed", str(seed), "--applications", "250"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            at = json.loads(process.stdout.readline())
            # What requests and httpx trust.
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", at["ca"])
            monkeypatch.setenv("SSL_CERT_FILE", at["ca"])
            yield Emulator(at)
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0
