"""What ``make package`` makes of this machine's programs: zips that Lambda can start, a template without a build."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse
from template import ROOT

PROGRAMS = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug"


def package(programs: Path, folder: Path, architecture: str = "x86_64") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "infra/package.py", programs, folder, architecture]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The package, and what was printed."""
    folder = tmp_path_factory.mktemp("package")
    done = package(PROGRAMS, folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def functions(folder: Path) -> dict[str, dict]:
    document = yaml_parse((folder / "template.yaml").read_text())
    assert "CodeUri" not in document["Globals"]["Function"]
    return {name: one for name, one in document["Resources"].items() if one["Type"] == "AWS::Serverless::Function"}


def test_each_zip_holds_one_executable_bootstrap(made: tuple[Path, str]):
    for path in (zips := sorted(made[0].glob("*.zip"))):
        with zipfile.ZipFile(path) as archive:
            [entry] = archive.infolist()
            assert entry.filename == "bootstrap" and entry.create_system == 3
            assert entry.external_attr >> 16 == 0o100755
            program = path.name[:-len("-0123456789abcdef.zip")]
            assert archive.read(entry) == (PROGRAMS / program).read_bytes()
    assert len(zips) == 6


def test_each_function_has_its_zip(made: tuple[Path, str]):
    folder, _ = made
    document = yaml_parse((folder / "template.yaml").read_text())
    assert document["Parameters"]["Architecture"]["Default"] == "x86_64"
    assert document["Parameters"].keys() >= {"CodeBucket", "CodePrefix"}
    for name, function in functions(folder).items():
        assert "Metadata" not in function, "nothing is left to build"
        code = function["Properties"]["CodeUri"]
        assert code["Bucket"] == {"Ref": "CodeBucket"}
        key = code["Key"]["Fn::Sub"].removeprefix("${CodePrefix}")
        assert (folder / key).is_file()
        assert key.startswith(f"keywheel-{name.removesuffix('Function').lower()}-")


def test_the_next_commands_are_printed(made: tuple[Path, str]):
    folder, printed = made
    assert f"aws s3 cp --recursive {folder} s3://BUCKET/keywheel/" in printed
    assert f"--template-file {folder}/template.yaml" in printed
    assert "CAPABILITY_IAM CAPABILITY_AUTO_EXPAND" in printed
    default = yaml_parse((folder / "template.yaml").read_text())["Parameters"]["CodePrefix"]["Default"]
    assert f"s3://BUCKET/{default}" in printed


def test_the_same_programs_give_the_same_bytes_and_others_another_name(tmp_path: Path):
    names = re.findall(r"Binary: (\S+) ", (ROOT / "infra/template.yaml").read_text())
    programs = tmp_path / "lambda"
    for name in names:
        (programs / name).mkdir(parents=True)
        (programs / name / "bootstrap").write_text(name)
    for _ in range(2):
        assert package(programs, tmp_path / "one", "arm64").returncode == 0
    assert package(programs, tmp_path / "two", "arm64").returncode == 0
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} for folder in ("one", "two"))
    assert one == two and len(one) == 7
    (programs / names[0] / "bootstrap").write_text("changed")
    package(programs, tmp_path / "two", "arm64")
    two = {path.name for path in (tmp_path / "two").iterdir()}
    assert len(two - one.keys()) == 1 and len(two) == 7, "an old zip is not left"


def test_a_program_that_is_not_built_is_named(tmp_path: Path):
    done = package(tmp_path, tmp_path / "package")
    assert done.returncode == 1 and "keywheel-sweep is not in" in done.stderr and "build it first" in done.stderr
