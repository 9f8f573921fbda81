"""SQS where MiniStack answers otherwise than AWS was recorded to answer."""

from __future__ import annotations

import re
import time

from ministack.services import sqs
from ministack.services.sqs import _Err as Refused

_ID = re.compile(r"[\x21-\x7e]{1,128}")
_MOST_BYTES = 1_048_576
_FIFO_ONLY = {
    "FifoQueue": "Unknown Attribute FifoQueue.",
    "ContentBasedDeduplication": "Unknown Attribute ContentBasedDeduplication.",
    "DeduplicationScope": "You can specify the DeduplicationScope only when FifoQueue is set to true.",
    "FifoThroughputLimit": "You can specify the FifoThroughputLimit only when FifoQueue is set to true.",
}


def _check_attributes(given: dict, fifo: bool) -> None:
    for attribute, told in _FIFO_ONLY.items():
        if attribute in given and not fifo:
            raise Refused("InvalidAttributeName", told)
    if str(given.get("FifoQueue", "true")).lower() == "false":
        raise Refused("InvalidAttributeValue",
                      "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.")
    if given.get("KmsMasterKeyId") and str(given.get("SqsManagedSseEnabled", "")).lower() == "true":
        raise Refused("InvalidAttributeName", "You can use one type of server-side encryption (SSE) at one time. You "
                      "can either enable KMS SSE or SQS SSE.")


def _size(message: dict) -> int:
    """What counts towards a limit: the body, and of each attribute its name, its type and its value."""
    attributes = (message.get("MessageAttributes") or {}).items()
    return len((message.get("MessageBody") or "").encode()) + sum(
        len(name.encode()) + len(value.get("DataType", "").encode()) + len((value.get("StringValue") or "").encode())
        for name, value in attributes)


def _check_message(queue: dict, message: dict, *, batch: bool) -> None:
    for parameter in ("MessageGroupId", "MessageDeduplicationId"):
        given = message.get(parameter)
        if given is not None and not _ID.fullmatch(given):
            raise Refused("InvalidParameterValue", f"Value {given} for parameter {parameter} is invalid. Reason: "
                          f"{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.")
    for attribute, value in (message.get("MessageAttributes") or {}).items():
        if value.get("DataType", "").startswith("String") and not value.get("StringValue"):
            raise Refused("InvalidParameterValue", f"Message (user) attribute '{attribute}' must contain a non-empty "
                          "value of type 'String'.")
    most = int(queue["attributes"].get("MaximumMessageSize", _MOST_BYTES))
    if not batch and _size(message) > most:
        raise Refused("InvalidParameterValue",
                      f"One or more parameters are invalid. Reason: Message must be shorter than {most} bytes.")
    if not queue["is_fifo"]:
        return
    if message.get("MessageGroupId") is None:
        raise Refused("InvalidParameterValue" if batch else "MissingParameter",
                      "The request must contain the parameter MessageGroupId.")
    if message.get("MessageDeduplicationId") is None \
            and queue["attributes"].get("ContentBasedDeduplication") != "true":
        raise Refused("InvalidParameterValue", "The queue should either have ContentBasedDeduplication enabled or "
                      "MessageDeduplicationId provided explicitly")


def _check_receipt(queue: dict, handle: str | None) -> None:
    """A FIFO queue takes no deletion by a receipt whose message is visible again."""
    for message in queue["messages"] if queue["is_fifo"] and handle else ():
        if message["receipt_handle"] == handle and message["visible_at"] <= time.time():
            raise Refused("InvalidParameterValue", f"Value {handle} for parameter ReceiptHandle is invalid. Reason: "
                          "The receipt handle has expired.")


def _check(action: str, data: dict, url: str) -> None:
    entries = data.get("Entries") or []
    if len(entries) > 10:
        raise Refused("TooManyEntriesInBatchRequest",
                      f"Maximum number of entries per request are 10. You have sent {len(entries)}.")
    match action:
        case "CreateQueue":
            _check_attributes(data.get("Attributes") or {}, str(data.get("QueueName", "")).endswith(".fifo"))
        case "SetQueueAttributes":
            _check_attributes(data.get("Attributes") or {}, sqs._get_q(url)["is_fifo"])
        case "SendMessage":
            _check_message(sqs._get_q(url), data, batch=False)
        case "SendMessageBatch":
            if (sent := sum(_size(entry) for entry in entries)) > _MOST_BYTES:
                raise Refused("BatchRequestTooLong", f"Batch requests cannot be longer than {_MOST_BYTES} bytes. You "
                              f"have sent {sent} bytes.")
            for entry in entries:
                _check_message(sqs._get_q(url), entry, batch=True)
        case "DeleteMessage":
            _check_receipt(sqs._get_q(url), data.get("ReceiptHandle"))


def _complete(queue: dict) -> None:
    """The attributes a queue has without being told."""
    attributes = queue["attributes"]
    if queue["is_fifo"]:
        attributes.setdefault("DeduplicationScope", "queue")
        attributes.setdefault("FifoThroughputLimit", "perQueue")
    attributes.setdefault("SqsManagedSseEnabled", "false" if attributes.get("KmsMasterKeyId") else "true")


def _after(action: str, data: dict, url: str, answer: dict) -> None:
    if action == "SetQueueAttributes" and (data.get("Attributes") or {}).get("KmsMasterKeyId"):
        sqs._get_q(url)["attributes"]["SqsManagedSseEnabled"] = "false"
    for failed in answer.get("Failed") or ():
        failed["Message"] = failed["Message"].replace("parameters are invalid.", "parameters cannot be validated.")


def _collect_fifo(queue: dict, most: int, hidden_for: int, now: float) -> list[dict]:
    """The messages to receive: of each group those before its first message that is hidden."""
    blocked, result = set(), []
    for message in queue["messages"]:
        sqs._ensure_msg_fields(message)
        if message["group_id"] in blocked or len(result) >= most:
            continue
        if message["visible_at"] > now:
            blocked.add(message["group_id"])
            continue
        message["receipt_handle"] = sqs.new_uuid()
        message["visible_at"] = now + hidden_for
        message["receive_count"] += 1
        message["first_receive_at"] = message.get("first_receive_at") or now
        result.append(message)
    return result


def install() -> None:
    dispatch, refusal = sqs._dispatch, sqs._json_err_resp

    async def checked(action: str, data: dict, url: str) -> dict:
        _check(action, data, url)
        if action == "GetQueueAttributes":
            _complete(sqs._get_q(url))  # whoever made the queue: a request or a stack
        answer = await dispatch(action, data, url)
        _after(action, data, url, answer)
        return answer

    def worded(code: str, message: str, status: int = 400) -> tuple:
        """The words of the JSON protocol; the query protocol has others."""
        return refusal(code, message.replace(" does not exist for this wsdl version.", " does not exist."), status)

    sqs._dispatch, sqs._json_err_resp, sqs._collect_fifo = checked, worded, _collect_fifo
