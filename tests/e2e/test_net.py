"""The search for secrets finds any one of very many, however it is written: or no clean run would prove anything."""

from __future__ import annotations

import json
import secrets
from urllib.parse import quote, urlencode

import pytest
from keywheel_local.leaks import Net
from keywheel_local.tenant import Key

MADE = [f"{secrets.token_urlsafe(9)[:3]}8Q~{secrets.token_urlsafe(24)}~." for _ in range(25_000)]
SEEDED = [Key("-1d", "+1d").secret for _ in range(100)]
SIGNING = "whsec_" + secrets.token_urlsafe(20) + "/+="
WRITTEN = {  # as a program might write it down by mistake
    "alone": lambda text: text,
    "in the middle of JSON": lambda text: json.dumps({"a": [1, {"b": f"x{text}y"}]}),
    "in JSON within JSON": lambda text: json.dumps({"line": json.dumps({"secretText": text})}),
    "in a form": lambda text: urlencode({"client_secret": text, "scope": "8Q~"}),
    "with its tilde encoded": lambda text: f"?q={quote(text, safe='').replace('~', '%7E')}&r=1",
    "in lower case encoded": lambda text: f"q={text.replace('~', '%7e')}",
    "beside broken encodings": lambda text: f"100% %zz {text.replace('~', '%7E')} %",
}


@pytest.fixture(scope="module")
def net() -> Net:
    return Net([*MADE, *SEEDED, SIGNING])


@pytest.mark.parametrize("text", [MADE[0], MADE[-1], SEEDED[0], SIGNING], ids=["first", "last", "seeded", "signing"])
@pytest.mark.parametrize("how", WRITTEN)
def test_it_is_found(net: Net, how: str, text: str):
    whole = "all is well 8Q~ Sd~ " * 1000 + WRITTEN[how](text) + " and on" * 1000
    assert {caught for caught, _ in net.caught(whole)} == {text}


def test_what_is_almost_one_is_none(net: Net):
    for text in (MADE[7], SEEDED[7]):
        for near in (text[:-1], text[1:], text.swapcase(), text[::-1], text[:20] + " " + text[20:]):
            assert list(net.caught(f"{{{near}}}")) == []


def test_very_many_without_a_mark_are_refused():
    with pytest.raises(AssertionError, match="no mark"):
        Net(secrets.token_hex(20) for _ in range(100))
