"""Whether a request is one that the service would read: held against botocore's models of the services' own API.

botocore checks a client's parameters for what is missing, unknown or of another type. Lengths, patterns and values
that the models name are checked here, for botocore leaves these to the service.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote

import botocore.loaders
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

_S3 = {("PUT", True): "PutObject", ("GET", True): "GetObject", ("HEAD", True): "HeadObject",
       ("DELETE", True): "DeleteObject", ("GET", False): "ListObjectsV2"}


@functools.cache
def _model(service: str) -> ServiceModel:
    return ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"), service)


def problems(service: str, operation: str, scope: dict, body: bytes) -> list[str]:
    """What the service would refuse in this request before it looks at anything else; nothing if it is valid."""
    model = _model(service)
    if service == "s3":
        operation, parameters = _of_s3(model, scope)
        if not operation:
            return [f"S3: {scope['method']} of {scope['path']} is no request that is known here"]
    elif operation not in model.operation_names:
        return [f"{service} has no operation {operation!r}"]
    else:
        headers = {name.lower() for name, _ in scope["headers"]}
        try:
            shape = model.operation_model(operation).input_shape
            parameters = (_of_json(shape, json.loads(body or b"{}")) if b"x-amz-target" in headers
                          else _of_query(shape, parse_qs(body.decode(), keep_blank_values=True)))
        except (ValueError, AttributeError, TypeError) as error:
            return [f"{service} {operation}: the body cannot be read: {error}"]
    shape = model.operation_model(operation).input_shape
    if shape is None:
        return []
    report = ParamValidator().validate(parameters, shape)
    found = report.generate_report().splitlines() if report.has_errors() else []
    if service == "s3":
        # Bodies of S3 are XML or an object, and are not read here.
        bodies = [name for name, member in shape.members.items() if "location" not in member.serialization]
        found = [line for line in found if not any(f'Missing required parameter in input: "{name}"' == line
                                                   for name in bodies)]
    return [f"{service} {operation}: {one}" for one in [*found, *_constraints(shape, parameters, "")]]


def _of_json(shape: Shape, value: Any) -> Any:
    """Parameters as a client gives them: blobs are bytes, not base64."""
    if value is None:
        return None
    match shape.type_name:
        case "structure":
            known = shape.members
            return {name: _of_json(known[name], part) if name in known else part
                    for name, part in value.items() if part is not None}
        case "list":
            return [_of_json(shape.member, part) for part in value]
        case "map":
            return {name: _of_json(shape.value, part) for name, part in value.items()}
        case "blob":
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error as error:
                raise ValueError(f"not base64: {error}") from error
    return value


def _of_query(shape: Shape, form: dict[str, list[str]], prefix: str = "") -> Any:
    """Parameters from a form, as the query protocol lays them out."""
    match shape.type_name:
        case "structure":
            found = {name: _of_query(member, form, f"{prefix}.{name}".lstrip("."))
                     for name, member in shape.members.items()}
            known = {name: value for name, value in found.items() if value is not None}
            unknown = {} if prefix else {name: form[name][0] for name in form if name not in ("Action", "Version")
                                         and name.partition(".")[0] not in shape.members}
            return known | unknown or (None if prefix else {})
        case "list":
            return _numbered(shape.member, form, f"{prefix}.member") or None
        case "map":
            keys = _numbered(shape.key, form, f"{prefix}.entry", ".key")
            values = _numbered(shape.value, form, f"{prefix}.entry", ".value")
            return dict(zip(keys, values, strict=True)) or None
    text = form.get(prefix, [None])[0]
    if text is None:
        return None
    match shape.type_name:
        case "integer" | "long":
            return int(text)
        case "boolean":
            return text == "true"
        case "blob":
            return base64.b64decode(text)
    return text


def _numbered(shape: Shape, form: dict, prefix: str, suffix: str = "") -> list:
    found = []
    while (value := _of_query(shape, form, f"{prefix}.{len(found) + 1}{suffix}")) is not None:
        found.append(value)
    return found


def _s3_operation(model: ServiceModel, method: str, key: bool, query: dict) -> str:
    """The operation that a request is of: by the subresources that its query names, else one of the usual."""
    best = (0, _S3.get((method, key), ""))
    for name in model.operation_names:
        http = model.operation_model(name).http
        path, _, fixed = http["requestUri"].partition("?")
        named = [part.partition("=")[0] for part in fixed.split("&") if part]
        if http["method"] == method and ("{Key+}" in path) == key and all(part in query for part in named):
            best = max(best, (len(named), name)) if named else best
    return best[1]


def _of_s3(model: ServiceModel, scope: dict) -> tuple[str, dict]:
    bucket, _, key = unquote(scope["path"]).lstrip("/").partition("/")
    query = parse_qs(scope.get("query_string", b"").decode(), keep_blank_values=True)
    operation = _s3_operation(model, scope["method"], bool(key), query)
    if not operation:
        return "", {}
    headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
    parameters: dict[str, Any] = {"Bucket": bucket} | ({"Key": key} if key else {})
    for name, member in model.operation_model(operation).input_shape.members.items():
        where, wire = member.serialization.get("location"), member.serialization.get("name", "")
        text = headers.get(wire.lower()) if where == "header" else query.get(wire, [None])[0]
        if where in ("header", "querystring") and text is not None:
            # What is no text has been given as one by the client, and S3 reads it itself.
            parameters[name] = {"integer": int, "long": int, "boolean": lambda text: text == "true"}.get(
                member.type_name, str)(text)
    return operation, parameters


def _constraints(shape: Shape, value: Any, path: str) -> Iterator[str]:
    limits = shape.metadata
    match shape.type_name:
        case "structure":
            for name, part in (value.items() if isinstance(value, dict) else ()):
                if name in shape.members:
                    yield from _constraints(shape.members[name], part, f"{path}.{name}".lstrip("."))
            return
        case "list":
            for number, part in enumerate(value if isinstance(value, list) else ()):
                yield from _constraints(shape.member, part, f"{path}[{number}]")
        case "map":
            for name, part in (value.items() if isinstance(value, dict) else ()):
                yield from _constraints(shape.key, name, f"{path} key")
                yield from _constraints(shape.value, part, f"{path}.{name}")
        case "string":
            # A value may be secret: only its length is told.
            if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
                yield f"{path}: not one of {', '.join(shape.metadata['enum'])}"
            pattern = limits.get("pattern")
            if pattern and _python(pattern).fullmatch(value) is None:
                yield f"{path}: does not match {pattern}"
    if shape.type_name in ("string", "blob", "list", "map") and hasattr(value, "__len__"):
        size, most = len(value), limits.get("max")
        if most is not None and size > most:
            yield f"{path}: {size} long, where {most} is the most"
    if shape.type_name in ("integer", "long") and isinstance(value, int):
        most = limits.get("max")
        if most is not None and value > most:
            yield f"{path}: {value}, where {most} is the most"


_CLASSES = {r"\p{L}": r"\w", r"\p{N}": r"\d", r"\p{Z}": r"\s", r"\p{M}": "", r"\p{P}": r"!-/:-@\[-`{-~"}


@functools.cache
def _python(pattern: str) -> re.Pattern[str]:
    """A pattern of the models, which name classes of characters as Java does."""
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern, re.DOTALL)
