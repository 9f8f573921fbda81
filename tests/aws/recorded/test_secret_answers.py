"""Secrets Manager's answers to ordinary requests, whole, as recorded from AWS between 2022 and 2026."""

from __future__ import annotations

import uuid

import pytest
from stories import CREATED, DELETED, NAMED, Error, Story, described, named, stored, value, versions

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
MARKED = Error(("InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion."))
MISSING = Error(("ResourceNotFoundException", "Secrets Manager can't find the specified secret."))
BAD_NAME = Error(("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or "
                  "any of the following: -/_+=.@!"))


def no_value(which: str) -> Error:
    return Error(("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for " + which))


def tag(*names: str) -> list[dict]:
    return [{"Key": f"tag{one}", "Value": f"value{one}"} for one in names]


def create(text: str | bytes = "S1", **more: object) -> tuple:
    kind = "SecretString" if isinstance(text, str) else "SecretBinary"
    return "create_secret", {kind: text, **more}, CREATED


def put(text: str, expected: dict, *labels: str) -> tuple:
    return "put_secret_value", {"SecretString": text} | ({"VersionStages": list(labels)} if labels else {}), expected


def move(label: str, **ends: str) -> tuple:
    return "update_secret_version_stage", {"VersionStage": label, **ends}, NAMED


def swap(old: str, new: str) -> tuple:
    return move(CURRENT, RemoveFromVersionId=old, MoveToVersionId=new)


def read(expected: object, **which: str) -> tuple:
    return "get_secret_value", which, expected


def listed(*shown: tuple[str, ...], read: str = "", **more: object) -> tuple:
    return "list_secret_version_ids", more, versions(*shown, read=read)


def describe(labels: dict | None = None, **more: object) -> tuple:
    return "describe_secret", {}, described(labels, **more)


def update(expected: dict, **more: object) -> tuple:
    return "update_secret", more, expected


DELETE = ("delete_secret", {}, DELETED)
FORCE = ("delete_secret", {"ForceDeleteWithoutRecovery": True}, DELETED)

