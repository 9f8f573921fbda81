"""S3 where MiniStack does otherwise: checksums under object lock, policies on conditional writes, locks in stacks, and
no word of what is missing to those who may not list."""

from __future__ import annotations

import json
from typing import Any

from ministack import app as ministack
from ministack.core import iam_actions, iam_evaluator
from ministack.core.iam_evaluator import EvalResult
from ministack.core.responses import get_region
from ministack.services import s3
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS as handlers

_CONDITIONS = "if-none-match", "if-match"
_LOCK = "x-amz-object-lock-"
_BYPASS = "x-amz-bypass-governance-retention"


def _is_checked(headers: dict[str, str]) -> bool:
    """Whether a put carries a checksum of its content, in a header or in a trailer."""
    return (bool(headers.get("content-md5")) or headers.get("x-amz-trailer", "").startswith("x-amz-checksum-")
            or any(name.startswith("x-amz-checksum-") for name in headers))


def _lock(name: str, properties: dict) -> None:
    """What a template says of a bucket's object lock."""
    if str(properties.get("ObjectLockEnabled", False)).lower() != "true":
        return
    retention = properties.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention")
    if retention:
        if len({"Days", "Years"} & set(retention)) != 1 or retention.get("Mode") not in ("COMPLIANCE", "GOVERNANCE"):
            raise ValueError("DefaultRetention needs a Mode, and either Days or Years")
        retention = {key: value if key == "Mode" else int(value) for key, value in retention.items()}
    s3._bucket_versioning[name] = "Enabled"
    s3._bucket_object_lock[name] = {"enabled": True, "default_retention": retention}


