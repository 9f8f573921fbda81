"""`keywheel check` before and after a deployment: all well, and then one thing after the other broken and mended."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from keywheel_local.tenant import ACCOUNT, ID, REGION, Tenant
from keywheel_local.world import World

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
UNKNOWN = "00000000-0000-0000-0000-00000000000a"
PLANTED = "planted-and-too"  # too short for a key


@pytest.fixture(scope="module")
def world(start: Callable[..., World]) -> World:
    tenant = Tenant()
    tenant.managed("fresh", "+150d", 30)
    tenant.managed("principal", "+150d", 30, key_on="servicePrincipal")
    parameters = {"AlarmTopicArn": TOPIC, "GitHubAlerts": "on"}
    world = start(tenant, permission="Application.ReadWrite.OwnedBy", parameters=parameters)
    world.stack.local("POST", "quotas", {"concurrent_executions": 1000})
    sns = world.client("sns")
    sns.create_topic(Name="alarms")
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:keywheel-rotation")
    for collection, one in holders(world):
        graph(world)("POST", f"{collection}/{one}/owners/$ref",
                     {"@odata.id": f"{world.stack.env['KEYWHEEL_GRAPH_ENDPOINT']}/v1.0/directoryObjects/{own(world)}"})
    world.sweep()
    return world


def graph(world: World) -> Callable[..., dict]:
    return world.stack.person("ada@contoso.onmicrosoft.com")


def own(world: World) -> str:
    """The id of Keywheel's service principal."""
    return graph(world)("GET", f"servicePrincipals(appId='{world.stack.env['KEYWHEEL_APPLICATION']}')")["id"]


def holders(world: World) -> list[tuple[str, str]]:
    fresh, principal = (world.tenant.credentials[name].app for name in ("fresh", "principal"))
    return [("applications", fresh.object_id), ("servicePrincipals", principal.principal_id)]


