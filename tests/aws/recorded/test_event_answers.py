"""EventBridge's answers, as recorded from AWS: what is published, and what rules and targets may be."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from conftest import until

ENTRY = {"Source": "core.update", "DetailType": "core.update", "Detail": json.dumps({"command": "update-account"})}


@pytest.fixture
def events(aws):
    return aws.client("events")


@pytest.fixture
def bus(events, name):
    events.create_event_bus(Name=name)
    return name


def refusal(call, **parameters: object) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def missing(parameter: str) -> tuple[str, str]:
    return "InvalidArgument", f"Parameter {parameter} is not valid. Reason: {parameter} is a required argument."


MALFORMED = ("MalformedDetail", "Detail is malformed.")
ENTRIES = [
    ("no source", {"Source": None}, missing("Source")), ("no detail", {"Detail": None}, missing("Detail")),
    ("no type", {"DetailType": None}, missing("DetailType")), ("a text", {"Detail": "a text"}, MALFORMED),
    ("a list", {"Detail": json.dumps(["core.update"])}, MALFORMED),
    ("no JSON", {"Detail": '{"not": closed mark"'}, MALFORMED),
    ("a text in JSON", {"Detail": json.dumps("a text")}, MALFORMED),
]


@pytest.mark.parametrize("what, changed, error", ENTRIES, ids=[what for what, *_ in ENTRIES])
def test_an_entry_that_is_refused(events, what, changed, error):
    entry = {key: value for key, value in (ENTRY | changed).items() if value is not None}
    answer = events.put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"] == [{"ErrorCode": error[0], "ErrorMessage": error[1]}]


def test_the_entries_of_a_request_have_a_limit_together(events):
    big = ENTRY | {"Detail": json.dumps({"payload": ["p" * (256 * 1024 - 17)]})}
    assert refusal(events.put_events, Entries=[big]) == (
        "ValidationException", "Total size of the entries in the request is over the limit.")


@pytest.mark.parametrize("own", [True, False])
def test_a_request_holds_ten_entries(events, bus, own):
    entry = ENTRY | ({"EventBusName": bus} if own else {})
    code, message = refusal(events.put_events, Entries=[entry] * 20)
    assert code == "ValidationException"
    assert message.startswith("1 validation error detected: Value '[PutEventsRequestEntry(")
    assert message.endswith("at 'entries' failed to satisfy constraint: Member must have length less than or equal "
                            "to 10")


def queue(aws, name: str) -> tuple[str, str]:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
        "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    return url, arn


def delivered(aws, url: str) -> dict:
    [message] = until(lambda: aws.client("sqs").receive_message(QueueUrl=url).get("Messages"))
    return json.loads(message["Body"])


def test_what_a_queue_gets(aws, events, bus, name):
    url, arn = queue(aws, name)
    rule = events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": [ENTRY["Source"]]}))
    assert rule["RuleArn"] == f"arn:aws:events:eu-central-1:111122223333:rule/{bus}/{name}"
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    answer = events.put_events(Entries=[ENTRY | {"EventBusName": bus}])
    assert answer["FailedEntryCount"] == 0
    [entry] = answer["Entries"]
    event = delivered(aws, url)
    assert event.pop("time").endswith("Z")
    assert event == {"version": "0", "id": entry["EventId"], "detail-type": ENTRY["DetailType"],
                     "source": ENTRY["Source"], "account": "111122223333", "region": "eu-central-1", "resources": [],
                     "detail": {"command": "update-account"}}


def test_a_target_may_get_a_part_of_the_event(aws, events, bus, name):
    url, arn = queue(aws, name)
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"detail": {"EventType": ["0", "1"]}}))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn, "InputPath": "$.detail"}])
    detail = json.dumps({"EventType": "1"})
    events.put_events(Entries=[ENTRY | {"EventBusName": bus, "Detail": detail}])
    assert delivered(aws, url) == {"EventType": "1"}


def test_an_event_for_a_bus_that_is_not_there_is_taken_and_lost(aws, events, name):
    url, arn = queue(aws, name)
    pattern = json.dumps({"source": [name]})
    events.put_rule(Name=name, EventPattern=pattern)
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    entry = ENTRY | {"Source": name, "Detail": json.dumps({"message": "for the default event bus"})}
    answer = events.put_events(Entries=[entry, entry | {"EventBusName": "not-there"}])
    assert answer["FailedEntryCount"] == 0 and all(set(one) == {"EventId"} for one in answer["Entries"])
    assert delivered(aws, url)["id"] == answer["Entries"][0]["EventId"]
    assert "Messages" not in aws.client("sqs").receive_message(QueueUrl=url)
    assert refusal(events.describe_event_bus, Name="not-there") == (
        "ResourceNotFoundException", "Event bus not-there does not exist.")


def test_a_rule_put_again_is_the_same_rule(events, bus, name):
    pattern = json.dumps({"source": ["core.update"]})
    arns = {events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern)["RuleArn"] for _ in range(2)}
    [rule] = events.list_rules(EventBusName=bus)["Rules"]
    assert rule == {"Name": name, "Arn": arns.pop(), "EventBusName": bus, "EventPattern": pattern, "State": "ENABLED"}
    assert not arns


def test_a_rule_that_is_not_there(events):
    assert refusal(events.describe_rule, Name="not-there") == (
        "ResourceNotFoundException", "Rule not-there does not exist on EventBus default.")


def test_a_rule_with_targets_stays(aws, events, name):
    _, arn = queue(aws, name)
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    assert refusal(events.delete_rule, Name=name) == (
        "ValidationException", "Rule can't be deleted since it has targets.")


def test_a_rule_has_five_targets(aws, events, bus, name):
    _, arn = queue(aws, name)
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": [name]}))
    assert refusal(events.put_targets, Rule=name, EventBusName=bus, Targets=[
        {"Id": f"target-{number}", "Arn": arn} for number in range(7)]) == (
        "LimitExceededException", "The requested resource exceeds the maximum number allowed.")


@pytest.mark.parametrize("given, told", [
    ("!@#$@!#$", r"Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+"),
    ("second-" + "a" * 80, "Member must have length less than or equal to 64")])
def test_the_id_of_a_target(aws, events, name, given, told):
    _, arn = queue(aws, name)
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    assert refusal(events.put_targets, Rule=name, Targets=[{"Id": given, "Arn": arn}]) == (
        "ValidationException", f"1 validation error detected: Value '{given}' at 'targets.1.member.id' failed to "
        f"satisfy constraint: {told}")