def _encryption(name: str, properties: dict) -> None:
    """What a template says of a bucket's encryption, as the API would have been told."""
    rules = (properties.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration") or []
    if not rules:
        return
    default = rules[0]["ServerSideEncryptionByDefault"]
    of_bucket = str(rules[0].get("BucketKeyEnabled", False)).lower()
    s3._bucket_encryption[name] = (
        f'<ServerSideEncryptionConfiguration xmlns="{s3.S3_NS}"><Rule><ApplyServerSideEncryptionByDefault>'
        + "".join(f"<{member}>{default[member]}</{member}>" for member in ("SSEAlgorithm", "KMSMasterKeyID")
                  if default.get(member))
        + f"</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>{of_bucket}</BucketKeyEnabled></Rule>"
        "</ServerSideEncryptionConfiguration>")


def _logging(properties: dict) -> None:
    """A template's bucket whose accesses are logged in one that is not there is refused."""
    target = (properties.get("LoggingConfiguration") or {}).get("DestinationBucketName")
    if target and target not in s3._buckets:
        raise ValueError("The target bucket for logging does not exist (Service: S3, Status Code: 400)")


def texts() -> dict[str, str]:
    """What every object holds but the packages of functions, by bucket and key."""
    found = {}
    for name, bucket in s3._buckets.items():
        for key, one in list(bucket["objects"].items()):
            if not one["body"].startswith(b"PK"):
                found[f"{name}/{key}"] = one["body"].decode(errors="replace")
    return found


def _unoffered(headers: dict[str, str]) -> tuple | None:
    """What a put was recorded to refuse of conditions: two at once, and other values than each knows."""
    none_match, match = (headers.get(name) for name in _CONDITIONS)
    if (none_match and match) or none_match not in (None, "*") or match == "*":
        return s3._error("NotImplemented", "A header you provided implies functionality that is not implemented", 501)
    return None


def _bypasses(bucket: str, headers: dict | None) -> tuple | None:
    if _BYPASS in (headers or {}) and not (s3._bucket_object_lock.get(bucket) or {}).get("enabled"):
        return s3._error("InvalidArgument", f"{_BYPASS} is only applicable to Object Lock enabled buckets.", 400)
    return None


def _is_no_policy(body: bytes) -> tuple | None:
    try:
        policy = json.loads(body)
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        return s3._error("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'", 400)
    if "Statement" not in policy:
        return s3._error("MalformedPolicy", "Missing required field Statement", 400)
    return None


def _refuse_as_recorded() -> None:
    """Requests that MiniStack takes and AWS was recorded to refuse."""
    put_policy, put_versioning = s3._put_bucket_policy, s3._put_bucket_versioning
    get_object, delete_object, delete_objects = s3._get_object, s3._delete_object, s3._delete_objects

    def policy(bucket: str, body: bytes) -> tuple:
        return _is_no_policy(body) or put_policy(bucket, body)

    def versioning(bucket: str, body: bytes) -> tuple:
        if (s3._bucket_object_lock.get(bucket) or {}).get("enabled") and b"<Status>Suspended" in body:
            return s3._error("InvalidBucketState", "An Object Lock configuration is present on this bucket, so the "
                             "versioning state cannot be changed.", 409)
        return put_versioning(bucket, body)

    def read(bucket: str, key: str, headers: dict, query: dict | None = None) -> tuple:
        version = s3._qp(query or {}, "versionId", "")
        if version not in ("", "null") and bucket in s3._buckets and not s3._bucket_versioning.get(bucket):
            return s3._error("InvalidArgument", "Invalid version id specified", 400)
        return get_object(bucket, key, headers, query)

    def delete(bucket: str, key: str, headers: dict | None = None, query: dict | None = None) -> tuple:
        status, more, body = _bypasses(bucket, headers) or delete_object(bucket, key, headers, query)
        return status, more, body.replace(b"the preconditions you specified did not hold.",
                                          b"the pre-conditions you specified did not hold")

    def delete_many(bucket: str, body: bytes, headers: dict | None = None) -> tuple:
        return _bypasses(bucket, headers) or delete_objects(bucket, body, headers)

    s3._put_bucket_policy, s3._put_bucket_versioning, s3._get_object = policy, versioning, read
    s3._delete_object, s3._delete_objects = delete, delete_many


def _unlisted(bucket: str, headers: dict, query: dict) -> tuple | None:
    """The denial of whoever may not list a bucket."""
    key = ministack.extract_access_key_id(headers, query)
    denied = ministack.AUTH and iam_evaluator.enforce(
        key, "s3:ListBucket", "s3", get_region(), resource_arn=f"arn:aws:s3:::{bucket}")
    if not isinstance(denied, EvalResult):
        return None
    return iam_actions.access_denied_response("s3", "s3:ListBucket", denied.principal_arn, "", headers=headers)


def _install_missing() -> None:
    """Whoever may not list a bucket is not told that an object is missing, but that listing is denied."""
    theirs = s3.handle_request

    async def handle_request(method: str, path: str, headers: dict, body: bytes, query: dict, *more: Any,
                             **named: Any) -> tuple:
        answer = await theirs(method, path, headers, body, query, *more, **named)
        bucket, _, key = path.lstrip("/").partition("/")
        missing = answer[0] == 404 and method in ("GET", "HEAD") and key and bucket in s3._buckets
        return (missing and _unlisted(bucket, headers, query)) or answer

    s3.handle_request = handle_request


def install() -> None:
    _install_missing()
    put_object, context = s3._put_object, iam_actions.s3_service_context
    create, update = handlers["AWS::S3::Bucket"]["create"], handlers["AWS::S3::Bucket"]["update"]

    def checked_put(bucket: str, key: str, body: bytes, headers: dict) -> tuple:
        """A put that is to be retained must carry a checksum."""
        if refused := _unoffered(headers):
            return refused
        by_default = (s3._bucket_object_lock.get(bucket) or {}).get("default_retention")
        if (by_default or any(name.startswith(_LOCK) for name in headers)) and not _is_checked(headers):
            return s3._error("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for "
                             "Put Object requests with Object Lock parameters", 400)
        return put_object(bucket, key, body, headers)

    def with_conditions(action: str, query: dict | None, path: str = "", headers: dict | None = None) -> dict[str, Any]:
        """``s3:if-none-match``, ``s3:if-match``, and whether a put makes an object (a part of an upload does not)."""
        found = context(action, query, path, headers)
        if action == "s3:PutObject":
            found |= {f"s3:{name}": headers[name] for name in _CONDITIONS if (headers or {}).get(name)}
            part = "uploads" in (query or {}) or "partNumber" in (query or {})
            found["s3:ObjectCreationOperation"] = "false" if part else "true"
        return found

    def created(logical_id: str, properties: dict, stack: str) -> tuple[str, dict]:
        _logging(properties)
        name, attributes = create(logical_id, properties, stack)
        _lock(name, properties)
        _encryption(name, properties)
        return name, attributes

    def updated(physical_id: str, old: dict, new: dict, stack: str) -> tuple[str, dict]:
        _logging(new)
        name, attributes = update(physical_id, old, new, stack)
        _lock(name, new)
        _encryption(name, new)
        return name, attributes

    _refuse_as_recorded()
    s3._put_object = checked_put
    iam_actions.s3_service_context = with_conditions
    handlers["AWS::S3::Bucket"] |= {"create": created, "update": updated}