def run(world: World, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """As the README says, with nothing set but by ``. .local/env``."""
    settings = world.stack.settings
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AZURE_", "KEYWHEEL_"))}
    sets = "".join(f"export {name}={value}; " for name, value in env.items())
    command = ["bash", "-c", f'. "$0" && {sets} exec "$@"', settings.home / "env", settings.bin / "keywheel",
               "check", *arguments]
    return subprocess.run(command, env=bare, capture_output=True, text=True, timeout=300)


def check(world: World, *arguments: str, code: int = 0, **env: str) -> dict[str, dict]:
    """The checks by their names."""
    done = run(world, "--json", *arguments, **env)
    assert done.returncode == code, done
    report = json.loads(done.stdout)
    assert report["passed"] == (code == 0)
    return {one["check"]: one for one in report["checks"]}


def other_than(outcome: str, checks: dict[str, dict]) -> dict[str, str]:
    return {name: f"{one['outcome']}: {one['what']}" for name, one in checks.items() if one["outcome"] != outcome}


def outcomes(checks: dict[str, dict], *names: str) -> list[str]:
    return [checks[name]["outcome"] for name in names]


def test_a_deployment_that_is_well_passes_every_check(world: World):
    assert other_than("passed", check(world)) == {}


def test_people_read_a_line_for_each_check(world: World):
    done = run(world)
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert lines[0] == "AWS" and lines[1].startswith("√ aws-sign-in: signed in to AWS as arn:aws:"), done.stdout
    assert lines[-1] == "0 checks failed, 0 warnings" and not done.stderr, done


def test_before_the_deployment_nothing_of_a_stack_is_needed(world: World, tmp_path: Path):
    manifest = tmp_path / "m.yaml"
    manifest.write_text(world.tenant.manifest())
    given = ("--pre", "--client-id", world.stack.env["KEYWHEEL_APPLICATION"], "--manifest", str(manifest))
    checks = check(world, *given)
    assert other_than("passed", checks) == {} and "stack" not in checks, "the template's default is keywheel/"
    checks = check(world, *given, "--parameter", "SecretPrefix=prod/", code=6)
    assert "keywheel/fresh" in checks["secret-prefix"]["what"]
    assert other_than("passed", checks).keys() == {"secret-prefix"}


def test_without_a_manifest_the_tenant_is_enough(world: World):
    """The first step of the README, before anything else is there."""
    given = ("--pre", "--client-id", world.stack.env["KEYWHEEL_APPLICATION"], "--tenant", ID)
    checks = check(world, *given, KEYWHEEL_MANIFEST="")
    assert outcomes(checks, "manifest", "secret-prefix", "ownership") == ["skipped"] * 3
    assert outcomes(checks, "application", "permissions") == ["passed"] * 2


def test_a_foreign_client_id_is_no_application(world: World):
    checks = check(world, "--client-id", UNKNOWN, code=6)
    assert checks["application"]["outcome"] == "failed" and "setup.py" in checks["application"]["cure"]
    assert outcomes(checks, "permissions", "federated-credentials", "ownership") == ["skipped"] * 3


def test_without_aws_all_else_is_checked(world: World, tmp_path: Path):
    manifest = tmp_path / "m.yaml"
    manifest.write_text(world.tenant.manifest())
    checks = check(world, "--pre", "--manifest", str(manifest), code=6, AWS_ACCESS_KEY_ID="nobody")
    assert outcomes(checks, "aws-sign-in", "concurrency", "secret-encryption") == ["failed", "skipped", "skipped"]
    assert outcomes(checks, "manifest", "entra-sign-in", "listed-applications") == ["passed"] * 3


def test_another_stack_is_not_there(world: World):
    checks = check(world, "--stack", "other", code=6)
    assert "no such stack" in checks["stack"]["what"] and "--stack" in checks["stack"]["cure"]
    assert outcomes(checks, "functions", "webhook-secret", "dead-letters") == ["skipped"] * 3
    assert outcomes(checks, "aws-sign-in", "manifest", "entra-sign-in") == ["passed"] * 3


def test_a_federation_that_is_off(world: World):
    iam = world.client("iam")
    iam.disable_outbound_web_identity_federation()
    try:
        checks = check(world, code=6)
    finally:
        iam.enable_outbound_web_identity_federation()
    assert "enable-outbound-web-identity-federation" in checks["outbound-federation"]["cure"]
    assert checks["federated-credentials"]["outcome"] == "skipped"


def test_a_new_account_has_little_concurrency(world: World):
    world.stack.local("POST", "quotas", {"concurrent_executions": 10})
    try:
        checks = check(world)
        reserving = check(world, "--pre", "--parameter", "WebhookConcurrency=5", code=6)
    finally:
        world.stack.local("POST", "quotas", {"concurrent_executions": 1000})
    assert other_than("passed", checks).keys() == {"concurrency"} and checks["concurrency"]["outcome"] == "warning"
    assert "WebhookConcurrency=0" in reserving["concurrency"]["cure"]


@contextmanager
def another_issuer(world: World) -> Iterator[None]:
    """The federated credential of the sweep's role names an issuer of another account."""
    path = f"applications(appId='{world.stack.env['KEYWHEEL_APPLICATION']}')/federatedIdentityCredentials"
    role = world.stack.env["KEYWHEEL_SWEEP_ROLE_ARN"]
    [one] = [one for one in graph(world)("GET", path)["value"] if one["subject"] == role]
    graph(world)("PATCH", f"{path}/{one['id']}", {"issuer": "https://another.example"})
    try:
        yield
    finally:
        graph(world)("PATCH", f"{path}/{one['id']}", {"issuer": one["issuer"]})


def test_a_federated_credential_of_another_issuer_and_the_sweep_that_fails_by_it(world: World, until: Callable):
    functions, sweep = world.client("lambda"), world.stack.env["KEYWHEEL_SWEEP_FUNCTION"]
    latest = {"FunctionName": sweep, "Qualifier": "$LATEST"}
    config = functions.get_function_event_invoke_config(**latest)
    functions.put_function_event_invoke_config(  # Lambda's own second try comes after a minute
        **latest, MaximumRetryAttempts=0, DestinationConfig=config["DestinationConfig"])
    with another_issuer(world):
        failed = check(world, code=6)["federated-credentials"]
        assert "has the issuer https://another.example, and not " in failed["what"]
        assert "infra/entra/setup.py --client-id" in failed["cure"] and "--subject" in failed["cure"]
        world.stack.local("POST", "functions/kill", {"function": sweep})
        functions.invoke(FunctionName=sweep, InvocationType="Event", Payload=b"{}")
        until(lambda: check(world, code=6)["function-sign-in"]["outcome"] == "failed", 90)
    checks = check(world, code=6)
    assert "AADSTS700" in checks["function-sign-in"]["what"], checks["function-sign-in"]
    assert "EventDeadLetterQueueUrl (1)" in checks["dead-letters"]["what"]
    world.sweep()
    checks = check(world)
    assert checks["function-sign-in"]["outcome"] == "passed", "a later sweep outweighs the failure"
    world.dead_letters("KEYWHEEL_EVENT_DEAD_LETTER_URL")


def test_an_application_that_keywheel_does_not_own(world: World):
    for (collection, one), cure in zip(holders(world), ("az ad app owner add --id", "infra/entra/README.md"),
                                       strict=True):
        graph(world)("DELETE", f"{collection}/{one}/owners/{own(world)}/$ref")
        try:
            checks = check(world, code=6)
        finally:
            graph(world)("POST", f"{collection}/{one}/owners/$ref", {
                "@odata.id": f"{world.stack.env['KEYWHEEL_GRAPH_ENDPOINT']}/v1.0/directoryObjects/{own(world)}"})
        assert other_than("passed", checks).keys() == {"ownership"}
        assert cure in checks["ownership"]["cure"]


def test_a_manifest_that_is_not_valid_and_one_that_names_what_is_not_there(world: World):
    whole = json.loads(world.tenant.manifest())
    try:
        world.stack.put_manifest("tenant: nonsense\n")
        checks = check(world, code=6)
        assert "keywheel validate s3://" in checks["manifest"]["cure"]
        assert outcomes(checks, "secret-prefix", "secret-encryption", "ownership") == ["skipped"] * 3
        assert checks["permissions"]["outcome"] == "passed"
        whole["credentials"]["fresh"] |= {"application": UNKNOWN, "secret": "other/fresh", "kms_key": "alias/own"}
        world.stack.put_manifest(json.dumps(whole))
        checks = check(world, code=6)
    finally:
        world.stack.put_manifest(world.tenant.manifest())
    assert other_than("passed", checks).keys() == {"secret-prefix", "secret-encryption", "listed-applications"}
    assert "other/fresh" in checks["secret-prefix"]["what"]
    assert checks["secret-encryption"]["outcome"] == "warning", "an alias may be any key"


def test_a_secret_under_a_key_that_the_functions_may_not_use(world: World):
    manager, secret = world.client("secretsmanager"), world.tenant.credentials["fresh"].secret
    key = world.client("kms").create_key()["KeyMetadata"]["Arn"]
    manager.update_secret(SecretId=secret, KmsKeyId=key)
    try:
        checks = check(world, code=6)
    finally:
        manager.update_secret(SecretId=secret, KmsKeyId="alias/aws/secretsmanager")
    assert checks["secret-encryption"]["outcome"] == "failed" and key in checks["secret-encryption"]["what"]
    assert "KmsKeyArn" in checks["secret-encryption"]["cure"]


def test_a_mistyped_key_is_named_and_not_shown(world: World):
    manager = world.client("secretsmanager")
    name = {one["ParameterKey"]: one["ParameterValue"] for one in world.client("cloudformation").describe_stacks(
        StackName="keywheel")["Stacks"][0]["Parameters"]}["WebhookSecret"]
    before = manager.get_secret_value(SecretId=name)["SecretString"]
    world.stack.put_webhook_keys({"slack_signing_secret": PLANTED, "webhook_keys": {"ci": [PLANTED]}})
    try:
        done = run(world, "--json")
    finally:
        world.stack.put_webhook_keys(json.loads(before))
    assert done.returncode == 6 and PLANTED not in done.stdout + done.stderr
    failed = {one["check"]: one for one in json.loads(done.stdout)["checks"]}["webhook-secret"]
    assert failed["what"].endswith("slack_signing_secret, webhook_keys.ci") and "whsec_" in failed["cure"]


def test_dead_letters_and_silent_alarms_only_warn(world: World):
    sns = world.client("sns")
    [subscription] = sns.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]
    world.client("sqs").send_message(QueueUrl=world.stack.env["KEYWHEEL_NOTIFY_DEAD_LETTER_URL"], MessageBody="{}")
    sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    sns.subscribe(TopicArn=TOPIC, Protocol="email", Endpoint="ada@example.com")
    checks = check(world)
    assert other_than("passed", checks).keys() == {"dead-letters", "alarms"}
    assert "NotifyDeadLetterQueueUrl (1)" in checks["dead-letters"]["what"]
    assert "confirm" in checks["alarms"]["cure"]
    world.dead_letters("KEYWHEEL_NOTIFY_DEAD_LETTER_URL")


def test_a_function_that_is_gone(world: World):
    world.client("lambda").delete_function(FunctionName=world.stack.env["KEYWHEEL_NOTIFY_FUNCTION"])
    checks = check(world, code=6)
    assert "is gone" in checks["functions"]["what"] and "make deploy" in checks["functions"]["cure"]