STORIES = {
    "forced deletion frees the name": [create(), FORCE, ("create_secret", {"SecretString": "b"}, None),
                                       ("describe_secret", {}, described({"v2": [CURRENT]}))],
    "the name of a secret marked for deletion is taken": [
        create(), ("delete_secret", {"RecoveryWindowInDays": 7}, DELETED),
        ("create_secret", {"SecretString": "S1"}, Error((
            "InvalidRequestException", "You can't create this secret because a secret with this name is already "
            "scheduled for deletion.")))],
    "a secret marked for deletion shows it and can be deleted by force": [
        create(), DELETE, describe({"v1": [CURRENT]}, DeletedDate="TIME"), FORCE, ("describe_secret", {}, MISSING)],
    "a secret is restored": [create(Description="test description"), DELETE, ("restore_secret", {}, NAMED),
                             describe({"v1": [CURRENT]}, Description="test description")],
    "a name is taken": [create(), ("create_secret", {"SecretString": "S1"}, Error((
        "ResourceExistsException", "The operation failed because the secret NAME already exists.")))],
    "an unknown secret": [read(MISSING), ("list_secret_version_ids", {}, MISSING)],
    "a secret without a value": [
        ("create_secret", {}, NAMED), describe(), read(no_value("staging label: AWSCURRENT")),
        read(no_value("VersionId: 2b1f1af7-47ee-4ee1-9609-991d4352ae14"),
             VersionId="2b1f1af7-47ee-4ee1-9609-991d4352ae14"),
        read(no_value("staging label: AWSPENDING"), VersionStage=PENDING)],
    "the first value of a secret becomes current": [("create_secret", {"Description": ""}, NAMED), describe(),
                                                    put("example", stored("v1", CURRENT))],
    "a label that is not there, and one that is elsewhere": [
        create(), read(no_value("staging label: AWSPREVIOUS"), VersionStage=PREVIOUS),
        read(Error(("InvalidRequestException", "You provided a VersionStage that is not associated to the provided "
                    "VersionId.")), VersionId="v1", VersionStage=PREVIOUS)],
    "a description is changed with and without a value": [
        create(), describe({"v1": [CURRENT]}), update(NAMED, Description="MyDescription"),
        describe({"v1": [CURRENT]}, Description="MyDescription"),
        update(named(VersionId="v2"), SecretString="S2", Description="New"),
        describe({"v2": [CURRENT], "v1": [PREVIOUS]}, Description="New"),
        update(named(VersionId="v3"), SecretString="S2S2"),
        describe({"v2": [PREVIOUS], "v3": [CURRENT]}, Description="New"), update(NAMED),
        describe({"v2": [PREVIOUS], "v3": [CURRENT]}, Description="New"), FORCE],
    "labels of a put move from put to put": [
        create("S0"), read(value("v1", "S0", CURRENT)), put("S1", stored("v2", "A0", "A1"), "A1", "A0"),
        read(value("v1", "S0", CURRENT)), put("S2", stored("v3", "A0", "A1"), "A1", "A0"),
        read(value("v1", "S0", CURRENT)), put("S3", stored("v4", PENDING), PENDING),
        read(value("v1", "S0", CURRENT)), put("S4", stored("v5", CURRENT)), read(value("v5", "S4", CURRENT)), FORCE],
    "moving a label answers with the secret's names": [create(), put("S2", stored("v2", PENDING), PENDING),
                                                       swap("v1", "v2"), FORCE],
    "an update makes the old value previous": [
        create(), listed(("v1", CURRENT)), update(named(VersionId="v2"), SecretString="S2"),
        listed(("v1", PREVIOUS), ("v2", CURRENT)), FORCE],
    "a pending version becomes current and then previous": [
        create(), put("S2", stored("v2", PENDING), PENDING), listed(("v1", CURRENT), ("v2", PENDING)),
        swap("v1", "v2"), listed(("v1", PREVIOUS), ("v2", CURRENT, PENDING)), put("S3", stored("v3", CURRENT)),
        listed(("v2", PREVIOUS), ("v3", CURRENT)), FORCE],
    "two rounds of pending and current": [
        create(), put("S2", stored("v2", PENDING), PENDING), listed(("v1", CURRENT), ("v2", PENDING)),
        read(value("v1", "S1", CURRENT)), swap("v1", "v2"),
        listed(("v1", PREVIOUS), ("v2", CURRENT, PENDING), read="v1"), read(value("v2", "S2", CURRENT, PENDING)),
        put("S3", stored("v3", PENDING), PENDING),
        listed(("v1", PREVIOUS), ("v2", CURRENT), ("v3", PENDING), read="v1 v2"), read(value("v2", "S2", CURRENT)),
        swap("v2", "v3"), listed(("v2", PREVIOUS), ("v3", CURRENT, PENDING), read="v2"),
        read(value("v3", "S3", CURRENT, PENDING)), FORCE],
    "labels of one's own stay when the reserved ones move": [
        create(), put("S2", stored("v2", PENDING, "AWSSOMETHING", "PUT1"), "AWSSOMETHING", PENDING, "PUT1"),
        listed(("v1", CURRENT), ("v2", PENDING, "AWSSOMETHING", "PUT1")), read(value("v1", "S1", CURRENT)),
        swap("v1", "v2"), listed(("v1", PREVIOUS), ("v2", CURRENT, PENDING, "AWSSOMETHING", "PUT1"), read="v1"),
        read(value("v2", "S2", CURRENT, PENDING, "AWSSOMETHING", "PUT1")),
        put("S3", stored("v3", PENDING, "PUT2"), PENDING, "PUT2"),
        listed(("v1", PREVIOUS), ("v2", CURRENT, "AWSSOMETHING", "PUT1"), ("v3", PENDING, "PUT2"), read="v1 v2"),
        swap("v2", "v3"),
        listed(("v2", PREVIOUS, "AWSSOMETHING", "PUT1"), ("v3", CURRENT, PENDING, "PUT2"), read="v2"),
        read(value("v3", "S3", CURRENT, PENDING, "PUT2")), FORCE],
    "a version with a label of its own stays listed when it is no longer previous": [
        create("SS"), put("S1", stored("v2", CURRENT, "PUT0"), CURRENT, "PUT0"),
        listed(("v1", PREVIOUS), ("v2", CURRENT, "PUT0")), put("S2", stored("v3", PENDING, "PUT1"), PENDING, "PUT1"),
        listed(("v1", PREVIOUS), ("v2", CURRENT, "PUT0"), ("v3", PENDING, "PUT1")),
        read(value("v2", "S1", CURRENT, "PUT0")), swap("v2", "v3"),
        listed(("v2", PREVIOUS, "PUT0"), ("v3", CURRENT, PENDING, "PUT1"), read="v2"),
        read(value("v3", "S2", CURRENT, PENDING, "PUT1")), put("S3", stored("v4", PENDING, "PUT2"), PENDING, "PUT2"),
        listed(("v2", PREVIOUS, "PUT0"), ("v3", CURRENT, "PUT1"), ("v4", PENDING, "PUT2"), read="v2 v3"),
        swap("v3", "v4"),
        listed(("v2", "PUT0"), ("v3", PREVIOUS, "PUT1"), ("v4", CURRENT, PENDING, "PUT2"), read="v2 v3"),
        read(value("v4", "S3", CURRENT, PENDING, "PUT2")), FORCE],
    "a label of one's own is taken off": [
        create("SS"), put("S1", stored("v2", "PENDING"), "PENDING"), listed(("v1", CURRENT), ("v2", "PENDING")),
        read(value("v1", "SS", CURRENT), VersionId="v1"), read(value("v2", "S1", "PENDING"), VersionId="v2"),
        swap("v1", "v2"), read(value("v1", "SS", PREVIOUS), VersionId="v1"),
        read(value("v2", "S1", CURRENT, "PENDING"), VersionId="v2"), move("PENDING", RemoveFromVersionId="v2"),
        read(value("v1", "SS", PREVIOUS), VersionId="v1"), read(value("v2", "S1", CURRENT), VersionId="v2"), FORCE],
    "a version that loses all its labels to a put is not listed": [
        create("S0"), put("S1", stored("v2", "one", "three", "two"), "one", "two", "three"),
        listed(("v1", CURRENT), ("v2", "one", "three", "two")),
        put("S2", stored("v3", "four", "one", "three", "two"), "one", "two", "three", "four"),
        listed(("v1", CURRENT), ("v3", "four", "one", "three", "two")), FORCE],
    "a version that keeps one label stays listed": [
        create("S0"), put("S1", stored("v2", "one", "three", "two"), "one", "two", "three"),
        listed(("v1", CURRENT), ("v2", "one", "three", "two")),
        put("S2", stored("v3", "four", "one", "two"), "one", "two", "four"),
        listed(("v1", CURRENT), ("v2", "three"), ("v3", "four", "one", "two")), FORCE],
    "versions without labels are listed when asked for": [
        create(), listed(("v1", CURRENT)), put("S2", stored("v2", CURRENT)), listed(("v1", PREVIOUS), ("v2", CURRENT)),
        put("S3", stored("v3", CURRENT)), listed(("v2", PREVIOUS), ("v3", CURRENT)),
        listed(("v1",), ("v2", PREVIOUS), ("v3", CURRENT), IncludeDeprecated=True), put("S4", stored("v4", CURRENT)),
        listed(("v3", PREVIOUS), ("v4", CURRENT)),
        listed(("v1",), ("v2",), ("v3", PREVIOUS), ("v4", CURRENT), IncludeDeprecated=True)],
    "a secret shows tags once it had some": [
        ("create_secret", {}, NAMED), describe(), ("tag_resource", {"Tags": tag("1")}, {}), describe(Tags=tag("1")),
        ("tag_resource", {"Tags": tag("2")}, {}), describe(Tags=tag("1", "2")),
        ("untag_resource", {"TagKeys": ["tag1"]}, {}), describe(Tags=tag("2")),
        ("untag_resource", {"TagKeys": ["tag2"]}, {}), describe(Tags=[]), ("tag_resource", {"Tags": tag("3", "4")}, {}),
        describe(Tags=tag("3", "4")), ("untag_resource", {"TagKeys": ["tag3", "tag4"]}, {}), describe(Tags=[])],
    "a secret marked for deletion takes no tags": [
        create(Tags=tag("1")), ("delete_secret", {"SecretId": "ARN"}, DELETED),
        ("tag_resource", {"Tags": tag("2")}, MARKED), ("untag_resource", {"TagKeys": ["tag1"]}, MARKED)],
    "a rotation needs a function": [
        create("init"), ("rotate_secret", {"RotationRules": {"AutomaticallyAfterDays": 1}}, Error((
            "InvalidRequestException", "No Lambda rotation function ARN is associated with this secret."))),
        describe({"v1": [CURRENT]})],
    "a rotation needs a function that can be called": [
        create("init"), ("rotate_secret", {
            "RotationLambdaARN": "arn:aws:lambda:eu-central-1:111122223333:function:not-there",
            "RotationRules": {"AutomaticallyAfterDays": 1}}, Error((
                "AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function. Ensure that the "
                "function policy grants access to the principal secretsmanager.amazonaws.com."))),
        describe({"v1": [CURRENT]})],
    **{f"binary values {first!r} and {second!r}": [
        create(b"initial"), read(value("v1", b"initial", CURRENT)), ("put_secret_value", {"SecretBinary": first}, None),
        read(value("v2", first, CURRENT)), ("update_secret", {"SecretBinary": second}, None),
        read(value("v3", second, CURRENT))]
       for first, second in (
           (b"footest", b"updated1"), (b"tops3cret", b"updated2"), (b"\x00\x01\x02\xff", b"\xfe\xfd"))},
}


