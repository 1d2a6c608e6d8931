"""Debugging a function with and without DEBUG=1."""

import json
import os
import pty
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import stub_project
from process import http

from local import ROOT

BREAKING = """
import time

def echo(event, context):
    secret = 6 * 7
    breakpoint()
    return {"secret": secret}

def hang(event, context):
    time.sleep(1)
    return {"remaining": context.get_remaining_time_in_millis()}
"""

SERVE = """if True:
    import os, pathlib, sys, time
    import stub_project
    with stub_project.serve(pathlib.Path(sys.argv[1]), debug=True) as gateway:
        print("port", gateway.listener.getsockname()[1], flush=True)
        while True:
            time.sleep(1)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose function stops at a breakpoint."""
    folder = stub_project.write(tmp_path)
    (folder / "code" / "stub.py").write_text(BREAKING)
    return folder


class Terminal:
    """The terminal of the gateway."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._seen = ""

    def wait_for(self, text: str) -> str:
        """Reads until a text appears, and returns what was shown before it."""
        while text not in self._seen:
            assert select.select([self._descriptor], [], [], 60)[0], f"{text!r} does not appear: {self._seen}"
            self._seen += os.read(self._descriptor, 10_000).decode()
        before, _, self._seen = self._seen.partition(text)
        return before

    def type(self, text: str) -> None:
        os.write(self._descriptor, f"{text}\n".encode())


@contextmanager
def debugging(folder: Path) -> Iterator[tuple[Terminal, str]]:
    """Serves a project in debug mode on a terminal of its own."""
    controller, descriptor = pty.openpty()
    process = subprocess.Popen(
        # setsid -c makes the terminal the one that /dev/tty means, as a login does.
        ["setsid", "-c", sys.executable, "-c", SERVE, str(folder)],
        stdin=descriptor,
        stdout=descriptor,
        stderr=descriptor,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "TERM": "dumb"},
    )
    os.close(descriptor)
    terminal = Terminal(controller)
    try:
        terminal.wait_for("port ")
        yield terminal, f"http://127.0.0.1:{terminal.wait_for(chr(10)).strip()}"
    finally:
        process.kill()
        process.wait()
        os.close(controller)


def test_breakpoint_opens_a_debugger_on_the_terminal(project: Path) -> None:
    answers: list[bytes] = []
    with debugging(project) as (terminal, url):
        call = threading.Thread(target=lambda: answers.append(http.request("POST", f"{url}/open", timeout=60).data))
        call.start()
        terminal.wait_for("(Pdb) ")
        terminal.type("secret")
        assert "42" in terminal.wait_for("(Pdb) ")
        terminal.type("secret = 43")
        terminal.wait_for("(Pdb) ")
        terminal.type("continue")
        call.join(60)
    assert json.loads(answers[0]) == {"secret": 43}


def test_functions_have_no_timeout_in_debug_mode(project: Path) -> None:
    # The function's timeout is 0.3 seconds, and it takes one.
    with debugging(project) as (_, url):
        answer = http.request("POST", f"{url}/hang", timeout=60)
    assert answer.status == 200
    assert answer.json()["remaining"] > 60 * 60 * 1000


def test_without_debug_a_breakpoint_says_how_to_debug(project: Path) -> None:
    with stub_project.serve(project) as gateway:
        assert gateway("POST", "/open").status == 500
        assert (
            "breakpoint() needs a debugger: start the gateway in a terminal with make run DEBUG=1" in gateway.lines[-1]
        )
