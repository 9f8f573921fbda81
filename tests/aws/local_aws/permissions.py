"""IAM as AWS evaluates it, where MiniStack differs."""

from __future__ import annotations

from typing import Any

from ministack.core import iam_actions


def install(ministack: Any) -> None:
    """``ministack``: its application module."""
    extract, pin = iam_actions.extract_iam_action, ministack.pin_request_origin

    def action(service: str, *arguments: Any) -> str | None:
        """SendMessage permits SendMessageBatch, and so on: SQS has no actions for batches."""
        found = extract(service, *arguments)
        return found.removesuffix("Batch") if service == "sqs" and found else found

    def origin(source_ip: str, secure_transport: bool) -> None:
        """Policies that ask for TLS hold on AWS; here loopback stands for it."""
        pin(source_ip, True)

    iam_actions.extract_iam_action = action
    ministack.pin_request_origin = origin
