"""Injects faults between the service and the emulated AWS, so that botocore meets them as it would meet real ones."""

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
    """The fate of one call."""

    THROTTLED = "throttled"
    TIMED_OUT_BEFORE = "timed out before it was performed"
    TIMED_OUT_AFTER = "timed out after it was performed"
    FAILED = "5xx before it was performed"
    FAILED_AFTER = "5xx after it was performed"
    RESET = "connection reset before it was performed"
    RESET_AFTER = "connection reset after it was performed"
    DENIED = "access denied"
    MALFORMED = "performed, with a malformed answer"
    CONFLICT = "conflict with another transaction"
    IN_PROGRESS = "performed, but reported as in progress"


PERFORMED = {Fault.TIMED_OUT_AFTER, Fault.FAILED_AFTER, Fault.RESET_AFTER, Fault.MALFORMED, Fault.IN_PROGRESS}
"""The faults in which AWS performs the call, whatever it answers."""

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
    """Records calls and injects faults into them.

    A call that must fail carries its fault in a header, and the server at the other end of the wire applies it.

    Attributes:
        calls: The calls so far, each as service, operation and its number among calls of that kind.
        fault_for: Returns the fault of an attempt (from 1) at a call: botocore retries some failed calls.
    """

    def __init__(self, port: int, backend: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._backend = backend
        self._lock = threading.Lock()
        self._impatient = URLLib3Session(timeout=(30, 0.05))  # type: ignore[arg-type]
        self._performed: dict[str, urllib3.BaseHTTPResponse] = {}
        self.hanging = threading.Semaphore(0)
        self.released = threading.Event()
        self.reset()

    def reset(self, fault_for: Callable[[str, int], Fault | None] = lambda *_: None) -> None:
        """Forgets all calls, and uses `fault_for` from now on."""
        self.fault_for = fault_for
        self.calls: list[str] = []
        self._attempts: dict[str, list[str]] = {}

    def attach(self, client: Any) -> None:
        """Injects faults into the calls of a client."""
        client.meta.events.register("before-send", self._send)

    def _send(self, request: Any, event_name: str, **_: object) -> Any:
        """Sends a call that must time out; leaves all others to botocore."""
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
            fault = self.fault_for(attempts[0], len(attempts))
        if fault is None:
            return None
        request.headers["x-fault"] = f"{fault.name} {asked}"
        if fault not in {Fault.TIMED_OUT_BEFORE, Fault.TIMED_OUT_AFTER}:
            return None
        # As botocore would, but with a much shorter timeout.
        try:
            return self._impatient.send(request)
        finally:
            # Waits until the server has finished its part.
            assert self.hanging.acquire(timeout=30), f"{request.url} is not this wire"

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> urllib3.BaseHTTPResponse:
        """Forwards a call to the emulated AWS."""
        # Like DynamoDB and unlike moto: a transaction that is repeated with its token is not performed again.
        token = json.loads(body).get("ClientRequestToken", "") if b'"ClientRequestToken"' in body else ""
        if token in self._performed:
            return self._performed[token]
        to_dynamodb = headers.get("X-Amz-Target", "").startswith("DynamoDB_")
        backend = DYNAMODB_LOCAL if DYNAMODB_LOCAL and to_dynamodb else self._backend
        answer = _http.request(method, backend + path, headers=headers, body=body, redirect=False, retries=False)
        if token and answer.status == 200:
            self._performed[token] = answer
        return answer


SERVICES = {"dynamodb": "dynamodb", "s3": "s3", "sesv2": "ses"}

_http = urllib3.PoolManager(maxsize=64)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are sent separately, and must not wait for each other's acknowledgement.
    disable_nagle_algorithm = True
    wire: Wire

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name, service, operation = self.headers.get("x-fault", "  ").split(" ")
        fault = Fault[name] if name else None
        if fault is None or fault in PERFORMED:
            answer = self.wire.forward(self.command, self.path, dict(self.headers), body)
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
            # Without time to linger, the connection is reset instead of closed.
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
        """Ignores clients that disconnect, which some tests provoke."""


@contextmanager
def wire_to(backend: str) -> Iterator[Wire]:
    """Serves a wire to an emulated AWS."""
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
    """An emulated AWS on a local port. It shares its state with `service`."""
    listener = server.listen("127.0.0.1", 0, "")
    running = emulator.start(listener)
    yield server.url(listener)
    running.shutdown()
    running.server_close()
    listener.close()


@pytest.fixture
def wire(emulated_aws: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Makes the service reach AWS over a wire. A test must request it before `service`."""
    with wire_to(emulated_aws) as wire:
        for name in ("AWS_ENDPOINT_URL", *(["AWS_ENDPOINT_URL_DYNAMODB"] if DYNAMODB_LOCAL else [])):
            monkeypatch.setenv(name, wire.url)
        for config in (aws.DYNAMODB, aws.S3, aws.SES):
            # Only the injected faults may fail, however busy the machine is.
            monkeypatch.setattr(config, "read_timeout", 30)
        # botocore retries as usual, but without waiting.
        monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
        request.getfixturevalue("service")
        for client in (aws.dynamodb(), aws.s3(), aws.ses()):
            wire.attach(client)
        yield wire
