"""An SES endpoint on a real port that fails on demand, as the network or AWS may."""

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from harness import Service

from orders import aws
from orders.mailing.mail import get_mailer

ACCEPTS = {"ok", "hangs after accepting it", "drops after accepting it", "garbles", "500 after accepting it"}
"""The behaviours in which the mail has left, whatever the answer says."""

REFUSALS = {
    "400": (400, "MessageRejected"),
    "403": (403, "AccessDeniedException"),
    "404": (404, "NotFoundException"),
    "429": (429, "TooManyRequestsException"),
    "quota": (400, "LimitExceededException"),
    "500": (500, "InternalServiceErrorException"),
    "503": (503, "ServiceUnavailableException"),
    "500 after accepting it": (500, "InternalServiceErrorException"),
}


class Ses:
    """How to treat the next mail, how many mails left, and their tags."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.behaviour = "ok"
        self.requests = 0
        self.accepted = 0
        self.tags: list[dict[str, str]] = []
        self.connections = 0
        self.request_received = threading.Event()
        self.released = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ses: Ses

    def setup(self) -> None:
        super().setup()
        self.ses.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v2/email/outbound-emails":
            self._answer(200, "{}")
            return
        behaviour = self.ses.behaviour
        self.ses.requests += 1
        if behaviour in ACCEPTS:
            self.ses.accepted += 1
            self.ses.tags.append({tag["Name"]: tag["Value"] for tag in json.loads(body)["EmailTags"]})
        self.ses.request_received.set()
        if behaviour == "ok":
            self._answer(200, f'{{"MessageId": "mail-{self.ses.accepted}"}}')
        elif behaviour == "garbles":
            self._answer(200, '{"MessageId": ')
        elif behaviour in REFUSALS:
            status, code = REFUSALS[behaviour]
            self._answer(status, '{"message": "Email address is not verified: bob@example.com"}', code)
        elif behaviour.startswith("hangs"):
            self.ses.released.wait()
            self.close_connection = True
        elif behaviour.startswith("drops"):
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            raise ValueError(behaviour)

    def _answer(self, status: int, body: str, code: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("x-amzn-ErrorType", code)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Keeps the tests' output readable."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignores clients that disconnect, which some tests provoke."""


@contextmanager
def ses_endpoint() -> Iterator[Ses]:
    """Serves SES on a free port."""
    handler: Any = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        ses = handler.ses = Ses(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield ses
        finally:
            ses.released.set()
            server.shutdown()
            thread.join()


def closed_port() -> int:
    """Returns a port on which no process listens."""
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        return int(server.server_address[1])


def use_ses(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the service use another SES endpoint, with a short timeout."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", url)
    monkeypatch.setattr(aws.SES, "read_timeout", 2)
    aws.ses.cache_clear()
    get_mailer.cache_clear()


@pytest.fixture
def ses(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ses]:
    """A scripted SES endpoint that the service uses."""
    with ses_endpoint() as endpoint:
        use_ses(endpoint.url, monkeypatch)
        yield endpoint
