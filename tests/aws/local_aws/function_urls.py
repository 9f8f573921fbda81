"""Function URLs where MiniStack differs: Lambda's limit of 6 MB, and a header that is sent twice."""

from __future__ import annotations

from typing import Any

from ministack.services import lambda_svc

MOST = 6 * 1024 * 1024  # of the event; a body that is not text grows by a third in it
PATH = "/_aws/lambda-url/"
TOO_LARGE = b'{"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}'


def joined(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers of one name as one, with commas between: payload format 2.0 has no lists of them."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    return [(name, b",".join(several)) for name, several in values.items()]


def install() -> None:
    handle = lambda_svc.handle_function_url_request

    async def bounded(url_id: str, method: str, path: str, headers: dict, body: bytes, *rest: Any, **more: Any) -> Any:
        kind = (headers.get("content-type") or "").split(";", 1)[0].strip().lower()
        text = kind.startswith("text/") or kind in lambda_svc._FUNCTION_URL_TEXT_TYPES
        if len(body) * (1 if text else 4 / 3) >= MOST:
            return 413, {"Content-Type": "application/json"}, TOO_LARGE
        return await handle(url_id, method, path, headers, body, *rest, **more)

    lambda_svc.handle_function_url_request = bounded
