"""Fixtures for the tests of the local gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import stub_project
from stub_project import Client


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small project."""
    return stub_project.write(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def gateway(project: Path) -> Iterator[Client]:
    """A gateway that serves the small project."""
    with stub_project.serve(project) as client:
        yield client
