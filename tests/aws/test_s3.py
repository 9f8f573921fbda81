"""S3 as the audit trail needs it: conditional writes, versions, delete markers, object lock."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from conftest import until


@pytest.fixture
def s3(aws):
    return aws.client("s3")


@pytest.fixture
def bucket(s3, name):
    place = {"LocationConstraint": "eu-central-1"}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=True)
    return name


def lock(s3, bucket: str, mode: str = "GOVERNANCE") -> None:
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": mode, "Days": 1}}})


def refused(code: str, call, **arguments) -> None:
    with pytest.raises(ClientError) as told:
        call(**arguments)
    assert told.value.response["Error"]["Code"] == code


def test_an_object_is_written_where_there_is_none(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")
    refused("PreconditionFailed", s3.put_object, Bucket=bucket, Key="a", Body=b"2", IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="a")
    s3.put_object(Bucket=bucket, Key="a", Body=b"3", IfNoneMatch="*")


def test_what_objects_hold_can_be_looked_through(aws, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a/b", Body="ä".encode())
    s3.put_object(Bucket=bucket, Key="zip", Body=b"PK\x03\x04")
    ours = {name: text for name, text in aws.local("GET", "objects").items() if name.startswith(f"{bucket}/")}
    assert ours == {f"{bucket}/a/b": "ä"}


def test_of_many_writers_one_is_first(aws, bucket):
    def put(number: int) -> bool:
        try:
            aws.client("s3").put_object(Bucket=bucket, Key="a", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict")
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(put, range(30))) == 1


def test_an_object_is_replaced_upon_its_etag(s3, bucket):
    refused("NoSuchKey", s3.put_object, Bucket=bucket, Key="a", Body=b"1", IfMatch='"x"')
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["ETag"]
    s3.put_object(Bucket=bucket, Key="a", Body=b"2", IfMatch=etag)
    refused("PreconditionFailed", s3.put_object, Bucket=bucket, Key="a", Body=b"3", IfMatch=etag)
    s3.delete_object(Bucket=bucket, Key="a")
    refused("NoSuchKey", s3.put_object, Bucket=bucket, Key="a", Body=b"3", IfMatch=etag)


def test_versions_and_delete_markers_are_listed_page_by_page(s3, bucket):
    for number in (1, 2, 3):
        s3.put_object(Bucket=bucket, Key="d/a", Body=str(number).encode())
    s3.delete_object(Bucket=bucket, Key="d/a")
    s3.put_object(Bucket=bucket, Key="d/b", Body=b"4")
    s3.put_object(Bucket=bucket, Key="c", Body=b"5")
    seen: list[tuple[str, str]] = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2}):
        assert len(page.get("Versions", [])) + len(page.get("DeleteMarkers", [])) <= 2
        seen += [(one["Key"], s3.get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])["Body"].read())
                 for one in page.get("Versions", [])]
        seen += [(one["Key"], None) for one in page.get("DeleteMarkers", [])]
    assert seen.count(("d/a", None)) == 1
    assert [one for one in seen if one[1]] == [("c", b"5"), ("d/a", b"3"), ("d/a", b"2"), ("d/a", b"1"), ("d/b", b"4")]
    folders = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    assert [one["Prefix"] for one in folders["CommonPrefixes"]] == ["d/"]
    assert [one["Key"] for one in folders["Versions"]] == ["c"]


def test_what_is_locked_stays(aws, s3, bucket):
    lock(s3, bucket)
    version = s3.put_object(Bucket=bucket, Key="a", Body=b"1", ChecksumAlgorithm="SHA256")["VersionId"]
    refused("AccessDenied", s3.delete_object, Bucket=bucket, Key="a", VersionId=version)
    s3.delete_object(Bucket=bucket, Key="a")
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="a")
    assert s3.get_object(Bucket=bucket, Key="a", VersionId=version)["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="a", VersionId=version, BypassGovernanceRetention=True)
    lock(s3, bucket, "COMPLIANCE")
    version = s3.put_object(Bucket=bucket, Key="b", Body=b"1", ChecksumAlgorithm="SHA256")["VersionId"]
    refused("AccessDenied", s3.delete_object, Bucket=bucket, Key="b", VersionId=version, BypassGovernanceRetention=True)


def test_a_locked_put_carries_a_checksum(s3, bucket):
    def without(request, **_):
        for header in [one for one in request.headers if one.lower().startswith(("x-amz-checksum", "x-amz-sdk-ch"))]:
            del request.headers[header]

    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    lock(s3, bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    s3.meta.events.register_first("before-sign.s3.PutObject", without)
    refused("InvalidRequest", s3.put_object, Bucket=bucket, Key="a", Body=b"1")


def test_a_policy_can_ask_for_conditional_writes(aws, s3, bucket, name):
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = aws.client("s3", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    user.put_object(Bucket=bucket, Key="b", Body=b"1")
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}}]}))
    refused("AccessDenied", user.put_object, Bucket=bucket, Key="a", Body=b"1")
    user.put_object(Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")


def test_a_stack_makes_a_locked_bucket(aws, s3, name):
    template = {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {
        "ObjectLockEnabled": True, "VersioningConfiguration": {"Status": "Enabled"}, "ObjectLockConfiguration": {
            "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": "7"}}}}}},
        "Outputs": {"Bucket": {"Value": {"Ref": "Bucket"}}}}
    stacks = aws.client("cloudformation")
    stacks.create_stack(StackName=name, TemplateBody=json.dumps(template))
    until(lambda: stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE")
    bucket = stacks.describe_stacks(StackName=name)["Stacks"][0]["Outputs"][0]["OutputValue"]
    shown = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert shown["Rule"]["DefaultRetention"] == {"Mode": "COMPLIANCE", "Days": 7}
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_who_may_not_list_is_not_told_that_an_object_is_missing(aws, s3, bucket, name):
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = aws.client("s3", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    allowed = [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}]

    def allow() -> None:
        document = {"Version": "2012-10-17", "Statement": allowed}
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(document))

    allow()
    s3.put_object(Bucket=bucket, Key="there", Body=b"1")
    assert user.get_object(Bucket=bucket, Key="there")["Body"].read() == b"1"
    refused("AccessDenied", user.get_object, Bucket=bucket, Key="missing")
    refused("403", user.head_object, Bucket=bucket, Key="missing")
    allowed.append({"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"})
    allow()
    refused("NoSuchKey", user.get_object, Bucket=bucket, Key="missing")
    refused("404", user.head_object, Bucket=bucket, Key="missing")
