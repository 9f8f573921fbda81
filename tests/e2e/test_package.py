"""The package of ``make package``, deployed by CloudFormation alone, without SAM."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from keywheel_local import deployment
from keywheel_local.settings import ROOT
from keywheel_local.tenant import Tenant
from keywheel_local.world import World

NAME = "packaged"


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    tenant.managed("due", "+10d", 170)
    return start(tenant)


def test_a_package_deploys_and_rotates(world: World, tmp_path: Path):
    stack = world.stack
    command = [sys.executable, ROOT / "infra/package.py", stack.settings.bin, tmp_path, deployment.ARCHITECTURE]
    made = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr
    s3, stacks = world.client("s3"), world.client("cloudformation")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": stack.env["AWS_REGION"]})
    for file in tmp_path.iterdir():
        s3.put_object(Bucket="code", Key=f"keywheel/{file.name}", Body=file.read_bytes())
    given = {one["ParameterKey"]: one["ParameterValue"]
             for one in stacks.describe_stacks(StackName=stack.settings.name)["Stacks"][0]["Parameters"]}
    given |= {"CodeBucket": "code", "Architecture": deployment.ARCHITECTURE}
    stacks.create_stack(
        StackName=NAME, TemplateURL=f"https://s3.{stack.env['AWS_REGION']}.amazonaws.com/code/keywheel/template.yaml",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()])
    outputs = deployment.outputs(stacks, NAME)

    stack.entra_setup(outputs["SweepRoleArn"], outputs["RotateRoleArn"], client_id=stack.env["KEYWHEEL_APPLICATION"])
    s3.copy_object(Bucket=outputs["ManifestBucket"], Key="manifest.yaml", CopySource={
        "Bucket": stack.env["KEYWHEEL_MANIFEST_BUCKET"], "Key": "manifest.yaml"})
    one = world.tenant.credentials["due"]
    stack.env["KEYWHEEL_SWEEP_FUNCTION"] = outputs["SweepFunctionName"]
    stack.env["KEYWHEEL_QUEUE_URL"] = outputs["QueueUrl"]
    world.sweep_to_rest()
    assert world.current(one.secret)[0] != one.current.rotation and world.signs_in(one)
    ran = {call["function"] for call in stack.local("GET", "invocations")}
    assert outputs["RotateFunctionName"] in ran and stack.env["KEYWHEEL_ROTATE_FUNCTION"] not in ran
