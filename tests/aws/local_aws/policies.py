"""What IAM and S3 accept as a policy, in the words that they were seen to refuse others with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from ministack.core import iam_evaluator
from ministack.services import iam, s3
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS as handlers

SYNTAX = "Syntax errors in policy."
NO_VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
VERSIONS = "2008-10-17", "2012-10-17"
MEMBERS = {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
_NAMES = {"Equals", "NotEquals", "Like", "NotLike"}
OPERATORS = {"Bool", "Null", "BinaryEquals", "IpAddress", "NotIpAddress"} | {
    kind + name for kind, names in {
        "String": _NAMES | {"EqualsIgnoreCase", "NotEqualsIgnoreCase"}, "Arn": _NAMES,
        "Numeric": {"Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"},
        "Date": {"Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"},
    }.items() for name in names}
_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?")
_AWS = re.compile(r"\*|[0-9]{12}|AIDA\w+|AROA\w+|arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:"
                  r"(root|user/.+|role/.+|assumed-role/.+/.+|federated-user/.+)")
_FEDERATED = re.compile(r"[a-z0-9.-]+\.[a-z]+|arn:aws[a-z-]*:iam::[0-9]{12}:(saml|oidc)-provider/.+")
_PRINCIPALS = {"AWS": _AWS, "Service": _SERVICE, "Federated": _FEDERATED, "CanonicalUser": re.compile(r"[0-9a-f]{64}")}


def _all(value: object) -> list:
    return value if isinstance(value, list) else [value]


def _statements(document: object) -> list[dict] | None:
    """A document's statements; ``None`` where it is not made as a policy is."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return None
    statements = _all(document.get("Statement") or []) if isinstance(document, dict) else []
    whole = statements and not document.keys() - {"Version", "Id", "Statement"} and all(
        isinstance(one, dict) and not one.keys() - MEMBERS and one.get("Effect") in ("Allow", "Deny")
        for one in statements)
    return statements if whole else None


def _version(document: object) -> str:
    document = json.loads(document) if isinstance(document, str) else document
    return document.get("Version", VERSIONS[0])


def _conditions(statement: dict) -> Iterator[tuple[str, dict]]:
    yield from (statement.get("Condition") or {}).items()


def unknown_operator(statement: dict) -> str | None:
    for operator, _ in _conditions(statement):
        bare = re.sub(r"^For(AllValues|AnyValue):", "", operator)
        if bare != "Null":
            bare = bare.removesuffix("IfExists")
        if bare not in OPERATORS:
            return operator
    return None


def _misshapen(statement: dict) -> bool:
    """Values of other kinds than a policy has, two that exclude each other, or a condition that is none."""
    pairs = ("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")
    texts = [text for pair in pairs[:2] for member in pair for text in _all(statement.get(member, []))]
    condition = statement.get("Condition", {})
    return (any(one in statement and other in statement for one, other in pairs)
            or not all(isinstance(text, str) for text in texts)
            or not isinstance(condition, dict)
            or not all(isinstance(keys, dict) for keys in condition.values())
            or unknown_operator(statement) is not None)


def bad_principal(statement: dict) -> str | None:
    """The first principal that is none, as IAM shows it."""
    principal = statement.get("Principal")
    if principal == "*":
        return None
    if not isinstance(principal, dict) or not principal:
        return json.dumps(principal)
    for kind, names in principal.items():
        for name in _all(names):
            if kind not in _PRINCIPALS or not isinstance(name, str) or not _PRINCIPALS[kind].fullmatch(name):
                return f'"{kind.upper()}":"{name}"'
    return None


def is_principal(name: str) -> bool:
    """Whether a function's policy may name it: an account, a role or user, or a service."""
    return any(_PRINCIPALS[kind].fullmatch(name) for kind in ("AWS", "Service"))


def _bad_action(statement: dict) -> str | None:
    for action in _all(statement.get("Action", statement.get("NotAction", []))):
        vendor, _, name = action.partition(":")
        if action != "*" and not name:
            return NO_VENDOR
        if ":" in name:
            return "Actions/Condition can contain only one colon."
        if not re.fullmatch(r"[a-zA-Z0-9.*-]+", vendor):
            return f"Vendor {vendor} is not valid"
    return NO_VENDOR if any(":" not in key for _, keys in _conditions(statement) for key in keys) else None


def _bad_resource(statement: dict) -> str | None:
    for resource in _all(statement.get("Resource", statement.get("NotResource", []))):
        if resource == "*":
            continue
        parts = resource.split(":")
        if parts[0] != "arn":
            return f'Resource {resource} must be in ARN format or "*".'
        if len(parts) > 1 and not re.fullmatch(r"aws[a-z-]*|\*", parts[1]):
            return f'Partition "{parts[1]}" is not valid for resource "{resource}".'
        if len(parts) < 6 and "*" not in resource:
            return "The policy failed legacy parsing"
        if len(parts) > 5 and parts[2] == "s3" and parts[3] not in ("", "*"):
            return f"Resource {resource} can not contain region information."
    return None


