"""The whole of it, up and down: the local AWS, Entra, the deployed functions."""

from __future__ import annotations

import base64
import functools
import json
import os
import secrets
import shlex
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from . import deployment, process
from .settings import ROOT, Settings

WEBHOOK_SECRET = "keywheel-webhook-keys"
NOTIFY_SECRET = "keywheel/notify"  # empty at first
_making_clients = threading.Lock()  # boto3 makes one at a time; clients themselves may be shared
OUTPUTS = {  # what the stack gives, and the variable that says so
    "QueueUrl": "KEYWHEEL_QUEUE_URL", "QueueArn": "KEYWHEEL_QUEUE_ARN", "BusName": "KEYWHEEL_BUS",
    "DeadLetterQueueUrl": "KEYWHEEL_DEAD_LETTER_URL", "EventDeadLetterQueueUrl": "KEYWHEEL_EVENT_DEAD_LETTER_URL",
    "ManifestBucket": "KEYWHEEL_MANIFEST_BUCKET", "SweepFunctionName": "KEYWHEEL_SWEEP_FUNCTION",
    "SweepFunctionArn": "KEYWHEEL_SWEEP_FUNCTION_ARN", "RotateFunctionName": "KEYWHEEL_ROTATE_FUNCTION",
    "RotateFunctionArn": "KEYWHEEL_ROTATE_FUNCTION_ARN", "SweepRoleArn": "KEYWHEEL_SWEEP_ROLE_ARN",
    "RotateRoleArn": "KEYWHEEL_ROTATE_ROLE_ARN", "StateBucket": "KEYWHEEL_STATE_BUCKET",
    "WebhookUrl": "KEYWHEEL_WEBHOOK_URL", "WebhookFunctionName": "KEYWHEEL_WEBHOOK_FUNCTION",
    "CompareFunctionName": "KEYWHEEL_COMPARE_FUNCTION", "CompareQueueUrl": "KEYWHEEL_COMPARE_QUEUE_URL",
    "CompareDeadLetterQueueUrl": "KEYWHEEL_COMPARE_DEAD_LETTER_URL", "AuditQueueUrl": "KEYWHEEL_AUDIT_QUEUE_URL",
    "AuditDeadLetterQueueUrl": "KEYWHEEL_AUDIT_DEAD_LETTER_URL", "AuditBucket": "KEYWHEEL_AUDIT_BUCKET",
    "AuditHeadBucket": "KEYWHEEL_AUDIT_HEAD_BUCKET", "AuditFunctionName": "KEYWHEEL_AUDIT_FUNCTION",
    "AuditRoleArn": "KEYWHEEL_AUDIT_ROLE_ARN",
    "NotifyQueueUrl": "KEYWHEEL_NOTIFY_QUEUE_URL", "NotifyDeadLetterQueueUrl": "KEYWHEEL_NOTIFY_DEAD_LETTER_URL",
    "NotifyFunctionName": "KEYWHEEL_NOTIFY_FUNCTION", "NotifyRoleArn": "KEYWHEEL_NOTIFY_ROLE_ARN",
}


FUNCTIONS = {variable for variable in OUTPUTS.values() if variable.endswith("_FUNCTION")}
QUEUES = {"KEYWHEEL_QUEUE_URL", "KEYWHEEL_NOTIFY_QUEUE_URL", "KEYWHEEL_AUDIT_QUEUE_URL", "KEYWHEEL_COMPARE_QUEUE_URL"}


