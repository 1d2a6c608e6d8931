"""The gateway behaves as HTTP API does. Its functions report what they receive."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
import stub_project
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from stub_project import ASKED, Answer, Client
from tokens import hmac_signed, unpadded

from local import ROOT
from local.events import find_route
from local.template import Route
from local.tokens import KEY_FILE, SigningKey, claims_for


def echo(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    seen: dict[str, Any] = answer.json()
    return seen


def problem(answer: Answer, status: int, slug: str, message: str) -> dict[str, Any]:
    """Checks that an answer is a problem document with the message of API Gateway."""
    found: dict[str, Any] = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status, found["status"]) == (status, status)
    assert found["type"] == f"urn:problem:orders:{slug}"
    assert found["message"] == message
    assert found["request_id"] == answer.headers["apigw-requestid"]
    assert {"title", "detail", "instance"} <= found.keys()
    return found


class TestTokens:
    """Which tokens are accepted."""

    def test_valid_token_is_accepted(self, gateway: Client) -> None:
        assert gateway("GET", "/things/1", token=gateway.token()).status == 200

    @pytest.mark.parametrize("header", ["{}", "bearer {}", "BEARER {}", "Bearer   {}"])
    def test_scheme_is_optional_and_case_insensitive(self, gateway: Client, header: str) -> None:
        headers = {"Authorization": header.format(gateway.token())}
        assert gateway("GET", "/things/1", headers=headers).status == 200

    @pytest.mark.parametrize(
        "claims",
        [
            {"aud": ["elsewhere", "till"]},
            {"aud": None, "client_id": "shop"},
            {"nbf": int(time.time()) - 60},
        ],
        ids=["one audience of many", "client_id without aud", "not before a minute ago"],
    )
    def test_other_valid_tokens_are_accepted(self, gateway: Client, claims: dict[str, Any]) -> None:
        assert gateway("GET", "/things/1", token=gateway.token(**claims)).status == 200

    @pytest.mark.parametrize(
        "claims",
        [
            {"exp": int(time.time()) - 1},
            {"exp": None},
            {"exp": "never"},
            {"nbf": int(time.time()) + 3600},
            {"iat": int(time.time()) + 3600},
            {"iss": "https://other.example"},
            {"iss": None},
            {"aud": "other"},
            {"aud": None},
            {"aud": "other", "client_id": "shop"},
        ],
        ids=lambda claims: (
            " ".join(f"{name}={value}" for name, value in claims.items() if isinstance(value, str | None))
            or " ".join(claims)
        ),
    )
    def test_invalid_claims_are_rejected(self, gateway: Client, claims: dict[str, Any]) -> None:
        problem(gateway("GET", "/things/1", token=gateway.token(**claims)), 401, "unauthenticated", "Unauthorized")

    @pytest.mark.parametrize("forgery", ["none", "hmac", "foreign", "foreign id", "no id", "changed", "noise", "empty"])
    def test_invalid_signatures_are_rejected(self, gateway: Client, forgery: str) -> None:
        claims = claims_for(ASKED, "alice")
        foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        own = serialization.load_pem_private_key((gateway.folder / ".local" / KEY_FILE).read_bytes(), None)
        assert isinstance(own, rsa.RSAPrivateKey)
        public = own.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        header, _, signature = gateway.token().split(".")
        tokens: dict[str, Callable[[], str]] = {
            "none": lambda: jwt.encode(claims, None, "none", {"kid": gateway.key.id}),  # type: ignore[arg-type]
            "hmac": lambda: hmac_signed(claims, public, gateway.key.id),
            "foreign": lambda: jwt.encode(claims, foreign, "RS256", {"kid": gateway.key.id}),
            "foreign id": lambda: jwt.encode(claims, foreign, "RS256", {"kid": "other"}),
            "no id": lambda: jwt.encode(claims, own, "RS256"),
            "changed": lambda: ".".join([header, unpadded(json.dumps(claims | {"sub": "bob"}).encode()), signature]),
            "noise": lambda: "a.b.c",
            "empty": lambda: "",
        }
        token = tokens[forgery]()
        answer = gateway("GET", "/things/1", headers={"Authorization": f"Bearer {token}"})
        problem(answer, 401, "unauthenticated", "Unauthorized")

    def test_missing_token_is_challenged(self, gateway: Client) -> None:
        answer = gateway("GET", "/things/1")
        problem(answer, 401, "unauthenticated", "Unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_one_of_the_scopes_is_enough(self, gateway: Client) -> None:
        for scope in ("things/read", "openid things/all"):
            assert gateway("GET", "/scoped", token=gateway.token(scope=scope)).status == 200
        assert gateway("GET", "/scoped", token=gateway.token(scope=None, scp=["things/read"])).status == 200
        answer = gateway("GET", "/scoped", token=gateway.token(scope="openid things"))
        problem(answer, 403, "forbidden", "Forbidden")
        problem(gateway("GET", "/scoped", token="a.b.c"), 401, "unauthenticated", "Unauthorized")

    def test_route_without_authorizer_needs_no_token(self, gateway: Client) -> None:
        assert "authorizer" not in echo(gateway("POST", "/open"))["event"]["requestContext"]


class TestEvents:
    """The event that a function receives."""

    def test_claims_are_text(self, gateway: Client) -> None:
        token = gateway.token(**{"cognito:groups": ["a", "b"], "n": 7, "big": 1795424400123, "yes": True, "f": 1.5})
        authorizer = echo(gateway("GET", "/things/1", token=token))["event"]["requestContext"]["authorizer"]
        claims = authorizer["jwt"]["claims"]
        assert claims["cognito:groups"] == "[a b]"
        assert (claims["n"], claims["big"], claims["yes"], claims["f"]) == ("7", "1795424400123", "true", "1.5")
        assert claims["aud"] == "[shop till]"
        assert all(isinstance(value, str) for value in claims.values())
        assert authorizer["jwt"]["scopes"] == ["openid"]

    def test_scopes_are_null_if_the_token_has_none(self, gateway: Client) -> None:
        event = echo(gateway("GET", "/things/1", token=gateway.token(scope=None)))["event"]
        assert event["requestContext"]["authorizer"]["jwt"]["scopes"] is None

    def test_event_contains_the_whole_request(self, gateway: Client) -> None:
        headers = {"X-One": "1", "Cookie": "a=1; b=2", "User-Agent": "test", "X-Forwarded-For": "203.0.113.7"}
        answer = gateway("GET", "/things/1?a=1&b=x%20y&a=2&c=", headers=headers, token=gateway.token())
        event = echo(answer)["event"]
        context = event.pop("requestContext")
        host, port = gateway.listener.getsockname()
        assert event["version"] == "2.0"
        assert event["routeKey"] == context["routeKey"] == "ANY /things/{thing_id}"
        assert event["rawPath"] == "/things/1"
        assert event["rawQueryString"] == "a=1&b=x%20y&a=2&c="
        assert event["queryStringParameters"] == {"a": "1,2", "b": "x y", "c": ""}
        assert event["pathParameters"] == {"thing_id": "1"}
        assert event["cookies"] == ["a=1", "b=2"]
        assert event["isBase64Encoded"] is False
        assert "body" not in event
        assert (
            event["headers"].items()
            >= {
                "x-one": "1",
                "host": f"{host}:{port}",
                "x-forwarded-for": f"203.0.113.7, {host}",
                "x-forwarded-proto": "http",
                "x-forwarded-port": str(port),
            }.items()
        )
        assert "cookie" not in event["headers"]
        assert event["headers"]["x-amzn-trace-id"].startswith("Root=1-")
        assert context["http"] == {
            "method": "GET",
            "path": "/things/1",
            "protocol": "HTTP/1.1",
            "sourceIp": host,
            "userAgent": "test",
        }
        assert context["stage"] == "$default"
        assert context["requestId"] == answer.headers["apigw-requestid"]
        assert abs(context["timeEpoch"] / 1000 - time.time()) < 60

    def test_absent_parts_are_left_out(self, gateway: Client) -> None:
        event = echo(gateway("POST", "/open"))["event"]
        absent = {"cookies", "queryStringParameters", "pathParameters", "body", "stageVariables"}
        assert not absent & event.keys()

    def test_path_is_decoded(self, gateway: Client) -> None:
        event = echo(gateway("GET", "/things/a%20%C3%BC%23%252Fb", token=gateway.token()))["event"]
        assert event["pathParameters"] == {"thing_id": "a ü#%2Fb"}
        assert event["rawPath"] == event["requestContext"]["http"]["path"] == "/things/a ü#%2Fb"

    def test_path_is_decoded_before_it_is_split(self, gateway: Client) -> None:
        event = echo(gateway("GET", "/files/a%2Fb", token=gateway.token()))["event"]
        assert event["pathParameters"] == {"proxy": "a/b"}
        found = problem(gateway("GET", "/things/a%2fb", token=gateway.token()), 404, "not-found", "Not Found")
        assert "write a slash in an id as %252F" in found["detail"]

    @pytest.mark.parametrize(
        ("content_type", "text"),
        [
            ("application/json", True),
            ("application/json; charset=utf-8", True),
            ("text/plain", True),
            ("application/xml", True),
            ("application/merge-patch+json", False),
            ("application/x-www-form-urlencoded", False),
            ("application/octet-stream", False),
            (None, False),
        ],
    )
    def test_body_is_text_or_base64_by_content_type(
        self, gateway: Client, content_type: str | None, text: bool
    ) -> None:
        body = '{"a": "ü"}'.encode()
        event = echo(gateway("POST", "/open", body, {"Content-Type": content_type} if content_type else {}))["event"]
        assert event["isBase64Encoded"] is not text
        assert event["body"] == (body.decode() if text else base64.b64encode(body).decode())

    def test_invalid_utf8_in_a_text_body_is_replaced(self, gateway: Client) -> None:
        event = echo(gateway("POST", "/open", b"\xff{", {"Content-Type": "application/json"}))["event"]
        assert event["body"] == "\ufffd{"

    def test_chunked_body_is_joined(self, gateway: Client) -> None:
        chunks = b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        headers = {"Transfer-Encoding": "chunked", "Content-Type": "text/plain"}
        assert echo(gateway("POST", "/open", chunks, headers))["event"]["body"] == "abc"


class TestRoutes:
    """Which route serves a request."""

    @pytest.mark.parametrize(
        ("method", "path", "key"),
        [
            ("GET", "/things/latest", "GET /things/latest"),
            ("POST", "/things/latest", "ANY /things/{thing_id}"),
            ("DELETE", "/things/7", "ANY /things/{thing_id}"),
            ("GET", "/files/a/b", "GET /files/{proxy+}"),
        ],
    )
    def test_most_specific_route_wins(self, gateway: Client, method: str, path: str, key: str) -> None:
        assert echo(gateway(method, path, token=gateway.token()))["event"]["routeKey"] == key

    @pytest.mark.parametrize("turn", [1, -1])
    def test_path_is_ranked_before_method(self, turn: int) -> None:
        paths = ["/a/b", "/a/{x}", "/{x}/b", "/a/{x+}", "/{x+}", "$default"]
        routes = [Route(method, path, "F") for path in paths for method in ("GET", "ANY")]
        for first in range(len(routes) - 1):
            found = find_route(routes[first:][::turn], "GET", "/a/b")
            assert found
            assert found.route == routes[first]

    def test_greedy_variable_matches_the_rest(self, gateway: Client) -> None:
        event = echo(gateway("GET", "/files/a/b%20c", token=gateway.token()))["event"]
        assert event["pathParameters"] == {"proxy": "a/b c"}

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/"),
            ("GET", "/things"),
            ("GET", "/things/"),
            ("GET", "/things/1/2"),
            ("GET", "/files/"),
            ("HEAD", "/files/a"),
            ("GET", "/open"),
        ],
    )
    def test_unknown_route_is_404(self, gateway: Client, method: str, path: str) -> None:
        answer = gateway(method, path, token=gateway.token())
        assert answer.status == 404
        if method != "HEAD":
            problem(answer, 404, "not-found", "Not Found")

    def test_own_pages_are_served(self, gateway: Client) -> None:
        assert gateway("GET", "/page").body == b"a page"


class TestFunctions:
    """The processes of the functions."""

    def test_function_has_its_own_environment(self, gateway: Client, project: Path) -> None:
        seen = echo(gateway("POST", "/open"))
        environment = seen["environment"]
        assert seen["function"] == environment["AWS_LAMBDA_FUNCTION_NAME"] == "Echo"
        assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
        assert (environment["GREETING"], environment["NAME"]) == ("hello", "echo")
        assert environment["LAMBDA_TASK_ROOT"] == str(project / "code")
        # The emulated AWS, whatever the template says for containers; what was chosen for one service stays.
        assert environment["AWS_ENDPOINT_URL"] == "http://aws.example"
        assert environment["AWS_ENDPOINT_URL_SQS"] == "http://sqs.example"
        assert environment["AWS_ACCESS_KEY_ID"] == "local"
        assert environment["_X_AMZN_TRACE_ID"] == seen["event"]["headers"]["x-amzn-trace-id"]
        assert "PYTEST_CURRENT_TEST" not in environment
        assert 25_000 < seen["remaining"] <= 30_000
        assert seen["request_id"] == seen["event"]["requestContext"]["requestId"]

    def test_process_is_reused(self, gateway: Client) -> None:
        assert len({echo(gateway("POST", "/open"))["process"] for _ in range(3)}) == 1

    def test_concurrent_requests_run_in_separate_processes(self, gateway: Client, tmp_path: Path) -> None:
        with ThreadPoolExecutor(3) as threads:
            calls = [threads.submit(gateway.act, meet=str(tmp_path), of=3, process=True) for _ in range(3)]
            assert len({call.result().json()["process"] for call in calls}) == 3

    def test_error_is_a_500_without_details(self, gateway: Client) -> None:
        before = gateway.act(process=True).json()["process"]
        answer = gateway.act(**{"raise": "Mrs Smith, 5 High Street"})
        problem(answer, 500, "internal-error", "Internal Server Error")
        assert b"Smith" not in answer.body
        assert "RuntimeError: Mrs Smith" in gateway.lines[-1]
        assert "Traceback" in (gateway.folder / "log").read_text()
        assert gateway.act(process=True).json()["process"] == before

    def test_crashed_process_is_replaced(self, gateway: Client) -> None:
        before = gateway.act(process=True).json()["process"]
        problem(gateway.act(exit=3), 500, "internal-error", "Internal Server Error")
        assert "exit code 3" in gateway.lines[-1]
        assert gateway.act(process=True).json()["process"] != before

    def test_process_killed_between_requests_is_replaced(self, gateway: Client) -> None:
        before = gateway.act(process=True).json()["process"]
        os.kill(before, 9)
        os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
        assert gateway.act(process=True).json()["process"] != before

    def test_timeout_kills_the_process(self, gateway: Client) -> None:
        quick = partial(gateway, "POST", "/hang", "quick", {"Content-Type": "text/plain"})
        before = quick().json()["process"]
        answer = gateway("POST", "/hang")
        problem(answer, 503, "unavailable", "Service Unavailable")
        assert answer.headers["Retry-After"]
        assert quick().json()["process"] != before
        with pytest.raises(ProcessLookupError):
            os.kill(before, 0)

    def test_import_error_of_a_function_is_logged(self, gateway: Client) -> None:
        for _ in range(2):
            problem(gateway("GET", "/broken"), 500, "internal-error", "Internal Server Error")
            assert "No module named 'no_such_module'" in gateway.lines[-1]

    def test_changed_code_is_reloaded(self, tmp_path: Path) -> None:
        with stub_project.serve(stub_project.write(tmp_path)) as gateway:
            assert gateway.act(**{"return": "old"}).body == b"old"
            code = tmp_path / "code" / "stub.py"
            code.write_text(code.read_text().replace('return todo["return"]', 'return "new"'))
            os.utime(code, (time.time() + 1, time.time() + 1))
            assert gateway.act(**{"return": "old"}).body == b"new"

    def test_processes_end_with_the_gateway(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:
            with stub_project.serve(stub_project.write(tmp_path)) as gateway:
                idle = gateway("POST", "/hang", "quick", {"Content-Type": "text/plain"}).json()["process"]
                busy = threads.submit(gateway.act, call=listener.getsockname()[1])
                connection, _ = listener.accept()
            with connection:
                assert connection.recv(1) == b""
            assert busy.result().status == 500
        with pytest.raises(ProcessLookupError):
            os.kill(idle, 0)

    def test_processes_end_with_the_gateway_even_if_it_is_killed(self, tmp_path: Path) -> None:
        script = "import pathlib, sys, stub_project\n"
        script += "with stub_project.serve(pathlib.Path(sys.argv[1])) as gateway: gateway.act(call=int(sys.argv[2]))"
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(30)
            port = str(listener.getsockname()[1])
            with subprocess.Popen(
                [sys.executable, "-c", script, str(stub_project.write(tmp_path)), port],
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
            ) as process:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(30)
                    process.kill()
                    # The handler was at work, and never would have ended.
                    assert connection.recv(1) == b""


class TestAnswers:
    """The response to a function's result."""

    def test_response_has_status_headers_cookies_and_body(self, gateway: Client) -> None:
        result = {
            "statusCode": "201",
            "headers": {"Location": "/x", "X-Number": 3, "content-type": "image/png"},
            "cookies": ["a=1; Secure", "b=2"],
            "body": base64.b64encode(b"\x00\xff").decode(),
            "isBase64Encoded": True,
        }
        answer = gateway.act(**{"return": result})
        assert (answer.status, answer.body) == (201, b"\x00\xff")
        assert (answer.headers["Location"], answer.headers["X-Number"]) == ("/x", "3")
        assert answer.headers.get_all("Content-Type") == ["image/png"]
        assert answer.headers.get_all("Set-Cookie") == ["a=1; Secure", "b=2"]

    def test_response_without_body(self, gateway: Client) -> None:
        answer = gateway.act(**{"return": {"statusCode": 204}})
        assert (answer.status, answer.body, answer.headers["Content-Type"]) == (204, b"", None)

    def test_default_content_type_is_plain_text(self, gateway: Client) -> None:
        answer = gateway.act(**{"return": {"statusCode": 200, "body": "ü"}})
        assert (answer.body.decode(), answer.headers["Content-Type"]) == ("ü", "text/plain; charset=utf-8")

    @pytest.mark.parametrize(
        ("result", "body"), [({"a": 1}, b'{"a": 1}'), ([1, 2], b"[1, 2]"), ("text", b"text"), (None, b"null")]
    )
    def test_result_without_status_becomes_the_body(self, gateway: Client, result: Any, body: bytes) -> None:
        answer = gateway.act(**{"return": result})
        assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, body, "application/json")

    @pytest.mark.parametrize(
        "result",
        [
            {"statusCode": "fine"},
            {"statusCode": 99},
            {"statusCode": None},
            {"statusCode": 200, "body": {"a": 1}},
            {"statusCode": 200, "body": "no base64!", "isBase64Encoded": True},
            {"statusCode": 200, "headers": {"X": "a\r\nY: b"}},
            {"statusCode": 200, "headers": ["X"]},
        ],
        ids=str,
    )
    def test_invalid_result_is_a_500(self, gateway: Client, result: Any) -> None:
        problem(gateway.act(**{"return": result}), 500, "internal-error", "Internal Server Error")

    def test_too_large_body_is_a_413(self, gateway: Client) -> None:
        for megabytes, limit in (
            (7, "Lambda accepts at most 6291456 bytes."),
            (11, "API Gateway accepts at most 10485760 bytes."),
        ):
            answer = gateway("POST", "/open", b"x" * megabytes * 1024 * 1024, {"Content-Type": "text/plain"})
            assert problem(answer, 413, "body-too-large", "Request Entity Too Large")["detail"] == limit

    def test_each_request_is_logged_on_one_line(self, gateway: Client) -> None:
        before = len(gateway.lines)
        gateway("POST", "/open?secret=1")
        [line] = gateway.lines[before:]
        assert line.startswith("POST   /open → 200  ")
        assert line.endswith(" ms  Echo")


class TestKey:
    """The signing key."""

    def test_key_is_created_once_and_kept(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(8) as threads:
            keys = list(threads.map(lambda _: SigningKey(tmp_path / "state").id, range(8)))
        assert len(set(keys)) == 1
        assert [path.name for path in (tmp_path / "state").iterdir()] == [KEY_FILE]
        assert (tmp_path / "state" / KEY_FILE).stat().st_mode & 0o777 == 0o600
