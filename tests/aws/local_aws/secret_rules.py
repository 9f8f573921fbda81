"""The rules of Secrets Manager: tokens, values, staging labels. Pure; it knows no server.

A version is MiniStack's own record, ``{SecretString, SecretBinary, CreatedDate, Stages}``, so that the
rest of MiniStack (dynamic references, resource policies) reads what these rules wrote.
"""

from __future__ import annotations

import copy
import re
import secrets
import threading
import time
import uuid

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
MOST_LABELS = 20  # over all the versions of a secret
MOST_VERSIONS = 100
MOST_BYTES = 65_536
_changing = threading.RLock()
_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$")


class Refused(Exception):
    """An error as AWS answers it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Refused("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, "
                      "or any of the following: -/_+=.@!")


def check_id(secret_id: str) -> None:
    """A request names a secret by its ARN or by a name; a name is checked before it is looked for."""
    if not secret_id.startswith("arn:"):
        check_name(secret_id)


def names(secret_id: str, arn: str) -> bool:
    """Whether an ARN, whole or without its suffix, names the secret with this one.

    An ARN that ends as if it had its suffix is taken for whole: so a secret whose name ends in a hyphen and six
    characters is not found by its ARN without the suffix.
    """
    return secret_id == arn or (secret_id == _SUFFIX.sub("", arn) and not _SUFFIX.search(secret_id))


def new_token() -> str:
    """A version id as CloudFormation makes it: it looks like a UUID, and is of no version of UUIDs."""
    return str(uuid.UUID(bytes=secrets.token_bytes(16)))


def check_token(token: str | None, missing: str = "InvalidRequestException") -> str:
    """The version id a request's token stands for. The SDKs add one; a request without one is refused."""
    if token is None:
        raise Refused(missing, "You must provide a ClientRequestToken value. We recommend a UUID-type value.")
    if not 32 <= len(token) <= 64:
        raise Refused("ValidationException", "1 validation error detected: Value at 'clientRequestToken' failed to "
                      "satisfy constraint: Member must have length between 32 and 64")
    return token


def check_value(data: dict) -> tuple[str | None, str | None]:
    """``(SecretString, SecretBinary)`` of a request; both None where it brings none."""
    text, binary = data.get("SecretString"), data.get("SecretBinary")
    if text is not None and binary is not None:
        raise Refused("InvalidParameterException", "You can't specify both a binary secret value and a string "
                      "secret value in the same secret.")
    if text is not None and not text:
        raise Refused("ValidationException", "1 validation error detected: Value at 'secretString' failed to satisfy "
                      "constraint: Member must have length greater than or equal to 1")
    size = len((text or "").encode()) or len(binary or "") * 3 // 4
    if size > MOST_BYTES:
        raise Refused("ValidationException", "1 validation error detected: Value at 'secretString' failed to satisfy "
                      f"constraint: Member must have length less than or equal to {MOST_BYTES}")
    return text, binary


def check_labels(labels: list[str]) -> None:
    if not 1 <= len(labels) <= MOST_LABELS:
        raise Refused("ValidationException", "1 validation error detected: Value at 'versionStages' failed to satisfy "
                      "constraint: Member must have length between 1 and 20")
    for label in labels:
        check_label(label)


def check_label(label: str) -> None:
    if not 1 <= len(label) <= 256:
        raise Refused("ValidationException", "1 validation error detected: Value at 'versionStage' failed to satisfy "
                      "constraint: Member must have length between 1 and 256")


def matches(secret: dict, key: str, value: str) -> bool:
    """One value of a ListSecrets filter: a prefix; ``!`` at its front turns it round.

    A name and a tag begin with the value as it is. A description, and everything under ``all``, is compared word by
    word without regard to case: each word of the value begins some word of it.
    """
    negated, value = value.startswith("!"), value.removeprefix("!")
    tags = secret.get("Tags", [])
    texts = {
        "name": [secret["Name"]],
        "description": [secret.get("Description") or ""],
        "tag-key": [tag["Key"] for tag in tags],
        "tag-value": [tag["Value"] for tag in tags],
    }
    if key in ("description", "all"):
        chosen = texts[key] if key in texts else [text for group in texts.values() for text in group]
        words = [word for text in chosen for word in text.lower().split()]
        found = all(any(word.startswith(part) for word in words) for part in value.lower().split())
    else:
        found = any(text.startswith(value) for text in texts.get(key, []))
    return found != negated


def has_value(version: dict) -> bool:
    return version.get("SecretString") is not None or version.get("SecretBinary") is not None


def holder(versions: dict, label: str) -> str | None:
    return next((vid for vid, version in versions.items() if label in version["Stages"]), None)


def labels(versions: dict) -> dict[str, list[str]]:
    """The labelled versions: a version without a label is deprecated and not shown."""
    return {vid: list(version["Stages"]) for vid, version in versions.items() if version["Stages"]}


