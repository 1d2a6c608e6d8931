"""Runs the gateway as `make run` does, in its own process on free ports, and calls it over HTTP."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from harness import ROOT, Answer
from programs import free_port

from local.template import Template
from local.tokens import SigningKey, claims_for

http = urllib3.PoolManager(maxsize=64, retries=False)

CALLERS: dict[str, dict[str, Any]] = {
    "alice": {"sub": "alice"},
    "bob": {"sub": "bob"},
    "admin": {"sub": "ada", "admin": True, "name": "Ada Admin"},
}


class Gateway:
    """A running gateway."""

    def __init__(self, process: subprocess.Popen[str], url: str, aws: str) -> None:
        self.process = process
        self.url = url
        self.aws = aws
        asked = Template(ROOT / "template.yaml").jwt
        assert asked
        key = SigningKey(ROOT / ".local")
        self.tokens = {name: key.sign(claims_for(asked, **who)) for name, who in CALLERS.items()}
        machine = {"client_id": "erp", "scope": "orders/admin"}
        self.tokens["machine"] = key.sign(claims_for(asked, "erp") | machine)

    def call(self, method: str, path: str, *, token: str | None = None, body: Any = None, **headers: str) -> Answer:
        """Calls the API, by default as admin below `/admin` and as Alice elsewhere. `token=""` sends no token."""
        token = self.tokens["admin" if path.startswith("/admin/") else "alice"] if token is None else token
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            headers["Authorization"] = f"Bearer {self.tokens.get(token, token)}"
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, str) else json.dumps(body)
        answer = http.request(method, self.url + path, headers=headers, body=body, timeout=60)
        return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.data.decode() or None)

    def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self.call("POST", path, body=body, **more)

    def send_invoice(self, order_id: str, **body: Any) -> None:
        """Sends an order's invoice."""
        answer = self.post(f"/admin/orders/{order_id}/send-invoice", body)
        assert answer.status == 200, answer.text

    def outbox(self, order_id: str, about: str) -> list[dict[str, Any]]:
        """Returns the mails about an order, oldest first: each `invoice`, each `notice`, or those to the `staff`."""
        mails: list[dict[str, Any]] = self.call("GET", "/_local/outbox", token="", accept="application/json").json
        of_order = [mail for mail in mails if mail["tags"]["order_id"] == order_id]
        return [mail for mail in of_order if _kind(mail) == about]

    def documents(self, order_id: str) -> list[dict[str, Any]]:
        """Returns the documents of an order as the staff sees them."""
        documents: list[dict[str, Any]] = self.call("GET", f"/admin/orders/{order_id}/invoices").json["invoices"]
        return documents


def _kind(mail: dict[str, Any]) -> str:
    # A credit note comes with a notice.
    notice: str = mail["tags"].get("notice", "")
    return "staff" if notice.startswith("staff_") else "notice" if notice else "invoice"


@contextmanager
def emulated_aws() -> Iterator[str]:
    """Runs the emulated AWS of a gateway in a separate process, so that it outlives the gateway."""
    port = free_port()
    program = f"""if True:
        import time
        from local import emulator, server
        emulator.start(server.listen("127.0.0.1", {port}, ""))
        while True:
            time.sleep(60)
        """
    # A clean environment, as the gateway has: no AWS settings of this process.
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env={"PATH": os.environ["PATH"]}) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            patience = urllib3.Retry(total=200, backoff_factor=0.1, backoff_max=0.2)
            urllib3.PoolManager().request("GET", f"{url}/moto-api/", retries=patience)
            yield url
        finally:
            process.kill()


@contextmanager
def gateway(**environment: str) -> Iterator[Gateway]:
    """Starts a gateway, and stops it afterwards."""
    port, aws_port = free_port(), free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PORT": str(port), "AWS_PORT": str(aws_port), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    output = []
    for line in process.stdout:
        output.append(line)
        if "Press Ctrl-C to stop" in line:
            break
    else:
        raise AssertionError("the gateway did not start:\n" + "".join(output))
    # Its output must be read, or it blocks when the pipe is full.
    threading.Thread(target=process.stdout.read, daemon=True).start()
    try:
        yield Gateway(process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{aws_port}")
    finally:
        process.terminate()
        # Much longer than it takes, unless there are many mails and the machine is busy.
        process.wait(timeout=60)
        process.stdout.close()