@pytest.fixture
def sm(aws):
    return aws.client("secretsmanager")


@pytest.mark.parametrize("title", STORIES)
def test_answers(sm, name, title):
    Story(sm, name).play(STORIES[title])


@pytest.mark.parametrize("ending, partial", [
    ("", value("v1", "my_secret", CURRENT)), ("-a1b2", value("v1", "my_secret", CURRENT)),
    ("-a1b2c3-", value("v1", "my_secret", CURRENT)), ("-a1b2c3", MISSING)])
def test_a_name_and_its_arn(sm, ending, partial):
    story = Story(sm, f"Valid-{uuid.uuid4().hex}/_+=.@-Name{ending}")
    story.play([create("my_secret", Description="d0")])
    assert story.arn.endswith(story.name + "-" + story.arn[-6:])
    story.play([
        read(value("v1", "my_secret", CURRENT)),
        describe({"v1": [CURRENT]}, Description="d0", LastAccessedDate="TIME"),
        read(value("v1", "my_secret", CURRENT), SecretId=story.arn), read(partial, SecretId=story.arn[:-7]),
        put("new_secret", stored("v2", CURRENT)), read(value("v2", "new_secret", CURRENT)),
        update(named(VersionId="v3"), SecretId=story.arn, SecretString="test123", Description="d1"), FORCE])


@pytest.mark.parametrize("bad", ["Inv Name", " Inv Name", " Inv*Name? ", " Inv *?!]Name\\-"])
def test_a_bad_name_is_refused_by_every_operation(sm, bad):
    story, policy = Story(sm, bad), '{"Version": "2012-10-17", "Statement": []}'
    story.play([(operation, parameters, BAD_NAME) for operation, parameters in (
        ("create_secret", {"SecretString": "S"}), ("delete_secret", {"ForceDeleteWithoutRecovery": True}),
        ("describe_secret", {}), ("get_secret_value", {}), ("list_secret_version_ids", {"IncludeDeprecated": True}),
        ("put_secret_value", {"SecretString": "S"}), ("tag_resource", {"Tags": tag("1")}),
        ("untag_resource", {"TagKeys": ["tag1"]}), ("update_secret", {"Description": "d"}),
        ("validate_resource_policy", {"ResourcePolicy": policy}))])
