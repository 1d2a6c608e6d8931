"""Fixtures for the tests of the local gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import stub_project
from stub_project import Client

from local import emulator, server


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small project."""
    return stub_project.write(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def gateway(project: Path) -> Iterator[Client]:
    """A gateway that serves the small project."""
    with stub_project.serve(project) as client:
        yield client


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of an emulated AWS."""
    listener = server.listen("127.0.0.1", 0, "")
    running = emulator.start(listener)
    yield server.url(listener)
    running.shutdown()
    running.server_close()
    listener.close()


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The emulated AWS, for all clients of this process."""
    for name, value in emulator.environment({}, endpoint).items():
        monkeypatch.setenv(name, value)
    return endpoint
