"""The SBOMs that ``make build`` writes, against CycloneDX's schema and what Cargo says it links."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
SBOMS = sorted((ROOT / "dist").glob("*.cdx.json"))


def test_every_program_has_one() -> None:
    functions = ("sweep", "rotate", "webhook", "compare", "audit", "notify")
    programs = {"keywheel", *(f"keywheel-{name}" for name in functions)}
    assert {sbom.name.removesuffix(".cdx.json") for sbom in SBOMS} == programs


@pytest.mark.parametrize("sbom", SBOMS, ids=lambda sbom: sbom.name)
def test_it_names_what_is_linked(sbom: Path) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom.read_text()) is None
    bom = json.loads(sbom.read_text())
    program = bom["metadata"]["component"]["name"]
    listed = {(one["name"], one["version"]) for one in bom["components"]}

    lines = subprocess.run(
        ["cargo", "tree", "--locked", "--edges", "normal", "--prefix", "none", "--package", program],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    linked = {(name, version.removeprefix("v")) for name, version, *_ in map(str.split, filter(None, lines))}
    missing = linked - listed - {(program, bom["metadata"]["component"]["version"])}
    assert not missing
    assert not {name for name, _ in listed} & {"proptest", "trybuild", "azure-emulator"}, "what only tests need"

    lock = {(one["name"], one["version"]): one.get("checksum")
            for one in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]}
    for one in bom["components"]:
        hashes = {hash["content"] for hash in one.get("hashes", [])}
        assert hashes == {lock[one["name"], one["version"]]} - {None}, one["name"]
        assert one["licenses"], one["name"]
    named = {one["ref"] for one in bom["dependencies"]}
    assert named == {one["bom-ref"] for one in [bom["metadata"]["component"], *bom["components"]]}
    assert str(ROOT) not in sbom.read_text(), "no path of this machine"
