"""`make run` and `make token`, run as processes."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
    """Serves the API and yields the process and its start screen."""
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


def address(screen: str) -> str:
    found = re.search(r"service is running at (\S+)", screen)
    assert found
    return found[1]


def test_commands_of_the_start_screen_work_as_printed() -> None:
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


def test_token_command_prints_a_valid_token_only() -> None:
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
def test_gateway_stops_quietly(sent: signal.Signals) -> None:
    with serving() as (process, _):
        process.send_signal(sent)
        _, err = process.communicate(timeout=10)
        assert (process.returncode, err) == (0, "")


def test_gateway_without_ses_serves_and_warns() -> None:
    with serving(AWS_ENDPOINT_URL_SESV2="http://127.0.0.1:9") as (_, screen):
        assert "Warning: sesv2 does not work at http://127.0.0.1:9" in screen
        assert http.request("POST", f"{address(screen)}/orders/1001/cancel", headers=bearer(screen)).status == 204


@pytest.mark.parametrize("variable", ["PORT", "AWS_PORT"])
def test_port_in_use_is_reported(variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, out, err = finish(**{variable: port})
    assert (status, out) == (1, "")
    assert err == f"orders: port {port} on 127.0.0.1 is in use: stop what uses it, or set {variable}\n"


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"PORT": "http"}, "PORT=http is not a port"),
        ({"PORT": "70000"}, "PORT=70000 is not a port"),
        ({"HOST": "203.0.113.1"}, "cannot listen on 203.0.113.1"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9"}, "DynamoDB does not respond at http://127.0.0.1:9"),
    ],
)
def test_usage_errors_are_printed_without_a_traceback(environment: dict[str, str], says: str) -> None:
    status, out, err = finish(**environment)
    assert (status, out) == (1, "")
    assert err.startswith(f"orders: {says}")
    assert err.count("\n") == 1


def bearer(screen: str) -> dict[str, str]:
    found = re.search(r"^export ALICE=(\S+)$", screen, re.MULTILINE)
    assert found
    return {"Authorization": f"Bearer {found[1]}"}
