"""Builds the layer and all functions as for Lambda, for the tests that run them."""

import json
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, TEMPLATE

from bundle.build import runtime_python


@dataclass(frozen=True, slots=True)
class Built:
    """A folder for each built resource, and the Python interpreter to run them with."""

    python: str
    folder: Path

    @property
    def layer(self) -> Path:
        return self.folder / "OrdersLayer/python"

    def run(self, script: str, environment: dict[str, str], *arguments: Any) -> Any:
        """Runs a script without other packages. Returns the last line of its standard error, parsed as JSON."""
        command = [self.python, "-I", "-S", "-B", "-c", script, json.dumps(arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stderr.splitlines()[-1])

    def build(self, resource: str, out: Path) -> None:
        architecture = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
        command = [self.python, str(ROOT / "bundle/build.py"), "--architecture", architecture, resource, str(out)]
        subprocess.run(command, check=True)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    python = runtime_python()
    if python is None:
        pytest.skip("needs Python 3.13, as Lambda has, to compile for it")
    built = Built(os.path.realpath(python), tmp_path_factory.mktemp("built"))
    for resource in ("OrdersLayer", *TEMPLATE.functions):
        built.build(resource, built.folder / resource)
    return built
