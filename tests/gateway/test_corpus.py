"""Hostile requests, byte by byte over HTTP, without a client library that would refuse to send them."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from email.parser import BytesHeaderParser

import pytest
from corpus import BODIES, CONTENT_TYPES, HEADER_VALUES, HEADERS, QUERIES, SECRET, SEGMENTS, check_answer, examples
from harness import ROOT, TEMPLATE, Answer
from process import Gateway, gateway

pytestmark = pytest.mark.gateway

LOG = ROOT / ".local" / "gateway.log"


@pytest.fixture(scope="module")
def api() -> Iterator[Gateway]:
    with gateway() as running:
        before = LOG.stat().st_size
        yield running
        logged = LOG.read_bytes()[before:].decode(errors="replace")
    assert SECRET not in logged
    assert "the gateway itself failed" not in logged


def send(
    api: Gateway, method: str, target: str, body: bytes = b"", content_type: str = "application/json", *lines: bytes
) -> Answer:
    """Sends exactly these bytes. `lines` are further header lines."""
    host, port = api.url.removeprefix("http://").split(":")
    token = api.tokens["admin" if target.startswith("/admin/") else "alice"]
    head = [
        f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {len(body)}".encode(),
        f"Authorization: Bearer {token}\r\nContent-Type: {content_type}".encode(),
        *lines,
    ]
    received = b""
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        # A server that refuses a request need not read all of it.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"\r\n".join(head) + b"\r\n\r\n" + body)
        with suppress(ConnectionResetError):
            while chunk := connection.recv(1 << 16):
                received += chunk
    head_received, _, content = received.partition(b"\r\n\r\n")
    status_line, _, header_lines = head_received.partition(b"\r\n")
    headers = {name.lower(): text for name, text in BytesHeaderParser().parsebytes(header_lines).items()}
    answer = Answer(int(status_line.split()[1]), headers, content.decode())
    assert "x-injected" not in answer.headers
    return answer


def check_http_answer(answer: Answer, what: str) -> None:
    """Checks an answer as without HTTP, unless the server could not read a request at all."""
    if answer.status in {400, 414, 431} and "apigw-requestid" not in answer.headers:
        assert "Traceback" not in (answer.text or ""), what
        return
    # A busy machine may answer 503.
    if answer.status != 503:
        check_answer(answer, what)


@pytest.mark.parametrize("route", dict(examples()))
def test_bodies(api: Gateway, route: str) -> None:
    method, path = route.format(order_id="1001", comment_id="1795424400000001").split()
    for name, body in BODIES.items():
        check_http_answer(send(api, method, path, body), name)
    for content_type in CONTENT_TYPES:
        check_http_answer(send(api, method, path, b"{}", content_type), content_type[:50])


@pytest.mark.parametrize("route", [route.key for route in TEMPLATE.operations if "{order_id}" in route.path])
def test_paths(api: Gateway, route: str) -> None:
    method, path = route.replace("{number}", "INV-2026-00001").replace("{comment_id}", "1").split()
    for segment in SEGMENTS:
        answer = send(api, method, path.replace("{order_id}", segment), b"{}")
        check_http_answer(answer, segment[:50])
        # None of them is an existing order, however it is decoded.
        assert answer.status >= 400, segment[:50]


def test_queries_and_headers(api: Gateway) -> None:
    for path in ("/orders", "/admin/orders", "/orders/1001/comments", "/admin/orders/1001/timeline"):
        for query in QUERIES:
            check_http_answer(send(api, "GET", f"{path}?{query}"), query[:50])
    comment = json.dumps({"content": SECRET}).encode()
    for header in HEADERS:
        for value in HEADER_VALUES:
            line = header.encode() + b": " + value
            check_http_answer(
                send(api, "GET", "/orders/1001", b"", "application/json", line), f"{header}: {value[:50]!r}"
            )
            answer = send(api, "POST", "/orders/1001/comments", comment, "application/json", line)
            check_http_answer(answer, f"{header}: {value[:50]!r}")


def test_service_still_works_afterwards(api: Gateway) -> None:
    assert api.call("GET", "/orders/1001").status == 200
