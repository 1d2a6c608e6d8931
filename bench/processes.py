"""Starts the measured processes, isolated from everything that Lambda would not provide."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench.artifacts import CANCEL, COMMENT, INVOICE, NOTIFY, OUT, ROOT, YARDSTICK, Artifact
from local.template import Template

PROBE = Path(__file__).with_name("probe.py")
STUB = Path(__file__).with_name("stub.py")

TEMPLATE = Template(ROOT / "template.yaml")

EVENTS = {
    CANCEL: "cancel-order-as-customer",
    COMMENT: "add-comment-as-customer",
    INVOICE: "send-invoice-as-admin",
    NOTIFY: "notify-customer-cancellation",
}
"""The first event of each function."""


@dataclass(frozen=True, slots=True)
class Aws:
    """A local stand-in for AWS.

    Attributes:
        url: The address of the stub.
        dynamodb: The address of DynamoDB, if the stub does not provide it.
    """

    url: str
    dynamodb: str = ""

    def calls(self) -> dict[str, int]:
        """Counts the calls to the stub since the last time this was called."""
        with urlopen(f"{self.url}/calls", timeout=10) as answer:
            calls: dict[str, int] = json.load(answer)
        return calls


@contextmanager
def stub(answers: Mapping[str, Any], host: str = "127.0.0.1") -> Iterator[Aws]:
    """Starts the AWS stub with fixed responses."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(answers, file)
        file.flush()
        command = [sys.executable, str(STUB), file.name, host]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin
        assert process.stdout
        try:
            yield Aws(f"http://{host}:{int(process.stdout.readline())}")
        finally:
            process.stdin.close()
            process.wait()


def event(name: str, order_id: str | None = None, body: Any = None) -> dict[str, Any]:
    """Reads an event from `events/`, optionally for another order or with another body."""
    text = (ROOT / "events" / f"{name}.json").read_text(encoding="utf-8")
    read: dict[str, Any] = json.loads(text)
    if order_id:
        path = read["rawPath"].replace(read["pathParameters"]["order_id"], order_id)
        read |= {"rawPath": path, "pathParameters": {**read["pathParameters"], "order_id": order_id}, "body": None}
        read["requestContext"]["http"]["path"] = path
    if body is not None:
        read["body"] = json.dumps(body)
    return read


def environment(artifact: Artifact, aws: Aws) -> dict[str, str]:
    """The environment variables that Lambda sets for a function, as far as anything reads them."""
    function = TEMPLATE.functions[artifact.resource]
    return {
        **function.environment,
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_SESSION_TOKEN": "bench",
        "AWS_ENDPOINT_URL": aws.url,
        **({"AWS_ENDPOINT_URL_DYNAMODB": aws.dynamodb} if aws.dynamodb else {}),
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "LAMBDA_TASK_ROOT": "/var/task",
        # Lambda mounts code read-only.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


class Runner:
    """Runs probes.

    Args:
        python: An interpreter of Lambda's Python version.
    """

    def __init__(self, python: str) -> None:
        self._python = python

    def start(self, artifact: Artifact, aws: Aws) -> float:
        """Starts a function, sends it one request, and returns the CPU seconds of both.

        Raises:
            SystemExit: The response is not a success.
        """
        mode = "yardstick" if artifact == YARDSTICK else "start"
        events = [] if artifact == YARDSTICK else [self.first_event(artifact)]
        process = self.begin(artifact, aws, mode, events=events)
        assert process.stderr
        output = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        found = self.read(artifact, output)
        if not 200 <= found.get("status", 200) < 300:
            sys.exit(f"{artifact.name} responded with {found}")
        return used.ru_utime + used.ru_stime

    def ask(self, artifact: Artifact, aws: Aws, mode: str, **task: Any) -> dict[str, Any]:
        """Runs a probe and returns its result."""
        process = self.begin(artifact, aws, mode, **task)
        _, output = process.communicate()
        return self.read(artifact, output)

    def begin(self, artifact: Artifact, aws: Aws, mode: str, *flags: str, **task: Any) -> subprocess.Popen[bytes]:
        """Starts a probe."""
        task |= {"mode": mode, "path": artifact.path(), "handler": artifact.handler}
        # -I and -S: neither this folder nor any installed package is on the path.
        return subprocess.Popen(
            [self._python, "-I", "-S", "-B", *flags, str(PROBE), json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(artifact, aws),
            cwd=artifact.function,
        )

    def imports(self, artifact: Artifact, aws: Aws) -> str:
        """Python's report on the imports of a start (`-X importtime`)."""
        process = self.begin(artifact, aws, "start", "-X", "importtime", events=[self.first_event(artifact)])
        return process.communicate()[1].decode()

    @staticmethod
    def first_event(artifact: Artifact) -> dict[str, Any]:
        """The first event of a function."""
        return event(EVENTS[artifact.resource])

    @staticmethod
    def read(artifact: Artifact, output: bytes) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
        except (ValueError, IndexError):
            sys.exit(f"{artifact.name} failed:\n{output.decode()}\n(see {OUT})")
        return found
