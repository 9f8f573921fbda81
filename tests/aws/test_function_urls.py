"""A function URL hands over requests as Lambda's documentation has it (payload format 2.0)."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.parse
import urllib.request

import pytest

ECHO = "import json\ndef handle(event):\n    return {'statusCode': 200, 'body': json.dumps(event)}\n"


@pytest.fixture
def url(aws, name):
    aws.function(name, ECHO)
    functions = aws.client("lambda")
    made = functions.create_function_url_config(FunctionName=name, AuthType="NONE")
    functions.add_permission(FunctionName=name, StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*",
                             FunctionUrlAuthType="NONE")
    functions.add_permission(FunctionName=name, StatementId="invoke", Action="lambda:InvokeFunction", Principal="*",
                             InvokedViaFunctionUrl=True)
    asked = json.dumps({"url": made["FunctionUrl"]}).encode()
    with urllib.request.urlopen(f"{aws.endpoint}/_local/function-urls", asked, timeout=30) as answer:
        address = json.load(answer)["address"]

    def send(method: str, path: str, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> tuple[int, dict]:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=30)
        connection.putrequest(method, path)
        for header, value in (*headers, ("Content-Length", str(len(body)))):
            connection.putheader(header, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    yield send
    functions.delete_function_url_config(FunctionName=name)


def test_text_is_handed_over_as_text_and_the_rest_in_base64(url):
    _, event = url("POST", "/a", b'{"a":1}', (("Content-Type", "application/json; charset=utf-8"),))
    assert (event["version"], event["body"], event["isBase64Encoded"]) == ("2.0", '{"a":1}', False)
    _, event = url("POST", "/a", b"a=1", (("Content-Type", "application/x-www-form-urlencoded"),))
    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (b"a=1", True)
    _, event = url("GET", "/a/b?c=d")
    assert "body" not in event and (event["rawPath"], event["rawQueryString"]) == ("/a/b", "c=d")
    assert event["requestContext"]["http"]["sourceIp"] == "127.0.0.1"


def test_headers_are_in_lower_case_and_joined(url):
    _, event = url("GET", "/", headers=(("X-Odd-Case", "a"), ("x-odd-case", "b"), ("X-Other", "c")))
    assert (event["headers"]["x-odd-case"], event["headers"]["x-other"]) == ("a,b", "c")
    assert not [name for name in event["headers"] if name != name.lower()]


@pytest.mark.parametrize(("kind", "bytes_", "status"), [
    ("text/plain", 6_000_000, 200), ("text/plain", 6_291_456, 413),
    ("application/octet-stream", 4_500_000, 200), ("application/octet-stream", 4_800_000, 413)])
def test_six_megabytes_are_too_many(url, kind, bytes_, status):
    answered, event = url("POST", "/", b"x" * bytes_, (("Content-Type", kind),))
    assert answered == status
    if status == 413:
        assert "6291456" in event["Message"]