class Stack:
    """A deployment on this machine. As a context manager it ends with its block; ``make up`` leaves it running."""

    def __init__(self, settings: Settings | None = None, say: Callable[[str], None] = lambda _: None) -> None:
        """``say`` is told what is waited for."""
        self.settings = settings or Settings()
        self.say = say
        self.env: dict[str, str] = {}
        self.aws_ready: dict[str, Any] = {}
        self.azure_ready: dict[str, str] = {}
        self._processes: list[tuple[int, str | None]] = []

    # ---- up and down -------------------------------------------------------------------------------------------------
    def __enter__(self) -> Stack:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> Stack:
        if down(self.settings.home):
            self.say("the system that an earlier `make up` left running is ended, and what it held is gone")
        self.settings.home.mkdir(parents=True, exist_ok=True)
        try:
            self._start_processes()
            self._deploy()
        except BaseException:
            self.down()
            raise
        lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(self.env.items())]
        (self.settings.home / "env").write_text("\n".join(lines) + "\n")
        return self

    def down(self) -> bool:
        return down(self.settings.home)

    def _start_processes(self) -> None:
        settings, home = self.settings, self.settings.home
        base = {name: value for name, value in os.environ.items()
                if not name.startswith(("AWS_", "AZURE_", "KEYWHEEL_"))}
        self.say("the local AWS starts")
        self.aws_ready = self._start(
            "aws", [sys.executable, "-m", "local_aws", "--dir", home / "aws"],
            base | {"PYTHONPATH": str(ROOT / "tests/aws")})
        command = [settings.emulator or settings.bin / "azure-emulator", "--tls-dir", home / "azure",
                   "--random-seed", str(settings.azure_random_seed), "--replicas", str(settings.azure_replicas)]
        for option, value in (("--seed", settings.seed), ("--faults", settings.azure_faults),
                              ("--applications", settings.applications)):
            command += [option, str(value)] if value else []
        (home / "azure").mkdir(parents=True, exist_ok=True)
        self.say("the emulated Entra starts")
        self.azure_ready = self._start("azure", command, base)
        self.env = self._environment()

    def _start(self, name: str, command: list[str | Path], env: dict[str, str]) -> dict:
        ready, pid = process.start(command, self.settings.home / f"{name}.log", env)
        self._processes.append((pid, process.started_at(pid)))
        (self.settings.home / "pids.json").write_text(json.dumps(self._processes))
        return ready

    def _environment(self) -> dict[str, str]:
        aws, azure = self.aws_ready, self.azure_ready
        return {
            "AWS_ENDPOINT_URL": aws["endpoint"], "AWS_ACCESS_KEY_ID": aws["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": aws["secret_access_key"], "AWS_REGION": aws["region"],
            "AWS_DEFAULT_REGION": aws["region"], "AWS_EC2_METADATA_DISABLED": "true",
            "AZURE_AUTHORITY_HOST": azure["authority"], "KEYWHEEL_GRAPH_ENDPOINT": azure["graph"],
            "KEYWHEEL_ARM_ENDPOINT": azure["arm"], "KEYWHEEL_CA_FILE": azure["ca"], "KEYWHEEL_ADMIN": azure["admin"],
            "AZURE_TENANT_ID": azure["tenant"], "AZURE_CLIENT_ID": azure["client_id"],
            "AZURE_CLIENT_SECRET": azure["client_secret"],
            # On a terminal `keywheel` signs in as the tenant's first principal, not as the functions' application.
            "KEYWHEEL_SIGN_IN": "client_secret", "KEYWHEEL_CLIENT_ID": azure["client_id"],
        }

    # ---- the deployment ----------------------------------------------------------------------------------------------
    def _deploy(self) -> None:
        settings, azure = self.settings, self.azure_ready
        manifest = self._manifest(settings.manifest or "tenant: {tenant}\ncredentials: {}\n")
        if isinstance(settings.manifest, Path):
            self._validate(settings.manifest, manifest)
        self.say("infra/entra/setup.py makes Keywheel's application in Entra")
        if cloud := settings.parameters.get("Cloud"):
            self.env["KEYWHEEL_CLOUD"] = cloud
        made = self.entra_setup()
        parameters = {
            "ClientId": made["client_id"], "AuthorityHost": azure["authority"],
            "GraphEndpoint": azure["graph"], "ArmEndpoint": azure["arm"], "CaFile": azure["ca"],
            "NotifySecret": NOTIFY_SECRET, "AllowLoopbackHttp": "1", "RotationConcurrency": "10",
        } | settings.parameters
        parameters = self.webhook_keys() | parameters | (settings.prepare(self) if settings.prepare else {})
        binaries = {f"{name.capitalize()}Function": settings.function(name)
                    for name in ("sweep", "rotate", "webhook", "compare", "audit", "notify")}
        self.say("infra/template.yaml is deployed")
        outputs = deployment.deploy(self, settings.name, binaries, parameters)
        self.env |= {OUTPUTS[name]: value for name, value in outputs.items()}
        if settings.visibility is not None:
            for queue in QUEUES & self.env.keys():
                self.client("sqs").set_queue_attributes(
                    QueueUrl=self.env[queue], Attributes={"VisibilityTimeout": str(settings.visibility)})
        url = self.local("POST", "function-urls", {"url": outputs["WebhookUrl"]})["address"]
        self.env["KEYWHEEL_WEBHOOK_URL"] = url
        self.env["KEYWHEEL_APPLICATION"] = made["client_id"]
        self.env["KEYWHEEL_MANIFEST"] = f"s3://{outputs['ManifestBucket']}/manifest.yaml"
        self.entra_setup(outputs["SweepRoleArn"], outputs["RotateRoleArn"], client_id=made["client_id"])
        self.client("secretsmanager").create_secret(Name=NOTIFY_SECRET, SecretString="{}")
        self.env["KEYWHEEL_NOTIFY_SECRET"] = NOTIFY_SECRET
        self.put_manifest(manifest)

    def webhook_keys(self) -> dict[str, str]:
        """Make the secret that requests are verified with; its texts stand in the environment, to sign with."""
        self.env |= {
            "KEYWHEEL_LOCAL_SLACK_SIGNING_SECRET": secrets.token_hex(16),
            "KEYWHEEL_LOCAL_WEBHOOK_KEY": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
            "KEYWHEEL_LOCAL_GITHUB_SECRET": secrets.token_hex(20),
            "KEYWHEEL_LOCAL_GITHUB_TOKEN": "ghp_" + secrets.token_hex(18),
        }
        self.put_webhook_keys({
            "slack_signing_secret": self.env["KEYWHEEL_LOCAL_SLACK_SIGNING_SECRET"],
            "webhook_keys": {"local": [self.env["KEYWHEEL_LOCAL_WEBHOOK_KEY"]]},
            "github_webhook_secret": self.env["KEYWHEEL_LOCAL_GITHUB_SECRET"],
            "github_token": self.env["KEYWHEEL_LOCAL_GITHUB_TOKEN"],
        })
        return {"WebhookSecret": WEBHOOK_SECRET, "WebhookRequestsPerMinute": "100000", "AllowLoopbackHttp": "1"}

    def put_webhook_keys(self, keys: dict[str, Any]) -> None:
        manager = self.client("secretsmanager")
        try:
            manager.put_secret_value(SecretId=WEBHOOK_SECRET, SecretString=json.dumps(keys))
        except manager.exceptions.ResourceNotFoundException:
            manager.create_secret(Name=WEBHOOK_SECRET, SecretString=json.dumps(keys))

    def entra_setup(self, *subjects: str, client_id: str | None = None, name: str | None = None) -> dict:
        """infra/entra/setup.py, as an administrator would run it: with a client id from the second time on."""
        command = [sys.executable, ROOT / "infra/entra/setup.py", "--permission", self.settings.permission]
        if self.settings.read_audit:
            command.append("--read-audit")
        for option, value in (("--client-id", client_id), ("--name", name)):
            command += [option, value] if value else []
        if subjects:
            command += ["--issuer", self.aws_ready["oidc_issuer"]]
        for subject in subjects:
            command += ["--subject", subject]
        done = subprocess.run([str(part) for part in command], env={**os.environ, **self.env}, capture_output=True,
                              text=True, timeout=120)
        if done.returncode:
            raise deployment.Failed(f"infra/entra/setup.py: {done.stderr}")
        return json.loads(done.stdout)

    def put_manifest(self, manifest: Path | str) -> None:
        self.client("s3").put_object(Bucket=self.env["KEYWHEEL_MANIFEST_BUCKET"], Key="manifest.yaml",
                                     Body=self._manifest(manifest).encode())

    def _manifest(self, manifest: Path | str) -> str:
        text = manifest.read_text() if isinstance(manifest, Path) else manifest
        return text.replace("{tenant}", self.azure_ready["tenant"])

    def _validate(self, named: Path, text: str) -> None:
        """Refuse a manifest that no function could read, before anything is deployed."""
        copy = self.settings.home / named.name
        copy.write_text(text)
        done = self.keywheel("validate", str(copy))
        if done.returncode:
            raise deployment.Failed((done.stdout + done.stderr).replace(str(copy), str(named)).rstrip())

    # ---- for tests ---------------------------------------------------------------------------------------------------
    def client(self, service: str) -> Any:
        """A boto3 client of the account's root user."""
        config = Config(s3={"addressing_style": "path"}, read_timeout=320)
        with _making_clients:
            return boto3.client(
                service, endpoint_url=self.env["AWS_ENDPOINT_URL"], region_name=self.env["AWS_REGION"],
                aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"], config=config)

    def invoke(self, function: str, event: object) -> dict:
        """Invoke ``sweep`` or ``rotate`` and wait: {"result", "error", "log"}."""
        answer = self.client("lambda").invoke(
            FunctionName=self.env[f"KEYWHEEL_{function.upper()}_FUNCTION"], Payload=json.dumps(event).encode())
        return {"result": json.load(answer["Payload"]), "error": answer.get("FunctionError")}

    def advance(self, seconds: float) -> None:
        """Let time pass, for Entra and for AWS. The functions' processes end, and their tokens with them."""
        self.admin("POST", "clock", {"advance_seconds": seconds})
        self.local("POST", "clock", {"advance_seconds": seconds})
        for variable in FUNCTIONS & self.env.keys():
            self.local("POST", "functions/kill", {"function": self.env[variable]})

    def local(self, method: str, path: str, data: object = None) -> Any:
        """The local AWS's own paths: faults, sent, logs, invocations, idle, functions/kill, rotations/retry."""
        return self._http(method, f"{self.env['AWS_ENDPOINT_URL']}/_local/{path}", data)

    def admin(self, method: str, path: str, data: object = None) -> Any:
        """The Azure emulator's own paths."""
        return self._http(method, f"{self.env['KEYWHEEL_ADMIN']}/{path}", data)

    def person(self, principal_name: str) -> Callable[[str, str, object], dict]:
        """Somebody who does something to Graph by hand: call it with method, path and body."""
        token = self.admin("POST", "people", {"user_principal_name": principal_name})["access_token"]

        def graph(method: str, path: str, body: object = None) -> dict:
            request = urllib.request.Request(
                f"{self.env['KEYWHEEL_GRAPH_ENDPOINT']}/v1.0/{path}",
                None if body is None else json.dumps(body).encode(), method=method,
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30, context=self.tls) as answer:
                return json.loads(answer.read() or b"{}")

        return graph

    @functools.cached_property
    def tls(self) -> ssl.SSLContext:
        """Trusts the Azure emulator's CA."""
        return ssl.create_default_context(cafile=self.env["KEYWHEEL_CA_FILE"])

    def _http(self, method: str, url: str, data: object) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
        tls = self.tls if url.startswith("https") else None
        with urllib.request.urlopen(request, timeout=60, context=tls) as answer:
            return json.loads(answer.read() or b"null")

    def keywheel(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """The command-line tool, in the deployment's environment."""
        return subprocess.run([str(self.settings.bin / "keywheel"), *arguments], env={**os.environ, **self.env, **env},
                              capture_output=True, text=True, timeout=300)


def down(home: Path) -> bool:
    """End what an earlier ``up`` left running under this home, as often as you like; ``False``: nothing did."""
    record = home / "pids.json"
    running = record.exists()
    if running:
        for pid, began in json.loads(record.read_text()):
            process.end(pid, began)
        record.unlink()
    (home / "env").unlink(missing_ok=True)
    return running
