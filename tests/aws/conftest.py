"""One local AWS for the whole run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

HERE = Path(__file__).parent


class Aws:
    """The running local AWS: clients for its root user, and its ``/_local/`` paths."""

    def __init__(self, ready: dict) -> None:
        self.ready = ready
        self.endpoint = ready["endpoint"]

    def client(self, service: str, config: Config | None = None, **credentials: str):
        own = {"aws_access_key_id": self.ready["access_key_id"],
               "aws_secret_access_key": self.ready["secret_access_key"]}
        return boto3.client(service, endpoint_url=self.endpoint, region_name=self.ready["region"],
                            config=config or Config(retries={"total_max_attempts": 1}), **(credentials or own))

    def local(self, method: str, path: str, data: object = None):
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.endpoint}/_local/{path}", body, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def function(self, name: str, bootstrap: str, policies: list[dict] | None = None, **settings: object) -> str:
        """Deploy a custom runtime written as a script; gives the function's ARN."""
        iam = self.client("iam")
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                                                         "Principal": {"Service": "lambda.amazonaws.com"}}]}
        role = iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        if policies:
            document = {"Version": "2012-10-17", "Statement": policies}
            iam.put_role_policy(RoleName=f"{name}-role", PolicyName="own", PolicyDocument=json.dumps(document))
        code = BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, f"#!{sys.executable}\n{RUNTIME}\n{bootstrap}\nserve(handle)\n")
        made = self.client("lambda").create_function(
            FunctionName=name, Runtime="provided.al2023", Role=role["Arn"], Handler="bootstrap",
            Code={"ZipFile": code.getvalue()}, **{"Timeout": 20} | settings)
        return made["FunctionArn"]


RUNTIME = (HERE / "runtime.py").read_text()


def until(condition: Callable[[], object], seconds: float = 20):
    """Wait for a condition; gives what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s: {condition}")


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    home = tmp_path_factory.mktemp("aws")
    with (home / "stderr.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "local_aws", "--dir", str(home)], cwd=HERE,
                                   stdout=subprocess.PIPE, stderr=log, text=True, env=dict(os.environ))
    try:
        line = process.stdout.readline()
        assert line, (home / "stderr.log").read_text()
        yield Aws(json.loads(line))
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


# ---- Who may do what ----------------------------------------------------------------------------------------------
ACCOUNT = "111122223333"
TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}]}


def policy(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict:
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def deny(action: Any, resource: Any = "*", **more: Any) -> dict:
    return allow(action, resource, **more) | {"Effect": "Deny"}


@pytest.fixture
def role(aws, name) -> Callable[..., Callable[[str], Any]]:
    """Makes a role with these statements and takes it on; gives its clients."""
    iam = aws.client("iam")

    def made(*statements: dict, **more: Any) -> Callable[[str], Any]:
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), **more)["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(*statements))
        given = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
        return lambda service: aws.client(
            service, aws_access_key_id=given["AccessKeyId"], aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"])
    return made


@pytest.fixture
def queue(aws, name) -> tuple[str, str]:
    """A queue's URL and ARN."""
    return aws.client("sqs").create_queue(QueueName=name)["QueueUrl"], f"arn:aws:sqs:eu-central-1:{ACCOUNT}:{name}"


@pytest.fixture
def bucket(aws, name) -> str:
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return name


def told(call: Callable, **arguments: Any) -> tuple[int, str, str] | None:
    """Status, code and message of a refusal; ``None``: none."""
    try:
        call(**arguments)
    except ClientError as error:
        answer = error.response
        return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]
    return None
