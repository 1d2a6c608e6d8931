"""The wire to the emulated AWS, with faults on it: what botocore and all above it meet when a real one fails."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import urllib3
from botocore.httpsession import URLLib3Session
from harness import DYNAMODB_LOCAL

from local import emulator, server
from orders import aws


class Fault(StrEnum):
    """What becomes of one call."""

    THROTTLED = "throttled"
    TIMED_OUT_BEFORE = "timed out before it was done"
    TIMED_OUT_AFTER = "timed out after it was done"
    FAILED = "5xx before it was done"
    FAILED_AFTER = "5xx after it was done"
    RESET = "connection reset before it was done"
    RESET_AFTER = "connection reset after it was done"
    DENIED = "access denied"
    MALFORMED = "done, and the answer garbled"
    CONFLICT = "met by another transaction"
    IN_PROGRESS = "done, and said to be still in progress"


DONE = {Fault.TIMED_OUT_AFTER, Fault.FAILED_AFTER, Fault.RESET_AFTER, Fault.MALFORMED, Fault.IN_PROGRESS}
"""The faults in which AWS does what it was asked for, whatever it answers."""

REFUSALS: dict[Fault, dict[str, tuple[int, str]]] = {
    Fault.THROTTLED: {
        "dynamodb": (400, "ThrottlingException"),
        "ses": (429, "TooManyRequestsException"),
        "s3": (503, "SlowDown"),
    },
    Fault.DENIED: {
        "dynamodb": (400, "AccessDeniedException"),
        "ses": (403, "AccessDeniedException"),
        "s3": (403, "AccessDenied"),
    },
    Fault.FAILED: {
        "dynamodb": (500, "InternalServerError"),
        "ses": (500, "InternalServiceErrorException"),
        "s3": (500, "InternalError"),
    },
    Fault.CONFLICT: {"dynamodb": (400, "TransactionConflictException")},
    Fault.IN_PROGRESS: {"dynamodb": (400, "TransactionInProgressException")},
}
REFUSALS[Fault.FAILED_AFTER] = REFUSALS[Fault.FAILED]


class Wire:
    """What goes over the wire, and what goes wrong on it.

    A call that is to fail says so in a header, and the other end of the wire sees to it.

    Attributes:
        calls: The calls so far, each as its service, operation and how many-th of its kind it is.
        strike: Says what becomes of an attempt (from 1) at a call: botocore repeats some that failed.
    """

    def __init__(self, port: int, backend: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._backend = backend
        self._lock = threading.Lock()
        self._impatient = URLLib3Session(timeout=(30, 0.05))  # type: ignore[arg-type]
        self._done: dict[str, urllib3.BaseHTTPResponse] = {}
        self.hanging = threading.Semaphore(0)
        self.released = threading.Event()
        self.begin_anew()

    def begin_anew(self, strike: Callable[[str, int], Fault | None] = lambda *_: None) -> None:
        """Forgets what was, and does what `strike` says from now on."""
        self.strike = strike
        self.calls: list[str] = []
        self._attempts: dict[str, list[str]] = {}

    def tap(self, client: Any) -> None:
        """Puts the faults on what a client says."""
        client.meta.events.register("before-send", self._send)

    def _send(self, request: Any, event_name: str, **_: object) -> Any:
        """Has a call fail, if it is to; otherwise leaves it to botocore."""
        service, operation = event_name.split(".")[1:]
        asked = f"{SERVICES[service]} {operation}"
        with self._lock:
            attempts = self._attempts.setdefault(request.headers["amz-sdk-invocation-id"].decode(), [])
            if not attempts:
                before = sum(call.startswith(f"{asked} ") for call in self.calls)
                attempts.append(f"{asked} {before + 1}")
                self.calls += attempts
            else:
                attempts.append(attempts[0])
            fault = self.strike(attempts[0], len(attempts))
        if fault is None:
            return None
        request.headers["x-fault"] = f"{fault.name} {asked}"
        if fault not in {Fault.TIMED_OUT_BEFORE, Fault.TIMED_OUT_AFTER}:
            return None
        # As botocore would, but that it takes no second until the time is out.
        try:
            return self._impatient.send(request)
        finally:
            # Whatever is to be done before has been done.
            self.hanging.acquire()

    def do(self, method: str, path: str, headers: dict[str, str], body: bytes) -> urllib3.BaseHTTPResponse:
        """Has the emulated AWS do what is asked for."""
        # As DynamoDB does and moto does not: a transaction that is repeated with its token is not done again.
        token = json.loads(body).get("ClientRequestToken", "") if b'"ClientRequestToken"' in body else ""
        if token in self._done:
            return self._done[token]
        to_dynamodb = headers.get("X-Amz-Target", "").startswith("DynamoDB_")
        backend = DYNAMODB_LOCAL if DYNAMODB_LOCAL and to_dynamodb else self._backend
        answer = _http.request(method, backend + path, headers=headers, body=body, redirect=False, retries=False)
        if token and answer.status == 200:
            self._done[token] = answer
        return answer


SERVICES = {"dynamodb": "dynamodb", "s3": "s3", "sesv2": "ses"}

_http = urllib3.PoolManager(maxsize=64)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are sent one after the other: together they need not wait for an acknowledgement.
    disable_nagle_algorithm = True
    wire: Wire

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name, service, operation = self.headers.get("x-fault", "  ").split(" ")
        fault = Fault[name] if name else None
        if fault is None or fault in DONE:
            answer = self.wire.do(self.command, self.path, dict(self.headers), body)
        if fault is None:
            self._answer(answer.status, answer.data, dict(answer.headers))
        elif fault in REFUSALS:
            self._refuse(service, operation, *REFUSALS[fault][service], parts=body.count(b'"Put"'))
        elif fault is Fault.MALFORMED:
            self._answer(200, answer.data[: len(answer.data) // 2] or b"<", {"Content-Type": "application/json"})
        elif fault in {Fault.TIMED_OUT_BEFORE, Fault.TIMED_OUT_AFTER}:
            self.wire.hanging.release()
            self.wire.released.wait()
            self.close_connection = True
        else:
            # With no time to linger, the connection is not closed but reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST  # noqa: N815 - http.server's names

    def _refuse(self, service: str, operation: str, status: int, code: str, parts: int) -> None:
        error: dict[str, Any] = {"__type": code, "message": "in table OrdersTable: bob@example.com"}
        if code == "TransactionConflictException" and operation == "TransactWriteItems":
            error["__type"] = "TransactionCanceledException"
            error["CancellationReasons"] = [
                {"Code": "TransactionConflict", "Message": "x"},
                *[{"Code": "None"}] * parts,
            ]
        body = f"<Error><Code>{code}</Code><Message>x</Message></Error>" if service == "s3" else json.dumps(error)
        self._answer(status, body.encode(), {"x-amzn-errortype": code} if service == "ses" else {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keeps the tests' output readable."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that hung up is the point of some tests."""


