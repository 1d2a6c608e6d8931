"""Fixtures for the tests of the importer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import TEMPLATE
from imports import Faults, Table
from process import http

from importer import __main__ as command
from importer import writing
from local import emulator, server


@pytest.fixture(scope="session")
def server_with_faults() -> Iterator[tuple[str, int, Faults]]:
    made: list[Faults] = []

    def serve(listener: Any, app: Any, handler: Any) -> Any:
        made.append(Faults(app))
        return server.serve(listener, made[0], handler)

    listener = server.listen("127.0.0.1", 0, "")
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(emulator, "serve", serve)
        running = emulator.start(listener)
    yield server.url(listener), listener.getsockname()[1], made[0]
    running.shutdown()
    running.server_close()
    listener.close()


@pytest.fixture
def table(server_with_faults: tuple[str, int, Faults], monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """An empty table on an emulated AWS."""
    url, port, faults = server_with_faults
    assert http.request("POST", f"{url}/moto-api/reset").status == 200
    for name, value in emulator.environment({}, url).items():
        monkeypatch.setenv(name, value)
    emulator.provision(TEMPLATE)
    monkeypatch.setattr(writing, "FIRST_DELAY", 0.01)
    faults.calls.clear()
    yield Table(url, port, faults)
    faults.fault = lambda operation, done: None


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, list[str]]]:
    """Runs the command and returns its exit status, its output and the lines of its error output."""

    def run(path: Path, *arguments: str) -> tuple[int, str, list[str]]:
        status = command.main([str(path), "--table", "OrdersTable", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err.splitlines()

    return run
