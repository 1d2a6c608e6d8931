"""The candidates: our functions as built, the same functions without bytecode, and other ways to write them."""

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bundle.build import PLATFORMS, PYTHON, package_of

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / ".local" / "bench"
PEERS = Path(__file__).with_name("peers")
CANCEL, COMMENT, INVOICE, NOTIFY, READ = FUNCTIONS = (
    "CancelOrderFunction",
    "AddCommentFunction",
    "SendInvoiceFunction",
    "NotifyCustomerFunction",
    "ReadOrdersFunction",
)
ARCHITECTURE = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A function and its layer, as Lambda lays them out.

    Attributes:
        name: Its name in the tables.
        resource: The function in `template.yaml` that it implements, which determines its settings and requests.
        handler: Its handler.
        function: The folder that is mounted at /var/task.
        layer: The folder that is mounted at /opt; contains `python/`.
    """

    name: str
    resource: str
    handler: str
    function: Path
    layer: Path

    def path(self) -> list[str]:
        """The folders that Lambda puts on the path before Python's own, in order."""
        return [str(self.function), str(self.layer / "python"), str(OUT / "runtime")]


EMPTY = OUT / "empty"
YARDSTICK = Artifact('boto3.client("dynamodb")', CANCEL, "", EMPTY, EMPTY)
"""Yardstick (a). boto3 is installed where Lambda's runtime has it, with bytecode."""

FASTAPI = Artifact("cancel, FastAPI + Mangum", CANCEL, "app.handler", OUT / "fastapi_cancel", EMPTY)
POWERTOOLS = Artifact("cancel, Powertools + boto3.resource", CANCEL, "app.handler", OUT / "powertools_cancel", EMPTY)


def ours(function: str) -> Artifact:
    """A function as `sam build` builds it."""
    package = package_of(function)
    built = OUT / "ours"
    return Artifact(
        package.replace("_", "-"), function, f"{package}.app.handler", built / function, built / "OrdersLayer"
    )


def plain(function: str) -> Artifact:
    """Yardstick (b): the same function as SAM's Python build packages it, without bytecode."""
    built = ours(function)
    packed = OUT / "plain"
    return replace(
        built, name=f"{built.name}, without bytecode", function=packed / function, layer=packed / "OrdersLayer"
    )


def build(python: str, say: Callable[[str], None]) -> None:
    """Builds all candidates from scratch.

    Args:
        python: An interpreter of Lambda's Python version.
        say: Reports progress.
    """
    shutil.rmtree(OUT, ignore_errors=True)
    EMPTY.mkdir(parents=True)
    for resource in ("OrdersLayer", *FUNCTIONS):
        say(f"building {resource}")
        command = [python, str(ROOT / "bundle/build.py"), "--architecture", ARCHITECTURE, resource]
        _run([*command, str(OUT / "ours" / resource)])
    say("packaging the same without bytecode")
    install(python, ROOT / "shared/requirements.txt", OUT / "plain/OrdersLayer/python", "--no-deps")
    copy(ROOT / "shared/orders", OUT / "plain/OrdersLayer/python/orders")
    for function in FUNCTIONS:
        package = ROOT / "functions" / package_of(function)
        if (package / "requirements.txt").exists():
            install(python, package / "requirements.txt", OUT / "plain" / function, "--no-deps")
        copy(package, OUT / "plain" / function / package.name)
    for peer in ("fastapi_cancel", "powertools_cancel"):
        say(f"packaging {peer}")
        install(python, PEERS / peer / "requirements.txt", OUT / peer)
        shutil.copy(PEERS / peer / "app.py", OUT / peer)
    say("packaging boto3")
    boto3 = re.search(r"^boto3==.*$", (ROOT / "requirements-dev.in").read_text(encoding="utf-8"), re.MULTILINE)
    assert boto3
    (OUT / "boto3.txt").write_text(boto3[0], encoding="utf-8")
    install(python, OUT / "boto3.txt", OUT / "runtime")
    _run([python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(OUT / "runtime")])


def install(python: str, requirements: Path, target: Path, *options: str) -> None:
    """Installs packages into a folder with plain pip, with further options."""
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]
    command += ["--no-compile", "--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    command += [f"--platform={PLATFORMS[ARCHITECTURE]}", f"--requirement={requirements}", f"--target={target}"]
    _run([*command, *options])


def copy(source: Path, target: Path) -> None:
    """Copies a package without its bytecode caches."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "requirements.txt"))


def size(folder: Path) -> int:
    """The total size of the files in a folder, in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _run(command: list[str]) -> None:
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"command failed: {' '.join(command)}")
