"""A tenant and Keywheel over it, up and running: what a test or the demo does to it and sees of it."""

from __future__ import annotations

import datetime
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from . import names
from .settings import Settings
from .stack import Stack
from .tenant import ID, Credential, Tenant

T = TypeVar("T")
TRANSIENT = [90033]  # AADSTS90033: says nothing of the secret
SCHEDULED = {"version": "0", "source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {}}


class TooLate(AssertionError):
    """A condition did not come true."""


def until(condition: Callable[[], T], what: str, seconds: float = 60, pause: float = 0.1,
          instead: Callable[[], object] = lambda: "") -> T:
    """Wait for a condition; gives what it gave. ``instead``: what is so when it is too late."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TooLate(f"not within {seconds:g} s: {what} {instead()}")
        time.sleep(pause)
    return found


class World:
    """Starts with the block and ends with it."""

    def __init__(self, tenant: Tenant, home: Path, **settings: Any) -> None:
        home.mkdir(parents=True, exist_ok=True)
        seed = home / "seed.yaml"
        seed.write_text(tenant.seed())
        parameters = {"ScheduleState": "DISABLED"} | settings.pop("parameters", {})
        self.tenant = tenant
        self.stack = Stack(Settings(home=home / "local", seed=seed, manifest=tenant.manifest(), parameters=parameters,
                                    **settings))
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> World:
        self.stack.up()
        try:
            self.tenant.plant(self.stack)
        except BaseException:
            self.stack.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.down()

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.stack.client(service)
        return self._clients[service]

    # ---- sweeping ----------------------------------------------------------------------------------------------------
    def sweep(self) -> dict:
        """One sweep with the schedule's event, and its answer. Its jobs may be under way still."""
        answer = self.stack.invoke("sweep", SCHEDULED)
        assert not answer["error"], answer
        return answer["result"]

    def sweep_on_schedule(self) -> None:
        """Let the template's own schedule fire now, and wait for the sweep's end."""
        scheduler = self.client("scheduler")
        every = [(one, scheduler.get_schedule(Name=one["Name"], GroupName=one["GroupName"]))
                 for one in scheduler.list_schedules()["Schedules"]]
        [(listed, schedule)] = [(one, full) for one, full in every if "Input" not in full["Target"]]
        before = len(self.invocations("sweep"))
        scheduler.update_schedule(
            Name=listed["Name"], GroupName=listed["GroupName"], Target=schedule["Target"], State="ENABLED",
            FlexibleTimeWindow=schedule["FlexibleTimeWindow"],
            ScheduleExpression=f"at({datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%S})")

        def ended() -> bool:
            calls = self.invocations("sweep")
            return len(calls) > before and all(call["ended"] for call in calls)

        until(ended, "the schedule starts a sweep and it ends")
        failed = [call["error"] for call in self.invocations("sweep")[before:] if call["error"]]
        assert not failed, failed

    def rest(self, seconds: float = 90) -> None:
        """Wait until no job waits, no function runs and no rotation is under way."""
        until(lambda: not self.busy(), "everything is at rest; there is", seconds, instead=self.busy)

    def busy(self) -> dict:
        """What is under way; nothing when at rest."""
        idle = self.stack.local("GET", "idle")
        queues = {"jobs": "KEYWHEEL_QUEUE_URL", "records": "KEYWHEEL_AUDIT_QUEUE_URL",
                  "comparisons": "KEYWHEEL_COMPARE_QUEUE_URL"}
        waiting = {name: self.waiting(queue) for name, queue in queues.items() if queue in self.stack.env}
        return {name: count for name, count in (idle | waiting).items() if count}

    def waiting(self, queue: str) -> int:
        counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
                  "ApproximateNumberOfMessagesDelayed")
        answer = self.client("sqs").get_queue_attributes(QueueUrl=self.stack.env[queue], AttributeNames=list(counts))
        return sum(int(answer["Attributes"][name]) for name in counts)

    def sweep_to_rest(self, seconds: float = 90) -> dict:
        answer = self.sweep()
        self.rest(seconds)
        return answer

    def advance(self, **time_passed: float) -> None:
        """Let time pass, for Entra and for AWS; no function's process lives that long."""
        self.stack.advance(datetime.timedelta(**time_passed).total_seconds())

    def outlive(self, **time_passed: float) -> None:
        """Let time pass, for Entra and for AWS, that functions' processes live through; their tokens may not."""
        seconds = datetime.timedelta(**time_passed).total_seconds()
        self.stack.admin("POST", "clock", {"advance_seconds": seconds})
        self.stack.local("POST", "clock", {"advance_seconds": seconds})

    def invocations(self, function: str) -> list[dict]:
        name = self.stack.env[f"KEYWHEEL_{function.upper()}_FUNCTION"]
        return [call for call in self.stack.local("GET", "invocations") if call["function"] == name]

    # ---- what is there -----------------------------------------------------------------------------------------------
    def keys(self, of: Credential) -> dict[str, dict]:
        """The keys where a credential keeps its own, by keyId."""
        return self.keys_of(of.app.app_id, on_principal=of.on_principal)

    def keys_of(self, app_id: str, *, on_principal: bool = False) -> dict[str, dict]:
        state = self.stack.admin("GET", "state")
        table = state["service_principals" if on_principal else "applications"]
        return {key["key_id"]: key for one in table if one["app_id"] == app_id for key in one["passwords"]}

    def labels(self, secret: str) -> dict[str, set[str]]:
        """The labels of a secret's versions; nothing where there is no secret."""
        manager = self.client("secretsmanager")
        try:
            described = manager.describe_secret(SecretId=secret)
        except manager.exceptions.ResourceNotFoundException:
            return {}
        return {version: set(labels) for version, labels in described.get("VersionIdsToStages", {}).items()}

    def current(self, secret: str) -> tuple[str | None, str | None]:
        """The version under AWSCURRENT, and its key by its label."""
        for version, labels in self.labels(secret).items():
            if "AWSCURRENT" in labels:
                return version, names.key_of(labels)
        return None, None

    def text(self, secret: str, stage: str = "AWSCURRENT") -> str:
        value = self.client("secretsmanager").get_secret_value(SecretId=secret, VersionStage=stage)
        return names.client_secret(value["SecretString"])

    def now(self) -> datetime.datetime:
        return datetime.datetime.fromisoformat(self.stack.admin("GET", "clock")["now"])

    def sign_in(self, app_id: str, text: str) -> int:
        """Sign in as an application would: 0, or the number of the refusal. OSError: no usable answer."""
        form = {"grant_type": "client_credentials", "client_id": app_id, "client_secret": text,
                "scope": "https://graph.microsoft.com/.default"}
        url = f"{self.stack.env['AZURE_AUTHORITY_HOST'].rstrip('/')}/{ID}/oauth2/v2.0/token"
        try:
            with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=20, context=self.stack.tls):
                return 0
        except urllib.error.HTTPError as error:
            answer = json.loads(error.read() or b"{}")
            if answer.get("error_codes") in (None, [], TRANSIENT):
                raise OSError(f"{error.code} {answer}") from error
            return answer["error_codes"][0]

    def signs_in(self, credential: Credential) -> bool:
        """Whether the current secret is accepted. No usable answer is none."""
        for attempt in range(20):
            try:
                return self.sign_in(credential.app.app_id, self.text(credential.secret)) == 0
            except OSError:
                if attempt == 19:
                    raise
        return False

    # ---- what was said -----------------------------------------------------------------------------------------------
    def events(self, kind: str = "keywheel.") -> list[dict]:
        """The events of a kind (or its beginning) that the bus has accepted, each id once."""
        sent = (entry for call in self.stack.local("GET", "sent")
                if call["operation"] == "PutEvents" and call["status"] == 200 for entry in call["request"]["Entries"])
        found = [json.loads(entry["Detail"]) for entry in sent if entry["DetailType"].startswith(kind)]
        return list({event.get("id", index): event for index, event in enumerate(found)}.values())

    def findings(self) -> dict[str, set[str]]:
        """The names of the findings, by credential or application."""
        found: dict[str, set[str]] = {}
        for event in self.events("keywheel.finding."):
            found.setdefault(event["subject"], set()).add(event["type"].removeprefix("keywheel.finding."))
        return found

    def jobs(self) -> list[dict]:
        """Every job that functions sent."""
        url = self.stack.env["KEYWHEEL_QUEUE_URL"]
        sent = [call["request"] for call in self.stack.local("GET", "sent")
                if call["service"] == "sqs" and call["by_function"] and call["request"]["QueueUrl"] == url]
        bodies = [entry["MessageBody"] for request in sent for entry in request.get("Entries", [request])]
        return [json.loads(body) for body in bodies]

    def dead_letters(self, queue: str = "KEYWHEEL_DEAD_LETTER_URL") -> list[dict]:
        """Take all dead letters: {"body", "reason"}."""
        sqs, url = self.client("sqs"), self.stack.env[queue]
        letters = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0,
                                              MessageAttributeNames=["All"]).get("Messages"):
            for message in messages:
                reason = message.get("MessageAttributes", {}).get("reason", {}).get("StringValue")
                letters.append({"body": message["Body"], "reason": reason})
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return letters

    def denied(self) -> list[dict]:
        """Take what IAM has denied: {"who", "action", "resource"}. What nobody takes fails the module."""
        denied = self.stack.local("GET", "denied")
        self.stack.local("DELETE", "denied")
        return denied

    def orphans(self) -> list[str]:
        """Keys of Keywheel's that no version names."""
        return [key for one in self.tenant.credentials.values() for key in self.orphans_of(one)]

    def orphans_of(self, one: Credential) -> list[str]:
        named = {names.key_of(labels) for labels in self.labels(one.secret).values()}
        ours = f"keywheel/{one.scope}/"
        return [f"{one.name}: {key}" for key, shown in self.keys(one).items()
                if (shown["display_name"] or "").startswith(ours) and key not in named]
