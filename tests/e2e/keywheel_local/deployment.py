"""Deploys infra/template.yaml through CloudFormation, with binaries built for this machine."""

from __future__ import annotations

import functools
import io
import json
import platform
import time
import zipfile
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from .settings import ROOT

PATIENCE = 120.0
ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]


class Failed(RuntimeError):
    """The stack did not deploy."""


def package(bootstrap: Path) -> bytes:
    """A deployment package: the binary, called ``bootstrap``."""
    if not bootstrap.exists():
        raise Failed(f"{bootstrap} is missing: make build")
    return _package(bootstrap, bootstrap.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)  # seconds each, for binaries that were not optimised
def _package(bootstrap: Path, _changed: int) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as writer:
        entry = zipfile.ZipInfo("bootstrap", date_time=(2020, 1, 1, 0, 0, 0))
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        writer.writestr(entry, bootstrap.read_bytes())
    return archive.getvalue()


def template(code: dict[str, dict[str, str]]) -> str:
    """The template as ``sam package`` would leave it: each function's code is an object in S3."""
    document = yaml_parse((ROOT / "infra/template.yaml").read_text())
    del document["Globals"]["Function"]["CodeUri"]
    for function, place in code.items():
        resource = document["Resources"][function]
        resource["Properties"]["CodeUri"] = place
        del resource["Metadata"]
    return json.dumps(document)


def deploy(aws: Any, name: str, binaries: dict[str, Path], parameters: dict[str, str]) -> dict[str, str]:
    """Create or update the stack; gives its outputs. ``aws``: something with ``client(service)``."""
    s3, stacks = aws.client("s3"), aws.client("cloudformation")
    bucket = f"{name}-packages"
    if bucket not in {entry["Name"] for entry in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    code = {}
    for function, binary in binaries.items():
        key = f"{function}-{time.time_ns()}.zip"
        s3.put_object(Bucket=bucket, Key=key, Body=package(binary))
        code[function] = {"Bucket": bucket, "Key": key}
    # As `sam deploy` does: CloudFormation takes no more than 51,200 bytes in the request.
    s3.put_object(Bucket=bucket, Key="template.json", Body=template(code).encode())
    request = {
        "StackName": name, "TemplateURL": f"https://s3.{s3.meta.region_name}.amazonaws.com/{bucket}/template.json",
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value}
                       for key, value in ({"Architecture": ARCHITECTURE} | parameters).items()]}
    exists = any(stack["StackName"] == name for stack in stacks.describe_stacks()["Stacks"])
    (stacks.update_stack if exists else stacks.create_stack)(**request)
    return outputs(stacks, name)


def outputs(stacks: Any, name: str) -> dict[str, str]:
    deadline = time.monotonic() + PATIENCE
    while True:
        stack = stacks.describe_stacks(StackName=name)["Stacks"][0]
        status = stack["StackStatus"]
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        if "FAILED" in status or "ROLLBACK" in status or time.monotonic() > deadline:
            events = stacks.describe_stack_events(StackName=name)["StackEvents"]
            reasons = [f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
                       for event in events if event.get("ResourceStatusReason")]
            raise Failed(f"stack {name} is {status}: {reasons}")
        time.sleep(0.1)
