"""Write a CycloneDX SBOM of each program into a folder: ``python infra/sbom.py FOLDER``.

Of what is linked for this machine, or for ``SBOM_TARGET``, as Cargo resolves it from Cargo.lock; what only tests and
build scripts need is left out. The same commit gives the same bytes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import uuid
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

ROOT = Path(__file__).parent.parent
PROGRAMS = ROOT / "functions"


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


class Resolved:
    """What Cargo.lock resolves to on one target."""

    def __init__(self, target: str) -> None:
        metadata = json.loads(output(
            "cargo", "metadata", "--quiet", "--format-version", "1", "--locked", "--filter-platform", target))
        self.packages = {package["id"]: package for package in metadata["packages"]}
        self.needs = {
            node["id"]: sorted(
                need["pkg"] for need in node["deps"] if any(use["kind"] is None for use in need["dep_kinds"]))
            for node in metadata["resolve"]["nodes"]
        }
        lock = (ROOT / "Cargo.lock").read_text()
        self.lock = uuid.uuid5(uuid.NAMESPACE_OID, lock)
        self.checksums = {(package["name"], package["version"]): package.get("checksum")
                          for package in tomllib.loads(lock)["package"]}

    def programs(self) -> dict[str, str]:
        """The package of each program that is shipped, by the program's name."""
        return {
            target["name"]: key for key, package in self.packages.items() for target in package["targets"]
            if "bin" in target["kind"] and Path(package["manifest_path"]).is_relative_to(PROGRAMS)
        }

    def linked(self, package: str) -> list[str]:
        """What a package needs, and what that needs, and so on: itself first."""
        found = {package: None}
        for one in (waiting := [package]):
            new = [need for need in self.needs[one] if need not in found]
            found.update(dict.fromkeys(new))
            waiting.extend(new)
        return list(found)

    def component(self, key: str, kind: ComponentType = ComponentType.LIBRARY) -> Component:
        package = self.packages[key]
        name, version, licence = package["name"], package["version"], package["license"]
        # Nobody can look up by a package URL what no registry has.
        purl = PackageURL("cargo", name=name, version=version) if package["source"] else None
        checksum = self.checksums[name, version]
        # Crates that are older than SPDX's expressions part their licences by a slash.
        licences = [LicenseFactory().make_from_string(re.sub(" ?/ ?", " OR ", licence))] if licence else []
        return Component(
            type=kind, name=name, version=version, description=package["description"], purl=purl,
            bom_ref=str(purl) if purl else f"{name}@{version}", licenses=licences,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [])


def commit_time() -> str:
    """In seconds; 0 where the sources are no checkout."""
    if not (ROOT / ".git").exists():
        return "0"
    return output("git", "log", "-1", "--format=%ct")


def sbom(resolved: Resolved, program: str, package: str, made: datetime) -> str:
    """A program's SBOM."""
    keys = resolved.linked(package)
    components = {key: resolved.component(key) for key in keys[1:]}
    root = components[package] = resolved.component(package, ComponentType.APPLICATION)
    bom = Bom(
        components=[components[key] for key in keys[1:]], metadata=BomMetaData(component=root, timestamp=made),
        serial_number=uuid.uuid5(resolved.lock, f"{program} {made.isoformat()}"))
    for key in keys:
        bom.register_dependency(components[key], [components[need] for need in resolved.needs[key]])
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)


def main(folder: Path) -> None:
    target = os.environ.get("SBOM_TARGET") or re.search(r"host: (\S+)", output("rustc", "--version", "--verbose"))[1]
    made = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or commit_time()), UTC)
    resolved = Resolved(target)
    folder.mkdir(parents=True, exist_ok=True)
    for program, package in resolved.programs().items():
        (folder / f"{program}.cdx.json").write_text(sbom(resolved, program, package, made) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case [folder] if not folder.startswith("-"):
            main(Path(folder))
        case _:
            sys.exit(__doc__)
