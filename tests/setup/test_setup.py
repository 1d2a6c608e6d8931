"""What is installed is what the locks list, whatever has been released since, with old and new versions of pip."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distributions
from pathlib import Path

import pytest
from harness import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# One process runs all of them: they share an index that takes a while to fill.
pytestmark = [pytest.mark.setup, pytest.mark.xdist_group("setup")]

DEPLOYED = [
    Path("shared/requirements.txt"),
    *(path.relative_to(ROOT) for path in ROOT.glob("functions/*/requirements.txt")),
]

OLDEST_PIP = {
    (3, 11): "pip==22.3 --hash=sha256:1daab4b8d3b97d1d763caeb01a4640a2250a0ea899e257b1e44b9eded91e15ab",
    (3, 12): "pip==23.2.1 --hash=sha256:7ccf472345f20d35bdc9d1841ff5f313260c2c33fe417f48c30ac46cccabf5be",
    (3, 13): "pip==24.2 --hash=sha256:2cd581cf58ab7fcfca4ce8efa6dcacd0de5bf8d0a3eb9ec927e07405f4d9e2a2",
}
"""The pip that the first release of each Python brought."""

NEWEST_PIP = "pip==26.3 --hash=sha256:f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"

PIPS = {"oldest pip": OLDEST_PIP.get(sys.version_info[:2], NEWEST_PIP), "newest pip": NEWEST_PIP}

LAMBDA = ("--platform=manylinux2014_aarch64", "--python-version=3.13", "--implementation=cp")

PYTHON = """#!/bin/sh
# A Python that brings another pip.
"{python}" "$@" || exit
case "$1 $2" in "-m venv")
  for folder; do :; done
  "$folder/bin/python" -m pip install --quiet --no-index --disable-pip-version-check "{wheel}" ;;
esac
"""

INSTALL = """
import sys
from pathlib import Path
sys.path.insert(0, "bundle")
import build
build.install(build.ROOT / sys.argv[1], "arm64", Path(sys.argv[2]))
"""


def locked(lock: Path, **environment: str) -> dict[str, str]:
    """The versions that a lock pins for this machine, or for another environment, by package."""
    lines = (line.strip().removesuffix("\\") for line in lock.read_text().splitlines())
    pinned = [Requirement(line) for line in lines if line and not line.startswith(("#", "--"))]
    return {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in pinned
        if not each.marker or each.marker.evaluate(environment)
    }


def installed(folder: Path) -> dict[str, str]:
    return {canonicalize_name(each.name): each.version for each in distributions(path=[str(folder)])}


def in_environment(venv: Path) -> dict[str, str]:
    """What is installed in a virtual environment, without the installers."""
    [packages] = venv.glob("lib/python*/site-packages")
    return {name: at for name, at in installed(packages).items() if name not in {"pip", "setuptools", "uv"}}


def download(target: Path, *arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", f"--dest={target}", *map(str, arguments)]
    subprocess.run(command, check=True)


def write_wheel(index: Path, name: str, version: str, *metadata: str) -> Path:
    """Puts a package without content into an index."""
    stem = f"{name.replace('-', '_')}-{version}"
    (index / name).mkdir(exist_ok=True)
    path = index / name / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata, ""]
        wheel.writestr(f"{stem}.dist-info/METADATA", "\n".join(lines))
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")
    return path


def write_release_with_extra(index: Path) -> str:
    """Puts two packages into an index, of which one needs an extra of the other, and locks them.

    Old versions of pip look for that extra in newer releases, too. No package that is deployed has such a need today.
    """
    wheels = [
        write_wheel(index, "needed", "1.0", "Provides-Extra: more"),
        write_wheel(index, "needing", "1.0", "Requires-Dist: needed[more]>=1"),
    ]
    hashes = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels]
    return "".join(
        f"{wheel.parent.name}==1.0 \\\n    --hash=sha256:{value}\n" for wheel, value in zip(wheels, hashes, strict=True)
    )


class Files(SimpleHTTPRequestHandler):
    """Serves folders. The listing of a folder is what PEP 503 asks of a package's page: links to its files."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All locked packages, and the versions of pip to try."""
    folder = tmp_path_factory.mktemp("wheels")
    download(folder, "-r", ROOT / "requirements-dev.txt", "-r", ROOT / "requirements-uv.txt")
    for lock in DEPLOYED:
        download(folder, *LAMBDA, "-r", ROOT / lock)
    for pip in set(PIPS.values()):
        asked = folder / "pip.txt"
        asked.write_text(pip)
        download(folder, "-r", asked)
    return folder