@contextmanager
def wire_to(backend: str) -> Iterator[Wire]:
    """A wire to an emulated AWS."""
    handler: Any = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as serving:
        wire = handler.wire = Wire(serving.server_address[1], backend)
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield wire
        finally:
            wire.released.set()
            serving.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def emulated_aws() -> Iterator[str]:
    """An emulated AWS on a port of this machine. What it keeps is what `service` sees."""
    listener = server.listen("127.0.0.1", 0, "")
    running = emulator.start(listener)
    yield server.url(listener)
    running.shutdown()
    running.server_close()
    listener.close()


@pytest.fixture
def wire(emulated_aws: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Has the service reach AWS over a wire. To be asked for before the service."""
    with wire_to(emulated_aws) as wire:
        for name in ("AWS_ENDPOINT_URL", *(["AWS_ENDPOINT_URL_DYNAMODB"] if DYNAMODB_LOCAL else [])):
            monkeypatch.setenv(name, wire.url)
        for config in (aws.DYNAMODB, aws.S3, aws.SES):
            # Nothing but the faults shall fail, however busy the machine is.
            monkeypatch.setattr(config, "read_timeout", 30)
        # Only how long botocore waits before it repeats a call is left out.
        monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
        request.getfixturevalue("service")
        for client in (aws.dynamodb(), aws.s3(), aws.ses()):
            wire.tap(client)
        yield wire
