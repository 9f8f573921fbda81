"""Function URLs where MiniStack differs: an address whose root is the function, Lambda's limit of 6 MB, joined headers.

On AWS each function URL is a host of its own. Here each one has a port of its own, as long as there are ports left."""

from __future__ import annotations

import socket
from typing import Any

from ministack.services import lambda_svc

MOST = 6 * 1024 * 1024  # of the event; a body that is not text grows by a third in it
PORTS = 4
TOO_LARGE = b'{"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}'


class Ports:
    """The ports on which function URLs answer."""

    def __init__(self) -> None:
        self.listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(PORTS)]
        self._ids: dict[int, str | None] = {listener.getsockname()[1]: None for listener in self.listeners}

    def of(self, url: str) -> str:
        """Give the local address of a function URL, which ends in a slash as the function URL does."""
        wanted = lambda_svc._function_url_id(url)
        urls = [config["FunctionUrl"] for _, config in lambda_svc._function_urls.all_items()]
        there = {lambda_svc._function_url_id(url) for url in urls}
        if wanted not in there:
            raise ValueError(f"there is no function URL {url}")
        for port, url_id in self._ids.items():
            if url_id == wanted:
                return f"http://127.0.0.1:{port}/"
        for port, url_id in self._ids.items():
            if url_id not in there:
                self._ids[port] = wanted
                return f"http://127.0.0.1:{port}/"
        raise ValueError(f"there are ports for {PORTS} function URLs only")

    def __contains__(self, port: int) -> bool:
        return port in self._ids

    def scope(self, scope: dict) -> dict:
        """Give the request as MiniStack takes requests for the function URL of the scope's port."""
        before = f"/_aws/lambda-url/{self._ids[scope['server'][1]]}"
        return scope | {"path": before + scope["path"], "raw_path": before.encode() + scope["raw_path"],
                        "headers": joined(scope["headers"])}


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
