"""S3's answers, as recorded from AWS: what the audit trail and the manifest rest on."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

FAILED = (412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
NO_KEY = (404, "NoSuchKey", "The specified key does not exist.")
NOT_OFFERED = (501, "NotImplemented", "A header you provided implies functionality that is not implemented")
BAD_VERSION = (400, "InvalidArgument", "Invalid version id specified")
NO_LOCK = (404, "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
MALFORMED = (400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published "
             "schema")
NO_BYPASS = (400, "InvalidArgument", "x-amz-bypass-governance-retention is only applicable to Object Lock enabled "
             "buckets.")
NOT_VERSIONED = (409, "InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock "
                 "configuration")
SOME_VERSION = "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD"
PLACE = {"LocationConstraint": "eu-central-1"}


@pytest.fixture
def s3(aws):
    return aws.client("s3")


def make(s3, name: str, *, versioned: bool = False, locked: bool = False) -> str:
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=PLACE, **({"ObjectLockEnabledForBucket": True} if locked
                                                                      else {}))
    if versioned:
        versioning(s3, name, "Enabled")
    return name


def versioning(s3, bucket: str, status: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def refusal(call, **parameters: object) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


@pytest.mark.parametrize("versioned", [False, True])
def test_if_none_match(s3, name, versioned):
    place = {"Bucket": make(s3, name, versioned=versioned), "Key": "k"}
    first = s3.put_object(**place)
    assert first["ETag"] == '"d41d8cd98f00b204e9800998ecf8427e"' and ("VersionId" in first) == versioned
    assert refusal(s3.put_object, **place, IfNoneMatch="*") == FAILED
    gone = s3.delete_object(**place)
    assert gone.get("DeleteMarker", False) == versioned
    assert s3.put_object(**place, IfNoneMatch="*")["ETag"] == first["ETag"]


def test_if_none_match_takes_only_an_asterisk(s3, name):
    place = {"Bucket": make(s3, name), "Key": "k"}
    assert refusal(s3.put_object, **place, IfNoneMatch=s3.put_object(**place)["ETag"]) == NOT_OFFERED


@pytest.mark.parametrize("versioned", [False, True])
def test_if_match(s3, name, versioned):
    place = {"Bucket": make(s3, name, versioned=versioned), "Key": "k"}
    first = s3.put_object(**place, Body="test")["ETag"]
    assert first == '"098f6bcd4621d373cade4e832627b4f6"'
    assert refusal(s3.put_object, **place, IfMatch="abcdef") == FAILED
    second = s3.put_object(**place, IfMatch=first)["ETag"]
    s3.delete_object(**place)
    assert refusal(s3.put_object, **place, IfMatch=second) == NO_KEY
    third = s3.put_object(**place, Body="test-after-del")["ETag"]
    assert s3.put_object(**place, Body="test-if-match", IfMatch=third)["ETag"] == '"98e41c14fd4ec56bafc444346ecb74b7"'


@pytest.mark.parametrize("conditions, expected", [
    ({"IfMatch": "*"}, NOT_OFFERED), ({"IfMatch": "abcdef"}, NO_KEY), ({"IfMatch": "bad-char_/"}, NO_KEY),
    ({"IfNoneMatch": "*", "IfMatch": "abcdef"}, NOT_OFFERED)])
def test_a_condition_on_an_object_that_is_not_there(s3, name, conditions, expected):
    assert refusal(s3.put_object, Bucket=make(s3, name), Key="k", **conditions) == expected


def test_a_deletion_if_match(s3, name):
    place = {"Bucket": make(s3, name), "Key": "k"}
    s3.put_object(**place)
    assert refusal(s3.delete_object, **place, IfMatch="badvalue") == FAILED


def test_a_version_of_a_bucket_without_versions(s3, name):
    place = {"Bucket": make(s3, name), "Key": "k"}
    s3.put_object(**place, Body="test-version")
    assert refusal(s3.get_object, **place, VersionId=SOME_VERSION) == BAD_VERSION
    whole = s3.get_object(**place, VersionId="null")
    assert whole["Body"].read() == b"test-version" and whole["ETag"] == '"a8b14b49cca6ee9a2dc6e28f87cc542c"'


def test_a_deleted_object_of_a_bucket_with_versions(s3, name):
    place = {"Bucket": make(s3, name, versioned=True), "Key": "k"}
    first = s3.put_object(**place, Body="test-delete")["VersionId"]
    marker = s3.delete_object(**place)
    assert marker["DeleteMarker"]
    assert refusal(s3.get_object, **place) == NO_KEY
    assert s3.get_object(**place, VersionId=first)["Body"].read() == b"test-delete"
    assert refusal(s3.get_object, **place, VersionId=marker["VersionId"]) == (
        405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
    again = s3.delete_object(**place)
    listed = s3.list_object_versions(Bucket=name)
    assert [(one["VersionId"], one["IsLatest"]) for one in listed["DeleteMarkers"]] == [
        (again["VersionId"], True), (marker["VersionId"], False)]
    assert s3.delete_object(**place, VersionId=marker["VersionId"])["DeleteMarker"]
    assert "DeleteMarker" not in s3.delete_object(**place, VersionId=first)
    assert refusal(s3.get_object, **place, VersionId=first) == (
        404, "NoSuchVersion", "The specified version does not exist.")
    assert s3.delete_object(Bucket=name, Key="wrong-key")["DeleteMarker"]


def test_a_deletion_in_a_bucket_without_versions(s3, name):
    place = {"Bucket": make(s3, name), "Key": "k"}
    s3.put_object(**place)
    for _ in range(2):
        answer = s3.delete_object(**place)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204 and "DeleteMarker" not in answer


def test_a_lock_needs_versions(s3, name):
    bucket = make(s3, name)
    lock = {"Bucket": bucket, "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    assert refusal(s3.get_object_lock_configuration, Bucket=bucket) == NO_LOCK
    assert refusal(s3.put_object_lock_configuration, **lock) == NOT_VERSIONED
    versioning(s3, bucket, "Suspended")
    assert refusal(s3.put_object_lock_configuration, **lock) == NOT_VERSIONED
    versioning(s3, bucket, "Enabled")
    s3.put_object_lock_configuration(**lock)
    shown = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert shown == {"ObjectLockEnabled": "Enabled"}


def test_a_lock_shows_its_retention(s3, name):
    bucket = make(s3, name, locked=True)
    for shown in ({"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Days": 1, "Mode": "GOVERNANCE"}}},
                  {"ObjectLockEnabled": "Enabled"}):
        s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=shown)
        assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == shown


@pytest.mark.parametrize("wrong", [
    {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}, {}, {"ObjectLockEnabled": "Enabled", "Rule": {}},
    *({"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}} for retention in (
        {}, {"Mode": "GOVERNANCE"}, {"Mode": "BAD-VALUE", "Days": 1}, {"Mode": "GOVERNANCE", "Days": 1, "Years": 1}))])
def test_a_lock_that_is_no_lock(s3, name, wrong):
    bucket = make(s3, name, locked=True)
    assert refusal(s3.put_object_lock_configuration, Bucket=bucket, ObjectLockConfiguration=wrong) == MALFORMED


def test_a_locked_bucket_keeps_its_versions(s3, name):
    bucket = make(s3, name, locked=True)
    assert refusal(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}) == (
        409, "InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state "
        "cannot be changed.")
    versioning(s3, bucket, "Enabled")


def test_a_bypass_needs_a_lock(s3, name):
    place = {"Bucket": make(s3, name), "Key": "k"}
    s3.put_object(**place)
    for bypass in (True, False):
        assert refusal(s3.delete_object, **place, BypassGovernanceRetention=bypass) == NO_BYPASS
    assert refusal(s3.delete_objects, Bucket=name, Delete={"Objects": [{"Key": "k"}]},
                   BypassGovernanceRetention=True) == NO_BYPASS


@pytest.mark.parametrize("policy, told", [
    ("", "Policies must be valid JSON and the first byte must be '{'"),
    ("invalid json", "Policies must be valid JSON and the first byte must be '{'"),
    ("{}", "Missing required field Statement")])
def test_a_policy_that_is_none(s3, name, policy, told):
    assert refusal(s3.put_bucket_policy, Bucket=make(s3, name), Policy=policy) == (400, "MalformedPolicy", told)


def test_a_bucket_without_a_policy(s3, name):
    assert refusal(s3.get_bucket_policy, Bucket=make(s3, name)) == (
        404, "NoSuchBucketPolicy", "The bucket policy does not exist")
    assert s3.delete_bucket_policy(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
