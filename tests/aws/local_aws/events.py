"""EventBridge where MiniStack takes what AWS was recorded to refuse."""

from __future__ import annotations

import json
import re

from ministack.core.responses import error_response_json, json_response
from ministack.services import eventbridge

_MOST_BYTES = 256 * 1024  # of all entries of a request together
_MOST_ENTRIES, _MOST_TARGETS, _MOST_OF_AN_ID = 10, 5, 64
_REQUIRED = "Source", "DetailType", "Detail"
_ID = re.compile(r"[\.\-_A-Za-z0-9]+")


def _refused(message: str, code: str = "ValidationException") -> tuple:
    return error_response_json(code, message, 400)


def _size(entry: dict) -> int:
    texts = [entry.get(key) or "" for key in _REQUIRED] + list(entry.get("Resources") or [])
    return sum(len(text.encode()) for text in texts) + (14 if entry.get("Time") else 0)


def _shown(entry: dict) -> str:
    """An entry as the service prints it in an error."""
    fields = {"time": "Time", "source": "Source", "resources": "Resources", "detailType": "DetailType",
              "detail": "Detail", "eventBusName": "EventBusName", "traceHeader": "TraceHeader",
              "kmsKeyIdentifier": "", "internalMetadata": ""}
    shown = ", ".join(f"{name}={entry.get(key, 'null')}" for name, key in fields.items())
    return f"PutEventsRequestEntry({shown})"


def _fault(entry: dict) -> dict | None:
    for parameter in _REQUIRED:
        if not entry.get(parameter):
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": f"Parameter {parameter} is not valid. Reason: "
                    f"{parameter} is a required argument."}
    try:
        whole = isinstance(json.loads(entry["Detail"]), dict)
    except ValueError:
        whole = False
    return None if whole else {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}


def _unsuitable(target: dict, number: int) -> str | None:
    told = None
    if not _ID.fullmatch(target["Id"]):
        told = rf"Member must satisfy regular expression pattern: {_ID.pattern}"
    elif len(target["Id"]) > _MOST_OF_AN_ID:
        told = f"Member must have length less than or equal to {_MOST_OF_AN_ID}"
    return told and (f"1 validation error detected: Value '{target['Id']}' at 'targets.{number}.member.id' failed to "
                     f"satisfy constraint: {told}")


def _worded(answer: tuple, then: str, now: str) -> tuple:
    """An error in the words of the service."""
    status, headers, body = answer
    if status < 400:
        return answer
    error = json.loads(body)
    error["message"] = re.sub(then, now, error["message"])
    return status, headers, json.dumps(error).encode()


def install() -> None:
    put_events, put_targets, delete_rule = eventbridge._put_events, eventbridge._put_targets, eventbridge._delete_rule
    describe_rule, describe_bus = eventbridge._describe_rule, eventbridge._describe_event_bus

    def events(data: dict, allow_aws_source: bool = False) -> tuple:
        entries = data.get("Entries", [])
        if len(entries) > _MOST_ENTRIES:
            shown = ", ".join(_shown(entry) for entry in entries)
            return _refused(f"1 validation error detected: Value '[{shown}]' at 'entries' failed to satisfy "
                            f"constraint: Member must have length less than or equal to {_MOST_ENTRIES}")
        if sum(_size(entry) for entry in entries) > _MOST_BYTES:
            return _refused("Total size of the entries in the request is over the limit.")
        results, failed = [], 0
        for entry in entries:
            fault = _fault(entry)
            if fault is None:
                _, _, body = put_events(data | {"Entries": [entry]}, allow_aws_source)
                answer = json.loads(body)
                failed += answer["FailedEntryCount"]
                results += answer["Entries"]
            else:
                failed += 1
                results.append(fault)
        return json_response({"FailedEntryCount": failed, "Entries": results})

    def targets(data: dict) -> tuple:
        given = data.get("Targets", [])
        for number, target in enumerate(given, 1):
            if told := _unsuitable(target, number):
                return _refused(told)
        key = eventbridge._rule_key(data.get("Rule"), data.get("EventBusName", "default"))
        ids = {target["Id"] for target in eventbridge._targets.get(key, [])} | {target["Id"] for target in given}
        if len(ids) > _MOST_TARGETS:
            return _refused("The requested resource exceeds the maximum number allowed.", "LimitExceededException")
        return put_targets(data)

    def without_targets(data: dict) -> tuple:
        key = eventbridge._rule_key(data.get("Name"), data.get("EventBusName", "default"))
        if eventbridge._targets.get(key):
            return _refused("Rule can't be deleted since it has targets.")
        return delete_rule(data)

    def rule(data: dict) -> tuple:
        bus = data.get("EventBusName", "default")
        return _worded(describe_rule(data), r"does not exist\.$", f"does not exist on EventBus {bus}.")

    def bus(data: dict) -> tuple:
        return _worded(describe_bus(data), r" not found$", " does not exist.")

    eventbridge._put_events, eventbridge._put_targets, eventbridge._delete_rule = events, targets, without_targets
    eventbridge._describe_rule, eventbridge._describe_event_bus = rule, bus
