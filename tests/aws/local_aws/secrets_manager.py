"""Secrets Manager's API over the rules; installed in place of MiniStack's handlers."""

from __future__ import annotations

import base64
import copy
import json
import secrets
import string
import threading
import time
from collections.abc import Callable

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import secretsmanager as base

from . import rotation
from . import secret_rules as rules
from .secret_rules import Refused

_ALPHABET = string.ascii_letters + string.digits
_lock = threading.RLock()
_frozen: list[dict] | None = None


def resolve(secret_id: str | None, *, use_arn_scope: bool = False) -> tuple[str | None, dict | None]:
    """In place of MiniStack's, which takes any beginning of an ARN for the whole: ``(key, secret)`` or two None."""
    if not (secret_id or "").startswith("arn:"):
        return (secret_id, base._secrets[secret_id]) if secret_id in base._secrets else (None, None)
    scope = base._secret_scope_from_arn(secret_id)
    if not scope or scope[0].account_id != get_account_id():
        return None, None
    if not use_arn_scope and scope[0].region != get_region():
        return None, None
    candidates = base._secrets.items_scoped(scope[0].account_id, scope[0].region) if use_arn_scope \
        else base._secrets.items()
    return next(((key, secret) for key, secret in candidates if rules.names(secret_id, secret["ARN"])), (None, None))


def find(secret_id: str | None, *, deleted: bool = False) -> dict:
    """The secret a request names, by name or (partial) ARN."""
    _, secret = base._resolve(secret_id)
    if secret is None:
        raise Refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    if secret.get("DeletedDate") and not deleted:
        raise Refused("InvalidRequestException", "You can't perform this operation on the secret because it was "
                      "marked for deletion.")
    return secret


def new_secret(name: str, **fields: object) -> dict:
    """An empty secret: it has no versions."""
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(6))
    now = time.time()
    secret = {
        "ARN": f"arn:aws:secretsmanager:{get_region()}:{get_account_id()}:secret:{name}-{suffix}",
        "Name": name, "Description": "", "CreatedDate": now, "LastChangedDate": now,
        "LastAccessedDate": None, "DeletedDate": None, "RotationEnabled": False, "RotationLambdaARN": None,
        "RotationRules": None, "LastRotatedDate": None, "KmsKeyId": None, "ReplicationStatus": [], "Versions": {},
    } | fields
    if not secret.get("Tags"):
        secret.pop("Tags", None)  # a secret that never had tags shows none; one that lost them shows an empty list
    base._secrets[name] = secret
    return secret


def _named(secret: dict, **more: object) -> dict:
    return {"ARN": secret["ARN"], "Name": secret["Name"]} | more


def create_secret(data: dict) -> dict:
    name = data.get("Name") or ""
    rules.check_name(name)
    token = rules.check_token(data.get("ClientRequestToken"))
    text, binary = rules.check_value(data)
    existing = base._secrets.get(name)
    if existing is not None:
        if existing.get("DeletedDate"):
            raise Refused("InvalidRequestException", "You can't create this secret because a secret with this name is "
                          "already scheduled for deletion.")
        version = existing["Versions"].get(token)
        if version and (version["SecretString"], version["SecretBinary"]) == (text, binary):
            return _named(existing, VersionId=token)
        raise Refused("ResourceExistsException",
                      f"The operation failed because the secret {name} already exists.")
    secret = new_secret(name, Description=data.get("Description", ""), Tags=list(data.get("Tags") or []),
                        KmsKeyId=data.get("KmsKeyId"))
    if text is None and binary is None:
        return _named(secret)
    rules.put(secret, token, text, binary, None)
    base._emit_secret_label_updated(secret, rules.CURRENT, token)
    return _named(secret, VersionId=token)


def put_secret_value(data: dict) -> dict:
    token = rules.check_token(data.get("ClientRequestToken"))
    text, binary = rules.check_value(data)
    secret = find(data.get("SecretId"))
    rules.put(secret, token, text, binary, data.get("VersionStages"))
    return _named(secret, VersionId=token, VersionStages=list(secret["Versions"][token]["Stages"]))


