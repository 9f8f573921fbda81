"""The harness itself, with functions of a few lines: what the template wires does arrive."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from keywheel_local import ROOT, Settings, Stack, ask
from keywheel_local.deployment import Failed
from keywheel_local.process import started_at

RUNTIME = (ROOT / "tests/aws/runtime.py").read_text()
SWEEP = """
import boto3, os
from botocore.exceptions import ClientError

def handle(event):
    if event.get("detail-type") == "keywheel.sweep.continued":
        return "went on"
    if event.get("fail"):
        raise RuntimeError("told to fail")
    s3, sm, sqs, sts = (boto3.client(name) for name in ("s3", "secretsmanager", "sqs", "sts"))
    bucket, key = os.environ["KEYWHEEL_MANIFEST"].removeprefix("s3://").split("/", 1)
    manifest = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    sm.list_secrets()
    try:
        sm.get_secret_value(SecretId="keywheel/harness")
        value = "read"
    except ClientError as error:
        value = error.response["Error"]["Code"]
    sqs.send_message(QueueUrl=os.environ["KEYWHEEL_QUEUE_URL"], MessageBody="{}", MessageGroupId="harness",
                     MessageDeduplicationId=event["id"])
    boto3.client("events").put_events(Entries=[{
        "Source": "keywheel", "DetailType": "keywheel.sweep.continued", "Detail": "{}",
        "EventBusName": os.environ["KEYWHEEL_BUS"]}])
    token = sts.get_web_identity_token(Audience=["api://AzureADTokenExchange"], SigningAlgorithm="RS256")
    return {"manifest": manifest, "value": value, "assertion": token["WebIdentityToken"]}
"""
ROTATE = """
def handle(event):
    print("got", event, flush=True)
    return {"batchItemFailures": []}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory):
    home = tmp_path_factory.mktemp("harness")
    paths = {}
    for name, code in (("sweep", SWEEP), ("rotate", ROTATE)):
        paths[name] = home / name
        paths[name].write_text(f"#!{sys.executable}\n{RUNTIME}\n{code}\nserve(handle)\n")
    with Stack(Settings(home=home / "local", **paths, parameters={"ScheduleState": "DISABLED"})) as running:
        yield running


def test_every_wire_of_the_template_carries(stack: Stack, until):
    stack.client("secretsmanager").create_secret(Name="keywheel/harness", SecretString="sesame")
    answer = stack.invoke("sweep", {"id": "1"})
    assert not answer["error"], answer
    assert answer["result"]["manifest"].startswith("tenant: ")
    assert answer["result"]["value"] == "AccessDeniedException", "a sweep reads no value"
    assert len(stack.local("GET", "denied")) == 1
    calls = until(lambda: len(stack.local("GET", "invocations")) >= 3 and stack.local("GET", "invocations"))
    kinds = {"job" if "Records" in call["event"] else call["event"].get("detail-type", "sweep") for call in calls}
    assert kinds == {"sweep", "job", "keywheel.sweep.continued"}
    until(lambda: stack.local("GET", "idle")["busy"] == 0)
    assert [call["error"] for call in calls if call["error"]] == []

    token = _sign_in(stack, answer["result"]["assertion"])
    assert token["token_type"] == "Bearer"


