"""The least custom runtime for Lambda; the tests put it before a ``handle(event)`` of their own."""

import json
import os
import sys
import urllib.request

_API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"


def serve(handle):
    while True:
        with urllib.request.urlopen(f"{_API}/next", timeout=None) as answer:
            request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
            event = json.load(answer)
        try:
            path, result = "response", handle(event)
        except Exception as error:
            path, result = "error", {"errorType": type(error).__name__, "errorMessage": str(error)}
        sys.stdout.flush()
        body = json.dumps(result).encode()
        urllib.request.urlopen(urllib.request.Request(f"{_API}/{request_id}/{path}", body, method="POST")).close()
