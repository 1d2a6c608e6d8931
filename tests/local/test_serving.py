"""`make run` and `make token` as a person meets them: processes of their own."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from local import ROOT

pytestmark = pytest.mark.gateway

http = urllib3.PoolManager(retries=False)


def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    given = {"PATH": os.environ["PATH"], "PORT": "0", "AWS_PORT": "0", **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "local", *arguments],
        cwd=ROOT,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Runs a command to its end."""
    with run(*arguments, **environment) as process:
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err


@contextmanager
def serving(**environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serves the API, and says what is on the first screen."""
    with run(**environment) as process:
        assert process.stdout
        screen = ""
        while "Requests:\n" not in screen:
            line = process.stdout.readline()
            assert line, f"{screen}{process.stderr.read() if process.stderr else ''}"
            screen += line
        try:
            yield process, screen
        finally:
            process.kill()


def test_two_terminals_may_ask_at_once_for_what_is_not_set_up_yet(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    # Nothing to install: the virtual environment is what they would take from each other.
    (tmp_path / "requirements-dev.txt").touch()
    makes = [
        subprocess.Popen(
            ["make", ".venv/ready", f"PYTHON={sys.executable}"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(3)
    ]
    said = [make.communicate(timeout=60)[0] for make in makes]
    assert [make.returncode for make in makes] == [0, 0, 0], said
    assert subprocess.run([tmp_path / ".venv/bin/python", "-m", "pip", "--version"], check=False).returncode == 0


def address(screen: str) -> str:
    found = re.search(r"orders are at (\S+)", screen)
    assert found
    return found[1]


def test_the_lines_of_the_first_screen_work_as_they_are() -> None:
    with serving() as (_, screen):
        assert re.search(r"^  Streams +OrdersTable → NotifyCustomerFunction$", screen, re.MULTILINE)
        tokens = dict(re.findall(r"^export (\w+)=(\S+)$", screen, re.MULTILINE))
        assert set(tokens) == {"ALICE", "BOB", "ADMIN"}
        lines = re.findall(r"^curl .*$", screen, re.MULTILINE)
        assert lines
        for line in lines:
            words = shlex.split(re.sub(r"\$(\w+)", lambda name: tokens[name[1]], line))
            method = words[words.index("-X") + 1] if "-X" in words else "GET"
            [url] = [word for word in words if word.startswith("http")]
            headers = dict(
                word.split(": ", 1) for word, before in zip(words[1:], words, strict=False) if before == "-H"
            )
            body = words[words.index("-d") + 1] if "-d" in words else None
            answer = http.request(method, url, headers=headers, body=body, redirect=False)
            assert 200 <= answer.status < 400, (line, answer.data)
        mails = http.request("GET", f"{address(screen)}/_local/outbox", headers={"Accept": "application/json"}).json()
        assert [mail["to"] for mail in mails if "invoice" in mail["tags"]] == ["bob@example.com"]


def test_a_token_is_all_that_is_printed_and_opens_the_api() -> None:
    with serving() as (_, screen):
        status, out, err = finish("token", "--sub", "ada", "--admin", "--name", "Ada Ä.")
        assert (status, err) == (0, "")
        assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", out)
        url = f"{address(screen)}/admin/orders/1001/comments"
        headers = {"Authorization": f"Bearer {out.strip()}", "Content-Type": "application/json"}
        answer = http.request("POST", url, headers=headers, body='{"content": "x"}')
        assert answer.json()["comments"][0]["admin_name"] == "Ada Ä."
        _, expired, _ = finish("token", "--sub", "ada", "--admin", "--expires", "-1")
        headers["Authorization"] = f"Bearer {expired.strip()}"
        assert http.request("POST", url, headers=headers, body='{"content": "x"}').status == 401


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_quietly(sent: signal.Signals) -> None:
    with serving() as (process, _):
        process.send_signal(sent)
        _, err = process.communicate(timeout=10)
        assert (process.returncode, err) == (0, "")


def test_without_ses_it_serves_and_says_so() -> None:
    with serving(AWS_ENDPOINT_URL_SESV2="http://127.0.0.1:9") as (_, screen):
        assert "Warning: sesv2 does not work at http://127.0.0.1:9" in screen
        assert http.request("POST", f"{address(screen)}/orders/1001/cancel", headers=bearer(screen)).status == 204


@pytest.mark.parametrize("variable", ["PORT", "AWS_PORT"])
def test_a_taken_port_is_told(variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, out, err = finish(**{variable: port})
    assert (status, out) == (1, "")
    assert err == f"orders: port {port} on 127.0.0.1 is taken: end what listens there, or set {variable}\n"


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"PORT": "http"}, "PORT=http is no port"),
        ({"PORT": "70000"}, "PORT=70000 is no port"),
        ({"HOST": "203.0.113.1"}, "cannot listen on 203.0.113.1"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9"}, "DynamoDB does not answer at http://127.0.0.1:9"),
    ],
)
def test_mistakes_are_told_without_a_traceback(environment: dict[str, str], says: str) -> None:
    status, out, err = finish(**environment)
    assert (status, out) == (1, "")
    assert err.startswith(f"orders: {says}")
    assert err.count("\n") == 1


def bearer(screen: str) -> dict[str, str]:
    found = re.search(r"^export ALICE=(\S+)$", screen, re.MULTILINE)
    assert found
    return {"Authorization": f"Bearer {found[1]}"}