def _sign_in(stack: Stack, assertion: str) -> dict:
    """The role's token is good at Entra for Keywheel's application."""
    program = """
import json, os, ssl, sys, time, urllib.error, urllib.parse, urllib.request
form = {"grant_type": "client_credentials", "client_id": os.environ["KEYWHEEL_APPLICATION"],
        "scope": "https://graph.microsoft.com/.default", "client_assertion": sys.stdin.read(),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
url = f"{os.environ['AZURE_AUTHORITY_HOST']}/{os.environ['AZURE_TENANT_ID']}/oauth2/v2.0/token"
tls = ssl.create_default_context(cafile=os.environ["KEYWHEEL_CA_FILE"])
deadline = time.monotonic() + 30
while True:
    try:
        print(urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), context=tls).read().decode())
        break
    except urllib.error.HTTPError as error:
        if time.monotonic() > deadline:
            sys.exit(error.read().decode())
        time.sleep(0.5)
"""
    done = subprocess.run([sys.executable, "-c", program], input=assertion, env={**os.environ, **stack.env},
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_secrets_manager_may_call_the_rotation_function(stack: Stack, until):
    sm = stack.client("secretsmanager")
    sm.create_secret(Name="keywheel/harness/native", SecretString="old")
    sm.rotate_secret(SecretId="keywheel/harness/native", RotationLambdaARN=stack.env["KEYWHEEL_ROTATE_FUNCTION_ARN"],
                     RotationRules={"AutomaticallyAfterDays": 30})
    until(lambda: "LastRotatedDate" in sm.describe_secret(SecretId="keywheel/harness/native"))


def test_a_sweep_that_fails_for_good_is_a_dead_letter(stack: Stack, until):
    stack.client("lambda").invoke(FunctionName=stack.env["KEYWHEEL_SWEEP_FUNCTION"], InvocationType="Event",
                                  Payload=b'{"fail": true}')
    queue = stack.env["KEYWHEEL_EVENT_DEAD_LETTER_URL"]
    letter = until(lambda: stack.client("sqs").receive_message(QueueUrl=queue).get("Messages"))[0]
    assert "told to fail" in letter["Body"]


def test_every_alarm_is_on_the_dashboard(stack: Stack):
    watch = stack.client("cloudwatch")
    [dashboard] = watch.list_dashboards()["DashboardEntries"]
    widgets = json.loads(watch.get_dashboard(DashboardName=dashboard["DashboardName"])["DashboardBody"])["widgets"]
    [shown] = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    alarms = watch.describe_alarms()["MetricAlarms"]
    assert sorted(shown) == sorted(alarm["AlarmArn"] for alarm in alarms)
    assert {"Errors", "Throttles", "Url5xxCount"} <= {alarm["MetricName"] for alarm in alarms}, "the webhook's"
    dead_letters = {url.rpartition("/")[2] for name, url in stack.env.items() if name.endswith("DEAD_LETTER_URL")}
    assert len(dead_letters) == 4 and all(name in json.dumps(widgets) for name in dead_letters)


def test_the_environment_is_written_for_a_shell(stack: Stack):
    env = (stack.settings.home / "env").read_text()
    for name in ("AWS_ENDPOINT_URL", "KEYWHEEL_QUEUE_URL", "KEYWHEEL_ROTATE_FUNCTION_ARN", "AZURE_TENANT_ID"):
        assert f"export {name}=" in env


def test_the_entra_setup_changes_nothing_the_second_time(stack: Stack):
    again = stack.entra_setup(stack.env["KEYWHEEL_SWEEP_ROLE_ARN"], stack.env["KEYWHEEL_ROTATE_ROLE_ARN"],
                              client_id=stack.env["KEYWHEEL_APPLICATION"])
    assert again["client_id"] == stack.env["KEYWHEEL_APPLICATION"]
    assert again["changed"] == []


def test_the_entra_setup_adopts_no_application_for_its_name(stack: Stack):
    """Anybody may register the name: only a client id says which application is to have Keywheel's permissions."""
    stack.person("mallory@contoso.onmicrosoft.com")("POST", "applications", {"displayName": "Somebody's"})
    before = stack.admin("GET", "state")
    registered = {one["display_name"]: one["app_id"] for one in before["applications"]}
    for name in ("Keywheel", "Somebody's"):
        with pytest.raises(Failed) as refused:
            stack.entra_setup(name=name)
        assert registered[name] in str(refused.value) and "--client-id" in str(refused.value)
    after = stack.admin("GET", "state")
    assert (after["applications"], after["service_principals"]) == (
        before["applications"], before["service_principals"]), "nothing was made, nothing was consented to"

    adopted = stack.entra_setup(client_id=registered["Somebody's"])
    assert adopted["client_id"] == registered["Somebody's"]
    assert "service principal" in adopted["changed"]
    assert f"permission {stack.settings.permission}" in adopted["changed"]


def test_down_collects_what_a_crashed_aws_left(stack: Stack, tmp_path: Path):
    with Stack(Settings(home=tmp_path / "local", sweep=stack.settings.sweep, rotate=stack.settings.rotate,
                        parameters={"ScheduleState": "DISABLED"})) as other:
        other.invoke("sweep", {"detail-type": "keywheel.sweep.continued"})
        leader = other.aws_ready["pid"]
        group = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if _group(path) == leader]
        assert len(group) >= 2
        os.kill(leader, signal.SIGKILL)
        other.down()
        assert not [pid for pid in group if started_at(pid)]


def _group(stat: Path) -> int | None:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[2])
    except OSError:
        return None


def test_down_leaves_nothing_running(tmp_path: Path):
    stack = Stack(Settings(home=tmp_path / "local", parameters={"ScheduleState": "DISABLED"},
                           sweep=Path("/bin/true"), rotate=Path("/bin/true"))).up()
    pids = [pid for pid, _ in json.loads((tmp_path / "local/pids.json").read_text())]
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    stack.down()
    stack.down()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_github_gives_up_where_no_answer_comes_within_ten_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        stack = SimpleNamespace(env={"KEYWHEEL_WEBHOOK_URL": url, "KEYWHEEL_LOCAL_GITHUB_SECRET": "x" * 20})
        with pytest.raises(TimeoutError):
            ask.github(stack, ask.alert(1)).send(stack)
    assert ask.GITHUB_WAITS == 10
