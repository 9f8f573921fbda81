"""``label_rules.json`` against the local Secrets Manager; the Rust model runs the same file."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

CASES = json.loads((Path(__file__).parent / "label_rules.json").read_text())["cases"]
STEPS = """
def handle(event):
    raise RuntimeError("every rotation of these cases stays pending")
"""


@pytest.fixture(scope="session")
def rotation_function(aws) -> str:
    arn = aws.function("label-rules", STEPS)
    aws.client("lambda").add_permission(FunctionName="label-rules", StatementId="rotation",
                                        Action="lambda:InvokeFunction", Principal="secretsmanager.amazonaws.com")
    return arn


class Runner:
    def __init__(self, client, secret: str, function: str) -> None:
        self.client, self.secret, self.function = client, secret, function
        self.space = uuid.uuid4()

    def token(self, version: str) -> str:
        return str(uuid.uuid5(self.space, version))

    def run(self, step: dict) -> None:
        secret, call = {"SecretId": self.secret}, self.client
        version = {"ClientRequestToken": self.token(step["version"])} if "version" in step else {}
        value = {"SecretString": f"value {step['value']}"} if "value" in step else {}
        match step["op"]:
            case "create":
                call.create_secret(Name=self.secret, **version, **value)
            case "put":
                stages = {"VersionStages": step["stages"]} if "stages" in step else {}
                call.put_secret_value(**secret, **version, **value, **stages)
            case "move":
                ends = {"to": "MoveToVersionId", "from": "RemoveFromVersionId"}
                call.update_secret_version_stage(
                    **secret, VersionStage=step["label"],
                    **{ends[end]: self.token(step[end]) for end in ends if end in step})
            case "get":
                which = ({"VersionId": self.token(step["version"])} if "version" in step
                         else {"VersionStage": step["stage"]})
                assert call.get_secret_value(**secret, **which)["SecretString"] == f"value {step['value']}"
            case "pending":
                call.rotate_secret(**secret, **version, RotationLambdaARN=self.function)

    def labels(self) -> tuple[dict, set]:
        try:
            shown = self.client.describe_secret(SecretId=self.secret).get("VersionIdsToStages", {})
            listed = self.client.list_secret_version_ids(SecretId=self.secret, IncludeDeprecated=True)["Versions"]
        except self.client.exceptions.ResourceNotFoundException:
            return {}, set()
        deprecated = {entry["VersionId"] for entry in listed if not entry.get("VersionStages")}
        return {version: sorted(labels) for version, labels in shown.items()}, deprecated


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_label_rules(aws, name, rotation_function, case):
    # All cases together are above the quota of writes in a second, which is no matter of this table.
    patient = Config(retries={"total_max_attempts": 10, "mode": "standard"})
    runner = Runner(aws.client("secretsmanager", patient), name, rotation_function)
    for number, step in enumerate(case["steps"], 1):
        try:
            runner.run(step)
            outcome = "ok"
        except ClientError as error:
            outcome = error.response["Error"]["Code"]
        assert outcome == step["expect"], f"step {number}: {step}"
        labels, deprecated = runner.labels()
        assert labels == {runner.token(v): sorted(names) for v, names in step["labels"].items()}, f"step {number}"
        if "deprecated" in step:
            assert deprecated == {runner.token(v) for v in step["deprecated"]}, f"step {number}"
