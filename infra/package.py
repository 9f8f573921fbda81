#!/usr/bin/env python3
"""Make zips of the functions, and a template for them without SAM: infra/package.py PROGRAMS FOLDER ARCHITECTURE

PROGRAMS holds each program as NAME/bootstrap, as cargo lambda writes it, or as NAME. The same programs give the same
bytes. Each zip's name has a part of its hash, so that a new one is taken and an old one stays for a rollback.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
import zipfile
from pathlib import Path

TEMPLATE = Path(__file__).parent / "template.yaml"
METADATA = re.compile(r"""    Metadata:
      BuildMethod: rust-cargolambda
      BuildProperties: { Binary: (\S+) }
    Properties:
""")
PARAMETERS = """Parameters:
  CodeBucket:
    Type: String
    Description: The bucket in this region that holds the zips of the functions.
  CodePrefix:
    Type: String
    Default: keywheel/
    Description: What the names of the zips begin with in the bucket.
"""
NEXT = """The package is in {folder}. Sign in to AWS, choose a bucket in the region of the deployment, and run:

  aws s3 cp --recursive {folder} s3://BUCKET/keywheel/
  aws cloudformation deploy --stack-name keywheel --template-file {folder}/template.yaml \\
    --s3-bucket BUCKET --s3-prefix keywheel --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND \\
    --parameter-overrides CodeBucket=BUCKET ClientId=CLIENT_ID ScheduleState=DISABLED

CAPABILITY_AUTO_EXPAND lets CloudFormation expand the SAM transform of the template. SAM itself is not needed.
Terraform: docs/operating.md#deploy-without-sam"""


class Unfit(Exception):
    """What was given cannot be packaged."""


def program(programs: Path, name: str) -> bytes:
    for path in (programs / name / "bootstrap", programs / name):
        if path.is_file():
            return path.read_bytes()
    raise Unfit(f"{name} is not in {programs}: build it first")


def zipped(bootstrap: bytes) -> bytes:
    """A deployment package: the program, called ``bootstrap`` and executable, without a time of its own."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        entry = zipfile.ZipInfo("bootstrap", date_time=(2020, 1, 1, 0, 0, 0))
        entry.create_system = 3  # Unix, or the mode below says nothing
        entry.external_attr = 0o100755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        writer.writestr(entry, bootstrap)
    return archive.getvalue()


def once(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise Unfit(f"{TEMPLATE} has {text.count(old)} times what it should have once: {old!r}")
    return text.replace(old, new)


def packaged(template: str, keys: dict[str, str], architecture: str) -> str:
    """The template with each function's code where CodeBucket and CodePrefix say. ``keys``: a zip's name by program."""
    def code(found: re.Match[str]) -> str:
        key = f"${{CodePrefix}}{keys[found[1]]}"
        return f'    Properties:\n      CodeUri: {{ Bucket: !Ref CodeBucket, Key: !Sub "{key}" }}\n'

    template = once(template, "    CodeUri: ../\n", "")
    template = once(template, "Parameters:\n  Architecture:\n    Type: String\n    Default: arm64\n",
                    f"{PARAMETERS}  Architecture:\n    Type: String\n    Default: {architecture}\n")
    return METADATA.sub(code, template)


def package(programs: Path, folder: Path, architecture: str) -> None:
    template = TEMPLATE.read_text()
    names = [found[1] for found in METADATA.finditer(template)]
    if len(names) != template.count("Type: AWS::Serverless::Function"):
        raise Unfit(f"{TEMPLATE} has functions without a program")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.zip"):
        old.unlink()
    keys = {}
    for name in names:
        code = zipped(program(programs, name))
        keys[name] = f"{name}-{hashlib.sha256(code).hexdigest()[:16]}.zip"
        (folder / keys[name]).write_bytes(code)
    (folder / "template.yaml").write_text(packaged(template, keys, architecture))


def main() -> None:
    if len(sys.argv) != 4 or sys.argv[3] not in ("arm64", "x86_64"):
        sys.exit(__doc__)
    programs, folder, architecture = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    try:
        package(programs, folder, architecture)
    except Unfit as unfit:
        sys.exit(str(unfit))
    print(NEXT.format(folder=folder))


if __name__ == "__main__":
    main()