@pytest.fixture(scope="module")
def folder_of_index(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index where each locked package has a newer release."""
    folder = tmp_path_factory.mktemp("index")
    for wheel in wheels.glob("*.whl"):
        name = canonicalize_name(wheel.name.split("-")[0])
        (folder / name).mkdir(exist_ok=True)
        (folder / name / wheel.name).hardlink_to(wheel)
    (folder / "extra.txt").write_text(write_release_with_extra(folder))
    for package in [path for path in folder.iterdir() if path.is_dir()]:
        write_wheel(folder, package.name, "99999")
    return folder


@pytest.fixture(scope="module")
def index(folder_of_index: Path) -> Iterator[str]:
    """Where that index is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=folder_of_index)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def environment(index: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of someone who has nothing installed, and that index alone."""
    home = tmp_path_factory.mktemp("home")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def make(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--silent", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project as it is committed: nothing is set up."""
    made = (".*", "__pycache__")
    return Path(shutil.copytree(ROOT, tmp_path / "project", ignore=shutil.ignore_patterns(*made)))


@pytest.mark.parametrize("pip", PIPS)
def test_new_releases_change_nothing(
    pip: str, project: Path, wheels: Path, folder_of_index: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    version = PIPS[pip].split()[0].removeprefix("pip==")
    python = tmp_path / "python"
    python.write_text(PYTHON.format(python=sys.executable, wheel=next(wheels.glob(f"pip-{version}-*.whl"))))
    python.chmod(0o755)
    venv = project / ".venv"

    token = make(project, environment, "token", "SUB=alice", f"PYTHON={python}")
    assert token.returncode == 0, token.stderr
    assert token.stdout.count(".") == 2
    assert version in subprocess.check_output([venv / "bin/pip", "--version"], text=True)
    assert in_environment(venv) == locked(ROOT / "requirements-run.txt")

    ready = make(project, environment, ".venv/ready", f"PYTHON={python}")
    assert ready.returncode == 0, ready.stderr
    assert in_environment(venv) == locked(ROOT / "requirements-dev.txt")

    extra = Path(shutil.copy(folder_of_index / "extra.txt", project))
    for lock in [*DEPLOYED, extra.relative_to(project)]:
        target = tmp_path / "packages" / lock.parent / lock.stem
        command = [venv / "bin/python", "-c", INSTALL, lock, target]
        subprocess.run([str(each) for each in command], cwd=project, env=environment, check=True)
        assert installed(target) == locked(project / lock, python_full_version="3.13.0", python_version="3.13")


def test_two_terminals_may_set_up_at_once(project: Path, environment: dict[str, str]) -> None:
    # Nothing to install: the virtual environment is what they would take from each other.
    for lock in ("requirements-run.txt", "requirements-dev.txt"):
        (project / lock).write_text("")
    command = ["make", ".venv/ready", f"PYTHON={sys.executable}"]
    both = {"cwd": project, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    makes = [subprocess.Popen(command, **both) for _ in range(3)]  # type: ignore[call-overload]
    said = [each.communicate(timeout=120)[0] for each in makes]
    assert [each.returncode for each in makes] == [0, 0, 0], said
    assert "".join(said).count("Setting up .venv") == 1
    subprocess.run([project / ".venv/bin/uv", "--version"], check=True, stdout=subprocess.DEVNULL)


def test_an_index_that_does_not_answer_is_told(project: Path, environment: dict[str, str]) -> None:
    token = make(project, environment | {"PIP_INDEX_URL": "http://127.0.0.1:9/"}, "token", "SUB=alice")
    assert (token.returncode, token.stdout) == (2, "")
    assert ".venv could not be set up; the reason is above." in token.stderr
    assert not (project / ".venv/running").exists()


def test_the_unit_tests_pass_in_two_years() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "two_years_ahead", "-p", "no:cacheprovider", "tests/unit"]
    environment = os.environ | {"PYTHONPATH": "tests"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