def update_secret(data: dict) -> dict:
    token = rules.check_token(data.get("ClientRequestToken"))
    text, binary = rules.check_value(data)
    secret = find(data.get("SecretId"))
    secret.update({key: data[key] for key in ("Description", "KmsKeyId") if key in data})
    secret["LastChangedDate"] = time.time()
    if text is None and binary is None:
        return _named(secret)
    rules.put(secret, token, text, binary, [rules.CURRENT])
    return _named(secret, VersionId=token)


def update_secret_version_stage(data: dict) -> dict:
    secret = find(data.get("SecretId"))
    rules.move(secret, data.get("VersionStage") or "", data.get("MoveToVersionId"), data.get("RemoveFromVersionId"))
    return _named(secret)


def get_secret_value(data: dict) -> dict:
    secret = find(data.get("SecretId"))
    vid, version = rules.read(secret, data.get("VersionId"), data.get("VersionStage"))
    secret["LastAccessedDate"] = version["LastAccessedDate"] = int(time.time()) // 86400 * 86400
    value = {key: version[key] for key in ("SecretString", "SecretBinary") if version.get(key) is not None}
    return _named(secret, VersionId=vid, VersionStages=list(version["Stages"]),
                  CreatedDate=version["CreatedDate"], **value)


_SHOWN = ("Description", "KmsKeyId", "RotationLambdaARN", "RotationRules", "LastRotatedDate", "LastChangedDate",
          "LastAccessedDate", "CreatedDate", "NextRotationDate")


def _shown(secret: dict) -> dict:
    """What Describe and List have in common: nothing of a value."""
    entry = _named(secret) | ({"Tags": secret["Tags"]} if "Tags" in secret else {})
    entry |= {key: secret[key] for key in _SHOWN if secret.get(key) not in (None, "")}
    if secret.get("DeletedDate"):
        entry["DeletedDate"] = secret["DeletedDate"]
    if secret.get("RotationLambdaARN"):
        entry["RotationEnabled"] = secret.get("RotationEnabled", False)
    return entry


def describe_secret(data: dict) -> dict:
    secret = find(data.get("SecretId"), deleted=True)
    entry = _shown(secret) | {"VersionIdsToStages": rules.labels(secret["Versions"])}
    if not entry["VersionIdsToStages"]:
        del entry["VersionIdsToStages"]
    return entry


def _page(data: dict, items: list, most: int = 100) -> tuple[list, dict]:
    size = data.get("MaxResults") or most
    if not 1 <= size <= most:
        raise Refused("ValidationException", "1 validation error detected: Value at 'maxResults' failed to satisfy "
                      f"constraint: Member must have value between 1 and {most}")
    try:
        start = int(base64.b64decode(data.get("NextToken") or "MA=="))
    except ValueError:
        raise Refused("InvalidNextTokenException", "The NextToken value is invalid.") from None
    more = {"NextToken": base64.b64encode(str(start + size).encode()).decode()} if start + size < len(items) else {}
    return items[start:start + size], more


def list_secrets(data: dict) -> dict:
    known = [secret for _, secret in sorted(base._secrets.items())] if _frozen is None else _frozen
    chosen = [secret for secret in known
              if data.get("IncludePlannedDeletion") or not secret.get("DeletedDate")]
    for number, condition in enumerate(data.get("Filters") or [], start=1):
        if len(condition.get("Values", [])) > 10:
            raise Refused("ValidationException", f"1 validation error detected: Value at 'filters.{number}.member."
                          "values' failed to satisfy constraint: Member must have length less than or equal to 10")
        chosen = [secret for secret in chosen
                  if any(rules.matches(secret, condition["Key"], value) for value in condition.get("Values", []))]
    page, more = _page(data, chosen)
    entries = [_shown(secret) | {"SecretVersionsToStages": rules.labels(secret["Versions"])} for secret in page]
    return {"SecretList": entries} | more


