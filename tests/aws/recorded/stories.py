"""Plays requests against the local Secrets Manager and holds each whole answer against one recorded from AWS.

An answer is compared with nothing left out: what the recording does not show must be absent. What differs from run to
run stands under one word: ``NAME``, ``ARN``, ``TIME``, and ``v1``, ``v2`` … for the versions in the order in which the
answers first showed them. The recordings keep no order of labels, nor of versions; both are compared sorted.
"""

from __future__ import annotations

from datetime import datetime

from botocore.exceptions import ClientError

NAMED = {"ARN": "ARN", "Name": "NAME"}
CREATED = NAMED | {"VersionId": "v1"}
DELETED = NAMED | {"DeletionDate": "TIME"}


def named(**more: object) -> dict:
    return NAMED | more


def stored(version: str, *labels: str) -> dict:
    """What PutSecretValue answers."""
    return named(VersionId=version, VersionStages=list(labels))


def value(version: str, text: str | bytes, *labels: str) -> dict:
    """What GetSecretValue answers."""
    kind = "SecretString" if isinstance(text, str) else "SecretBinary"
    return named(CreatedDate="TIME", VersionId=version, VersionStages=list(labels)) | {kind: text}


def described(labels: dict | None = None, **more: object) -> dict:
    """What DescribeSecret answers."""
    shown = {"VersionIdsToStages": labels} if labels else {}
    return named(CreatedDate="TIME", LastChangedDate="TIME", **more) | shown


def versions(*shown: tuple[str, ...], read: str = "") -> dict:
    """What ListSecretVersionIds answers; ``read`` names the versions whose value was read."""
    return named(Versions=[
        {"CreatedDate": "TIME", "KmsKeyIds": ["DefaultEncryptionKey"], "VersionId": version}
        | ({"LastAccessedDate": "TIME"} if version in read.split() else {})
        | ({"VersionStages": list(labels)} if labels else {}) for version, *labels in shown])


class Error(tuple):
    """A refusal: ``Error((code, message))``."""


class Story:
    """One secret, and the versions that its answers showed so far."""

    def __init__(self, client, name: str) -> None:
        self.client, self.name, self.arn = client, name, None
        self.known: dict[str, str] = {}

    def ask(self, operation: str, /, **parameters: object) -> object:
        ids = {word: version for version, word in self.known.items()} | {"NAME": self.name, "ARN": self.arn}
        sent = {key: ids.get(given, given) if isinstance(given, str) else given for key, given in parameters.items()}
        sent |= {} if operation == "create_secret" or "SecretId" in sent else {"SecretId": self.name}
        sent |= {"Name": self.name} if operation == "create_secret" and "Name" not in sent else {}
        try:
            answer = getattr(self.client, operation)(**sent)
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
            told = error.response["Error"]
            return Error((told["Code"], told["Message"].replace(self.name, "NAME")))
        del answer["ResponseMetadata"]
        if "VersionId" in answer:
            self.known.setdefault(answer["VersionId"], f"v{len(self.known) + 1}")
        if operation == "create_secret":
            self.arn = answer["ARN"]
        return self.shown(answer)

    def shown(self, answer: object) -> object:
        """The answer in the words of the recording."""
        match answer:
            case dict():
                entries = {self.shown(key): self.shown(one) for key, one in answer.items()}
                for key in ("VersionStages", "v1", "v2", "v3", "v4"):
                    if key in entries:
                        entries[key] = sorted(entries[key])
                if "Versions" in entries:
                    entries["Versions"].sort(key=lambda version: version["VersionId"])
                return entries
            case list():
                return [self.shown(one) for one in answer]
            case datetime():
                return "TIME"
            case str() if answer in self.known:
                return self.known[answer]
            case str() if answer == self.arn:
                return "ARN"
            case str() if answer == self.name:
                return "NAME"
        return answer

    def play(self, steps: list[tuple[str, dict, object]]) -> None:
        for number, (operation, parameters, expected) in enumerate(steps, 1):
            answer = self.ask(operation, **parameters)
            if expected is not None:
                assert answer == expected, f"step {number}: {operation} {parameters}"
