"""``python -m local_aws --port 0 --dir .local/aws``: start, print one JSON line when ready, end on SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

from . import ACCESS_KEY, ACCOUNT, MINISTACK_VERSION, REGION, SECRET_KEY


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="local_aws", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 lets the system choose")
    parser.add_argument("--dir", type=Path, default=Path(".local/aws"), help="for logs and unpacked functions")
    parser.add_argument("--no-iam", action="store_true", help="do not enforce IAM policies")
    return parser.parse_args()


def refuse_other_versions() -> None:
    found = importlib.metadata.version("ministack")
    if found != MINISTACK_VERSION:
        sys.exit(f"local_aws replaces functions of MiniStack {MINISTACK_VERSION} and was not made for {found}: "
                 "install tests/aws/requirements.txt")


def scratch(home: Path) -> Path:
    """Where MiniStack unpacks functions: hundreds of megabytes that nobody reads once it has ended."""
    return home / "tmp"


def environment(endpoint: str, port: int, home: Path, iam: bool) -> dict[str, str]:
    """What MiniStack reads at import, and what functions inherit from it."""
    shutil.rmtree(scratch(home), ignore_errors=True)
    scratch(home).mkdir(parents=True)
    return {
        "AUTH": "true" if iam else "false",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "BIND_HOST": "127.0.0.1",
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LAMBDA_STRICT": "0",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "S3_DATA_DIR": str(scratch(home) / "s3"),
        "SFTP_ENABLED": "0",
        "TMPDIR": str(scratch(home)),
    }


async def serve(listener: socket.socket, home: Path, endpoint: str) -> None:
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config

    from . import app as local
    from . import functions

    application = local.build(endpoint, home)
    config = Config()
    config.bind = [f"fd://{one.fileno()}" for one in (listener, *application.urls.listeners)]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    config.accesslog = None

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    server = asyncio.create_task(hypercorn_serve(application, config, shutdown_trigger=stop.wait))
    started = asyncio.create_task(application.started.wait())
    await asyncio.wait({server, started}, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        server.result()
        sys.exit("the server ended before it was ready")
    ready = {"endpoint": endpoint, "region": REGION, "account": ACCOUNT, "access_key_id": ACCESS_KEY,
             "secret_access_key": SECRET_KEY, "oidc_issuer": local.issuer(endpoint), "pid": os.getpid()}
    print(json.dumps(ready), flush=True)
    await stop.wait()
    functions.end_all()
    await asyncio.wait({server}, timeout=5)
    functions.end_all()  # one may have been starting


def main() -> None:
    options = arguments()
    refuse_other_versions()
    home = options.dir.resolve()
    home.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", options.port))
    port = listener.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    for inherited in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(inherited, None)
    os.environ.update(environment(endpoint, port, home, iam=not options.no_iam))

    asyncio.run(serve(listener, home, endpoint))
    shutil.rmtree(scratch(home), ignore_errors=True)
    sys.stdout.flush()
    os._exit(0)  # MiniStack's pollers are threads that never end


if __name__ == "__main__":
    main()