def identity_fault(document: object) -> str | None:
    """Why IAM does not take a policy of an identity; ``None``: it does."""
    statements = _statements(document)
    if statements is None or _version(document) not in VERSIONS or any(map(_misshapen, statements)):
        return SYNTAX
    if _version(document) != VERSIONS[1]:
        return "Policy document must be version 2012-10-17 or greater."
    sids = [one["Sid"] for one in statements if one.get("Sid")]
    if len(sids) != len(set(sids)):
        return "Statement IDs (SID) in a single policy must be unique."
    for statement in statements:
        if "Principal" in statement or "NotPrincipal" in statement:
            return "Policy document should not specify a principal."
        for what in ("Action", "Resource"):
            if not statement.get(what) and not statement.get(f"Not{what}") and statement.get(what) != "":
                return f"Policy statement must contain {what.lower()}s."
        if fault := _bad_resource(statement) or _bad_action(statement):
            return fault
    return None


def trust_fault(document: object) -> str | None:
    """Why IAM does not take a role's trust policy."""
    statements = _statements(document)
    if statements is None or _version(document) not in VERSIONS or any(map(_misshapen, statements)):
        return SYNTAX
    for statement in statements:
        for prohibited in ("Resource", "NotResource"):
            if prohibited in statement:
                return f"Has prohibited field {prohibited}"
        for required in ("Principal", "Action"):
            if required not in statement and f"Not{required}" not in statement:
                return f"Missing required field {required}"
        if "Principal" in statement and (told := bad_principal(statement)):
            return f"Invalid principal in policy: {told}"
        actions = _all(statement.get("Action", []))
        if not all(action.lower().startswith("sts:") for action in actions):
            return "AssumeRole policy may only specify STS AssumeRole actions."
    return None


def bucket_fault(document: object, bucket: str) -> str | None:
    """Why S3 does not take a bucket's policy."""
    statements = _statements(document)
    if statements is None:
        return "Invalid policy syntax."
    own = re.compile(rf"arn:aws[a-z-]*:s3:::{re.escape(bucket)}(/.*)?")
    for statement in statements:
        if "NotPrincipal" not in statement and ("Principal" not in statement or bad_principal(statement)):
            return "Invalid principal in policy"
        if not all(action == "*" or action.startswith("s3:") for action in _all(statement.get("Action", "*"))):
            return "Policy has invalid action"
        if not all(own.fullmatch(resource) for resource in _all(statement.get("Resource", []))):
            return "Policy has invalid resource"
        if operator := unknown_operator(statement):
            return f"Invalid Condition type : {operator}"
    return None


def _checked(handler: Callable, fault: Callable[[dict], str | None]) -> Callable:
    """A handler of a stack's resource that first looks at the properties, which come before the stack's name."""
    def check(*given: object) -> object:
        properties = [one for one in given if isinstance(one, dict)][-1]
        if told := fault(properties):
            raise ValueError(told)
        return handler(*given)
    return check


def _role(properties: dict) -> str | None:
    faults = [trust_fault(properties.get("AssumeRolePolicyDocument"))]
    faults += [identity_fault(policy.get("PolicyDocument")) for policy in properties.get("Policies") or []]
    told = next((fault for fault in faults if fault), None)
    return told and f"{told} (Service: Iam, Status Code: 400)"


def _managed(properties: dict) -> str | None:
    told = identity_fault(properties.get("PolicyDocument"))
    return told and f"{told} (Service: Iam, Status Code: 400)"


def _bucket(properties: dict) -> str | None:
    told = bucket_fault(properties.get("PolicyDocument"), properties.get("Bucket", ""))
    return told and f"{told} (Service: S3, Status Code: 400)"


def install() -> None:
    not_principal, put_bucket_policy = iam._trust_policy_not_principal_error, s3._put_bucket_policy

    def of_bucket(name: str, body: bytes, *more: object) -> tuple:
        text = body.decode("utf-8", "replace")
        told = _statements(text) and bucket_fault(text, name)  # what is no policy at all has words of its own
        return s3._error("MalformedPolicy", told, 400, f"/{name}") if told else put_bucket_policy(name, body, *more)

    iam_evaluator.validate_policy_document = identity_fault
    iam._trust_policy_not_principal_error = lambda document: not_principal(document) or trust_fault(document)
    s3._put_bucket_policy = of_bucket
    for kind, fault in (("AWS::IAM::Role", _role), ("AWS::IAM::Policy", _managed),
                        ("AWS::IAM::ManagedPolicy", _managed), ("AWS::S3::BucketPolicy", _bucket)):
        handlers[kind] = handlers[kind] | {
            doing: _checked(handlers[kind][doing], fault) for doing in ("create", "update")}
