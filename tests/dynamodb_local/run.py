"""Runs tests on DynamoDB Local: fetches it from Maven Central once, starts it in memory, and stops it.

Exits with 69 without Java, Maven or Maven Central, otherwise with pytest's status.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from java import fetch, java
from programs import GUARDED, ROOT, free_port, run_or_leave_out

POM = Path(__file__).with_name("pom.xml")
KEPT = ROOT / ".local" / "dynamodb-local"
LOG = KEPT / "log"

MAIN = "software.amazon.dynamodb.services.local.main.ServerRunner"

ABOUT_OTHERS = ("corpus", "e_invoice", "mail_headers", "money", "privileges", "recipients", "secrecy")
"""Integration tests about requests, amounts, mails and roles. On DynamoDB Local they would only take longer."""

RUNS = (
    ["-n", "auto", "tests/integration", *(f"--ignore=tests/integration/test_{name}.py" for name in ABOUT_OTHERS)],
    ["tests/dynamodb_local/test_many_orders.py"],
    ["tests/dynamodb_local/test_races.py", "tests/dynamodb_local/test_series.py"],
)
"""The arguments of pytest, one run after the other: the races need the machine and DynamoDB Local for themselves."""


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Starts DynamoDB Local in memory, yields its URL, and stops it."""
    command, jars = java(), fetch(POM, KEPT)
    port = free_port()
    # It unpacks a library into the folder for temporary files and does not delete it.
    with TemporaryDirectory() as temporary, LOG.open("wb") as log:
        # It runs for minutes, so thorough compilation would cost more than it gains.
        options = ["-Xmx1g", "-XX:TieredStopAtLevel=1", f"-Djava.io.tmpdir={temporary}", "-cp", f"{jars}/*"]
        process = subprocess.Popen(
            [*GUARDED, command, *options, MAIN, "-inMemory", "-disableTelemetry", "-port", str(port)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            # Ctrl-C stops this process, which then stops DynamoDB Local.
            start_new_session=True,
        )
        try:
            wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(timeout=30)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    raise SystemExit(f"DynamoDB Local does not start. What it says is in {LOG.relative_to(ROOT)}")


def pytest(url: str, arguments: Sequence[str]) -> int:
    environment = os.environ | {"AWS_ENDPOINT_URL_DYNAMODB": url}
    process = subprocess.Popen([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # pytest received the signal too, and stops its workers.
        process.wait()
        raise
    except SystemExit:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise


def main(arguments: list[str]) -> int:
    ends = []
    for run in [arguments] if arguments else RUNS:
        # A new one for each run: it keeps the data of deleted tables, and every call takes longer.
        with dynamodb_local() as url:
            ends.append(pytest(url, run))
    return next(filter(None, ends), 0)


if __name__ == "__main__":
    sys.exit(run_or_leave_out("The tests on DynamoDB Local", lambda: main(sys.argv[1:])))