def _attach(versions: dict, label: str, to: str) -> None:
    """A label is on one version only. Moving AWSCURRENT leaves AWSPREVIOUS where it was."""
    held = holder(versions, label)
    if held == to:
        return
    if held is not None:
        versions[held]["Stages"].remove(label)
    versions[to]["Stages"].append(label)
    if label == CURRENT and held is not None:
        _attach(versions, PREVIOUS, held)


def _new_version(versions: dict, vid: str) -> None:
    if len(versions) >= MOST_VERSIONS:
        raise Refused("LimitExceededException", f"You can't have more than {MOST_VERSIONS} versions of a secret.")
    versions[vid] = {"SecretString": None, "SecretBinary": None, "CreatedDate": time.time(), "Stages": []}


class Change:
    """A change of a secret's versions: made whole, or, where it is refused, not at all."""

    def __init__(self, secret: dict) -> None:
        self._secret = secret
        self.versions: dict = {}

    def __enter__(self) -> dict:
        _changing.acquire()
        self.versions = copy.deepcopy(self._secret["Versions"])
        return self.versions

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            _changing.release()

    def _commit(self) -> None:
        if sum(len(version["Stages"]) for version in self.versions.values()) > MOST_LABELS:
            raise Refused("LimitExceededException",
                          f"The request failed because it would exceed the limit of {MOST_LABELS} staging labels.")
        if self.versions != self._secret["Versions"]:
            self._secret["Versions"] = self.versions
            self._secret["LastChangedDate"] = time.time()


def put(secret: dict, token: str, text: str | None, binary: str | None, stages: list[str] | None) -> str:
    """``PutSecretValue``, and what ``CreateSecret`` and ``UpdateSecret`` do with a value."""
    if text is None and binary is None:
        raise Refused("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
    if stages is not None:
        check_labels(stages)
    with Change(secret) as versions:
        version = versions.get(token)
        if version is not None and has_value(version):
            if (version["SecretString"], version["SecretBinary"]) == (text, binary):
                return token
            raise Refused("ResourceExistsException", "You can't use ClientRequestToken "
                          f"{token} because that value is already in use for a version of secret {secret['ARN']}.")
        if version is None:
            _new_version(versions, token)
        versions[token].update(SecretString=text, SecretBinary=binary)
        asked = stages if stages is not None else [CURRENT]
        current = holder(versions, CURRENT)
        if CURRENT in asked and current not in (None, token) and PENDING in versions[current]["Stages"]:
            versions[current]["Stages"].remove(PENDING)  # no document says so: it was recorded from AWS
        for label in asked:
            _attach(versions, label, token)
        if holder(versions, CURRENT) is None:
            _attach(versions, CURRENT, token)  # the first version with a value, whatever was asked for
    return token


def begin_rotation(secret: dict, token: str) -> None:
    """The empty version with AWSPENDING that Secrets Manager makes before it calls the function."""
    with Change(secret) as versions:
        held = holder(versions, PENDING)
        if held is not None and held != holder(versions, CURRENT):
            raise Refused("InvalidRequestException",
                          "A previous rotation isn't complete. That rotation will be reattempted.")
        if token not in versions:
            _new_version(versions, token)
        _attach(versions, PENDING, token)


def move(secret: dict, label: str, to: str | None, remove_from: str | None) -> None:
    """``UpdateSecretVersionStage``."""
    check_label(label)
    if to is None and remove_from is None:
        raise Refused("InvalidParameterException", "You must specify RemoveFromVersionId or MoveToVersionId.")
    with Change(secret) as versions:
        for vid in filter(None, (to, remove_from)):
            if vid not in versions:
                raise Refused("ResourceNotFoundException",
                              f"Secrets Manager can't find the specified secret value for VersionId: {vid}.")
        held = holder(versions, label)
        if remove_from is not None and remove_from != held:
            raise Refused("InvalidParameterException",
                          f"The parameter RemoveFromVersionId can't be {remove_from}. Staging label {label} is "
                          f"currently {'not attached' if held is None else 'attached to version ' + held}.")
        if to is None:
            if label == CURRENT:
                raise Refused("InvalidParameterException", "You can only move staging label AWSCURRENT to a different "
                              "secret version. It can't be completely removed.")
            versions[remove_from]["Stages"].remove(label)
        elif held not in (None, to) and remove_from is None:
            raise Refused("InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. Staging "
                          f"label {label} is currently attached to version {held}, so you must explicitly reference "
                          "that version in RemoveFromVersionId.")
        else:
            _attach(versions, label, to)


def read(secret: dict, vid: str | None, label: str | None) -> tuple[str, dict]:
    """``GetSecretValue``: the version asked for, if it has a value."""
    versions = secret["Versions"]
    found = vid or holder(versions, label or CURRENT)
    version = versions.get(found)
    if version is None or not has_value(version):
        wanted = f"VersionId: {vid}" if vid else f"staging label: {label or CURRENT}"
        raise Refused("ResourceNotFoundException",
                      f"Secrets Manager can't find the specified secret value for {wanted}")
    if vid and label and label not in version["Stages"]:
        raise Refused("InvalidRequestException", "You provided a VersionStage that is not associated to the provided "
                      "VersionId.")
    return found, version
