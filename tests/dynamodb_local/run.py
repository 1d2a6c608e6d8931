"""Runs tests on DynamoDB Local: fetches it from Maven Central once, starts it in memory, and stops it.

Exits with 69 (`EX_UNAVAILABLE` in sysexits.h) without Java, Maven or Maven Central, otherwise with pytest's status.
"""

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
POM = Path(__file__).with_name("pom.xml")
KEPT = ROOT / ".local" / "dynamodb-local"
LOG = KEPT / "log"

UNAVAILABLE = 69
MAIN = "software.amazon.dynamodb.services.local.main.ServerRunner"

ABOUT_OTHERS = ("corpus", "mail_headers", "privileges", "recipients")
"""Integration tests about requests, mails and roles. On DynamoDB Local they would only take longer."""

RUNS = (
    ["-n", "auto", "tests/integration", *(f"--ignore=tests/integration/test_{name}.py" for name in ABOUT_OTHERS)],
    ["tests/dynamodb_local/test_many_orders.py"],
    ["tests/dynamodb_local/test_races.py", "tests/dynamodb_local/test_series.py"],
)
"""The arguments of pytest, one run after the other: the races need the machine and DynamoDB Local for themselves."""

# Runs a command until our end of the pipe closes, which it does even if this process is killed.
GUARDED = ("sh", "-c", 'exec 3<&0; { read -r _ <&3; kill $$; } & exec "$@" 3<&- </dev/null', "sh")


class Missing(Exception):
    """A requirement of DynamoDB Local is missing. The message says which one, and what to do."""


def java() -> str:
    """Returns the path of Java."""
    command = shutil.which("java")
    output = (
        subprocess.run([command, "-version"], check=False, capture_output=True, text=True).stderr if command else ""
    )
    version = re.search(r'version "(\d+)', output)
    if command and version and int(version[1]) >= 17:
        return command
    found = f"Java on the path is {version[1]}, and 17 is needed" if version else "there is no Java on the path"
    raise Missing(f"{found}; install it, on Debian and Ubuntu with: apt install openjdk-17-jre-headless")


def fetch() -> Path:
    """Fetches DynamoDB Local, unless the version in the POM is already there. Returns the folder of its jars."""
    jars = KEPT / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if not maven:
        raise Missing(
            "there is no Maven on the path to fetch it; install it, on Debian and Ubuntu with: apt install maven"
        )
    print("Fetching DynamoDB Local from Maven Central, once: half a minute or so …", flush=True)
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    with TemporaryDirectory(dir=KEPT) as folder:
        # -U: retries downloads that failed before.
        command = [maven, "-B", "-q", "-U", "--strict-checksums", "-f", str(POM), "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={folder}/jars"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            LOG.write_text(done.stdout + done.stderr, encoding="utf-8")
            raise Missing(
                "Maven could not fetch it from Maven Central; connect to the network, or name a mirror in "
                f"~/.m2/settings.xml (what Maven says is in {LOG.relative_to(ROOT)})"
            )
        Path(folder, "jars").rename(jars)
    return jars


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Starts DynamoDB Local in memory, yields its URL, and stops it."""
    command, jars = java(), fetch()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
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
    # So that context managers are closed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        ends = []
        for run in [arguments] if arguments else RUNS:
            # A new one for each run: it keeps the data of deleted tables, and every call takes longer.
            with dynamodb_local() as url:
                ends.append(pytest(url, run))
        return next(filter(None, ends), 0)
    except Missing as missing:
        print(f"The tests on DynamoDB Local were left out: {missing}", file=sys.stderr)
        return UNAVAILABLE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