def freeze_list(frozen: bool) -> None:
    """For tests: ListSecrets may lag by minutes. Frozen, it goes on showing what there is now."""
    global _frozen
    _frozen = copy.deepcopy([secret for _, secret in sorted(base._secrets.items())]) if frozen else None


def list_secret_version_ids(data: dict) -> dict:
    secret = find(data.get("SecretId"))
    versions = [{"VersionId": vid, "CreatedDate": version["CreatedDate"],
                 "KmsKeyIds": [secret.get("KmsKeyId") or "DefaultEncryptionKey"]}
                | ({"LastAccessedDate": version["LastAccessedDate"]} if "LastAccessedDate" in version else {})
                | ({"VersionStages": list(version["Stages"])} if version["Stages"] else {})
                for vid, version in secret["Versions"].items()
                if version["Stages"] or data.get("IncludeDeprecated")]
    page, more = _page(data, versions)
    return _named(secret, Versions=page) | more


def rotate_secret(data: dict) -> dict:
    token = rules.check_token(data.get("ClientRequestToken"), missing="InvalidParameterException")
    return rotation.rotate(find(data.get("SecretId")), token, data)


def cancel_rotate_secret(data: dict) -> dict:
    return rotation.cancel(find(data.get("SecretId")))


def retry_rotation(data: dict) -> bool:
    """For tests: what the service does by itself some time after a rotation failed."""
    return rotation.retry(find(data.get("SecretId")))


HANDLERS: dict[str, Callable[[dict], dict]] = {
    "CreateSecret": create_secret,
    "PutSecretValue": put_secret_value,
    "UpdateSecret": update_secret,
    "UpdateSecretVersionStage": update_secret_version_stage,
    "GetSecretValue": get_secret_value,
    "DescribeSecret": describe_secret,
    "ListSecrets": list_secrets,
    "ListSecretVersionIds": list_secret_version_ids,
    "RotateSecret": rotate_secret,
    "CancelRotateSecret": cancel_rotate_secret,
}


_UNMODELLED = {"ValidationException", "AccessDeniedException"}  # these say ``message``, all others ``Message``


def _error(refused: Refused) -> tuple:
    key = "message" if refused.code in _UNMODELLED else "Message"
    return error_response_json(refused.code, refused.message, 400, message_key=key)


def _as_modelled(answered: tuple) -> tuple:
    """An error of MiniStack's own handlers, with its message under the key that the service uses."""
    status, _, body = answered
    if status < 400:
        return answered
    error = json.loads(body)
    return _error(Refused(error["__type"].rpartition("#")[2], error.get("message", "")))


def answer(operation: str, data: dict) -> tuple:
    try:
        with _lock:
            return json_response(HANDLERS[operation](data))
    except Refused as refused:
        return _error(refused)


def _store_new_secret(name: str, secret_string: str | None = None, secret_binary: str | None = None,
                      description: str = "", tags: list | None = None, kms_key_id: str | None = None,
                      rotation_lambda_arn: str | None = None, rotation_rules: dict | None = None) -> tuple[str, str]:
    """MiniStack's own way in, for other services that make a secret."""
    secret = new_secret(name, Description=description, Tags=list(tags or []), KmsKeyId=kms_key_id)
    return secret["ARN"], rules.put(secret, rules.new_token(), secret_string, secret_binary, None)


def install() -> None:
    theirs = base.handle_request

    async def handle_request(method: str, path: str, headers: dict, body: bytes, query: dict) -> tuple:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        data = json.loads(body or b"{}")
        try:
            if data.get("SecretId"):
                rules.check_id(data["SecretId"])
        except Refused as refused:
            return _error(refused)
        if operation not in HANDLERS:
            return _as_modelled(await theirs(method, path, headers, body, query))
        return answer(operation, data)

    base._resolve = resolve
    base.handle_request = handle_request
    base._store_new_secret = _store_new_secret
    base._get_secret_value = lambda data: answer("GetSecretValue", data)  # BatchGetSecretValue reads through it
    # CloudFormation updates through it, and asks with no token
    base._update_secret = lambda data: answer("UpdateSecret", {"ClientRequestToken": rules.new_token()} | data)
