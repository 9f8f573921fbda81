"""Lambda functions: who may invoke them, what was invoked, what they printed, and their end."""

from __future__ import annotations

import queue
import random
import shutil
import threading
import time
from pathlib import Path

from ministack.core import lambda_runtime
from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import get_account_id, get_region
from ministack.services import lambda_svc

DYING = 30  # seconds that a killed process may take to end

_invocations: list[dict] = []
_lock = threading.Lock()
_log_dir = Path()


def find(arn: str, *, anywhere: bool = False) -> dict | None:
    """The function's record; ``anywhere``: in the account and region its ARN names."""
    if anywhere:
        _, _, _, region, account, *_ = arn.split(":")
        return lambda_svc._get_func_record_for_ref_in_scope(arn, account_id=account, region=region)[0]
    return lambda_svc._get_func_record_for_ref(arn)[0]


def may_invoke(arn: str, service: str, *, source_arn: str) -> bool:
    """Whether the function's policy lets a service invoke it for a resource of ours."""
    function = lambda_svc._get_func_record_for_ref(arn)[0]
    if function is None:
        return False
    context = EvalContext(
        principal_arn="*", principal_type="Service", principal_account="", action="lambda:InvokeFunction",
        resource_arn=arn, region=get_region(),
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": get_account_id()})
    return evaluate_resource_policy(function.get("policy"), context, service=service).decision == "Allow"


def invoke(record: dict, event: dict) -> dict:
    return lambda_svc._execute_function_with_config_scope(record, event)


def invocations() -> list[dict]:
    with _lock:
        return [dict(entry) for entry in _invocations]


def busy() -> int:
    with _lock:
        return sum(1 for entry in _invocations if entry["ended"] is None)


def _workers() -> list:
    with lambda_runtime._lock:
        return [worker for entries in lambda_runtime._workers.values() for worker in entries]


def kill(name: str, most: int | None = None) -> int:
    """End a function's processes (or ``most`` of them, any) at once, as a crash would. Returns how many.

    They are gone when it returns: a process that is still dying would be taken for one that waits for work.
    """
    processes = [worker._proc for worker in _workers() if worker.func_name == name]
    running = [process for process in processes if process is not None and process.poll() is None]
    chosen = running if most is None else random.sample(running, min(most, len(running)))
    for process in chosen:
        process.kill()
    for process in chosen:
        process.wait(DYING)
    return len(chosen)


def end_all() -> None:
    """End every function's process and wait for it."""
    for worker in _workers():
        process = worker._proc
        if process is not None and process.poll() is None:
            process.kill()
    lambda_runtime.reset()


def install(home: Path) -> None:
    """Record invocations, and keep what functions print in ``<home>/functions/<name>.log``."""
    global _log_dir
    _log_dir = home / "functions"
    shutil.rmtree(_log_dir, ignore_errors=True)
    _log_dir.mkdir(parents=True)
    dispatch = lambda_svc._execute_function_dispatch
    pump = lambda_runtime.ProvidedWorker._pump_output

    def recorded(func: dict, config: dict, event: dict, request_id: str, started: float) -> dict:
        entry = {"function": config.get("FunctionName"), "request_id": request_id, "event": event,
                 "started": time.time(), "ended": None, "error": None}
        with _lock:
            _invocations.append(entry)
        try:
            result = dispatch(func, config, event, request_id, started)
            entry["error"] = result.get("body") if result.get("error") else None
            return result
        finally:
            entry["ended"] = time.time()

    class Tee(queue.Queue):
        """A log queue of MiniStack's that also writes to a file."""

        def __init__(self, theirs: queue.Queue, path: Path) -> None:
            super().__init__()
            self._theirs, self._path = theirs, path

        def put_nowait(self, line: str) -> None:
            with self._path.open("a") as file:
                file.write(line + "\n")
            self._theirs.put_nowait(line)

        def get_nowait(self) -> str:
            return self._theirs.get_nowait()

    def written(worker: lambda_runtime.ProvidedWorker, stream: object, lines: queue.Queue) -> None:
        pump(worker, stream, Tee(lines, _log_dir / f"{worker.func_name}.log"))

    lambda_svc._execute_function_dispatch = recorded
    lambda_runtime.ProvidedWorker._pump_output = written


def logs() -> dict[str, list[str]]:
    return {path.stem: path.read_text(errors="replace").splitlines() for path in sorted(_log_dir.glob("*.log"))}
