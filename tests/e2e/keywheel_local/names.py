"""The names that Keywheel writes, as its documentation gives them: worked out here a second time, by other code."""

from __future__ import annotations

import hashlib
import json

KEY = "keywheel:key:"
SINCE = "keywheel:since:"


def scope(account: str, region: str, secret: str) -> str:
    """Whose keys are ours: a hash of the three parts, each with its length before it."""
    digest = hashlib.sha256()
    for part in (account, region, secret):
        digest.update(len(part).to_bytes(8, "big") + part.encode())
    return digest.digest()[:6].hex()


def display_name(of: str, rotation: str) -> str:
    return f"keywheel/{of}/{rotation}"


def key_of(labels: list[str] | set[str]) -> str | None:
    """The key whose secret a version with these labels holds."""
    return next((label.removeprefix(KEY) for label in labels if label.startswith(KEY)), None)


def client_secret(value: str) -> str:
    """The client secret in a secret's value, whatever its format."""
    if value.lstrip().startswith("{"):
        fields = json.loads(value)
        return fields.get("client_secret") or fields["clientSecret"]
    for line in value.splitlines():
        name, equals, text = line.partition("=")
        if equals and name.endswith("AZURE_CLIENT_SECRET"):
            return text.strip("'\"")
    return value
