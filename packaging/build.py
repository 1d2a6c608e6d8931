"""Builds one resource of template.yaml, the layer or a function, into the folder that SAM packs.

SAM's own Python build ships no bytecode, and where Lambda unpacks it nothing can be written: every cold start would
compile every module again, which takes longer than all the rest. So the packages for Lambda's processor are fetched
here, freed of what no function reads, and compiled. The same input always gives the same bytes.
"""

import argparse
import ast
import compileall
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.13"
"""The runtime in template.yaml. Bytecode is good for this minor version alone."""

PLATFORMS = {"arm64": "manylinux2014_aarch64", "x86_64": "manylinux2014_x86_64"}

SERVICES = ("dynamodb", "s3", "sesv2")
"""The services of AWS that the code makes clients for. botocore describes over 400, in 30 MB."""

UNUSED = (
    "aws_lambda_powertools.event_handler.openapi.swagger_ui",
    "aws_lambda_powertools.utilities.auth_alpha",
    "aws_lambda_powertools.utilities.circuit_breaker",
    "aws_lambda_powertools.utilities.data_masking",
    "aws_lambda_powertools.utilities.feature_flags",
    "aws_lambda_powertools.utilities.idempotency",
    "aws_lambda_powertools.utilities.kafka",
    "aws_lambda_powertools.utilities.parameters",
    "aws_lambda_powertools.utilities.parser",
    "aws_lambda_powertools.utilities.streaming",
    "aws_lambda_powertools.utilities.validation",
    "babel.messages",
    "dateutil.zoneinfo",
    "fontTools",
    "fontpkg",
    "justmytype",
    "pydantic.mypy",
    "pydantic.v1",
    "urllib3.contrib.emscripten",
)
"""Modules of packages that nothing here imports. Take a name off this list to use it."""

UNREAD = (
    "bin",
    "share",
    "*.dist-info",
    "**/tests",
    "**/*.pyi",
    "**/py.typed",
    # Fonts beside those that the invoice is printed in.
    "justmytype_western_core/fonts/ofl/inter/Inter-Italic*",
    *(
        f"justmytype_western_core/fonts/ofl/{family}"
        for family in ("jetbrainsmono", "notosans", "notosansmono", "notoserif", "sourceserif4", "stixtwomath")
    ),
)
"""Files of packages that nothing reads when the code runs."""

LOCALE_DATA = (
    "currency_formats",
    "currency_names",
    "currency_names_plural",
    "currency_symbols",
    "date_formats",
    "days",
    "decimal_formats",
    "default_numbering_system",
    "eras",
    "months",
    "number_symbols",
    "numbering_systems",
    "plural_form",
    "territories",
)
"""What the code has Babel look up about a language. It knows four times as much, in 30 MB."""


def main() -> None:
    """Reads the command line and builds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=PLATFORMS, required=True, help="Lambda's processor")
    parser.add_argument("resource", help="OrdersLayer, or a function's name in template.yaml")
    parser.add_argument("out", type=Path, help="folder to build into; must be empty if it exists")
    arguments = parser.parse_args()
    use_runtime_python()
    build(arguments.resource, arguments.architecture, arguments.out.resolve())


def use_runtime_python() -> None:
    """Goes on in the Python that Lambda has, if this is another one."""
    python = runtime_python()
    if python is None:
        sys.exit(
            f"Python {PYTHON} is needed to compile for Lambda, and the PATH has no python{PYTHON} that runs.\n"
            f"Install it (your system's package python{PYTHON}, `uv python install {PYTHON}`, or "
            f"`pyenv install {PYTHON} && pyenv shell {PYTHON}`), then build again."
        )
    if python != sys.executable:
        os.execv(python, [python, *sys.argv])


def runtime_python() -> str | None:
    """A Python on this machine that is of Lambda's version, or None."""
    if f"{sys.version_info[0]}.{sys.version_info[1]}" == PYTHON:
        return sys.executable
    python = shutil.which(f"python{PYTHON}")
    # pyenv has a command for every version it knows, which fails unless that version is chosen.
    if python and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
        return python
    return None


def build(resource: str, architecture: str, out: Path) -> None:
    """Builds a resource into a folder: `python/` of a layer, or the root of a function."""
    if resource == "OrdersLayer":
        source, requirements, target, mounted = ROOT / "shared/orders", ROOT / "shared", out / "python", "/opt/python"
    else:
        source = ROOT / "functions" / package_of(resource)
        requirements, target, mounted = source, out, "/var/task"
    if not source.is_dir():
        sys.exit(f"{resource}: there is no {source.relative_to(ROOT)}/")
    if out.exists() and any(out.iterdir()):
        sys.exit(f"{out} is not empty")
    target.mkdir(parents=True, exist_ok=True)
    check_use(source)
    if (requirements / "requirements.txt").exists():
        install(requirements / "requirements.txt", architecture, target)
        remove_unread(target)
        trim_locales(target / "babel/locale-data")
        for library in sorted(target.rglob("*.so")):
            strip(library)
    shutil.copytree(
        source, target / source.name, ignore=shutil.ignore_patterns("__pycache__", "requirements.*", "py.typed")
    )
    compile_all(target, mounted)


def package_of(function: str) -> str:
    """`SendInvoiceFunction` → `send_invoice`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", function.removesuffix("Function")).lower()


def check_use(source: Path) -> None:
    """Stops the build when the code uses what the build takes away."""
    for path in sorted(source.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), path)
        for module in imported(tree):
            for name in UNUSED:
                if f"{module}.".startswith(f"{name}."):
                    sys.exit(f"{path.relative_to(ROOT)} imports {module}: take {name} off UNUSED in {__file__}")
        for service in clients(tree):
            if service not in SERVICES:
                sys.exit(f"{path.relative_to(ROOT)} makes a client for {service}: add it to SERVICES in {__file__}")


def imported(tree: ast.AST) -> Iterator[str]:
    """The names of the modules that code imports. `from a import b` may mean `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def clients(tree: ast.AST) -> Iterator[str]:
    """The services that code makes clients for: `….create_client("dynamodb", …)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("create_client", "client"):
            yield from (
                name.value for name in node.args[:1] if isinstance(name, ast.Constant) and isinstance(name.value, str)
            )


def install(requirements: Path, architecture: str, target: Path) -> None:
    """Fetches the packages for Lambda's processor, whatever this machine's is, and none but those that are locked."""
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--root-user-action=ignore", "--no-compile", "--only-binary=:all:", "--require-hashes"),
        *("--implementation=cp", f"--python-version={PYTHON}", f"--platform={PLATFORMS[architecture]}"),
        *(f"--requirement={requirements}", f"--target={target}"),
    ]
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"pip could not install {requirements.relative_to(ROOT)} (its message is above)")


def remove_unread(target: Path) -> None:
    """Deletes what no function reads from the packages in a folder."""
    unread = {path for pattern in UNREAD for path in target.glob(pattern)}
    for name in UNUSED:
        path = target.joinpath(*name.split("."))
        if (target / name.split(".")[0]).exists():
            unread.add(path if path.is_dir() else path.with_suffix(".py"))
    data = target / "botocore/data"
    if data.exists():
        if missing := [service for service in SERVICES if not (data / service).is_dir()]:
            sys.exit(f"botocore does not describe {', '.join(missing)}: correct SERVICES in {__file__}")
        unread |= {path for path in data.iterdir() if path.is_dir() and path.name not in SERVICES}
    for path in unread:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        elif path.parent.exists():
            sys.exit(f"{path.relative_to(target)} is no longer there: correct UNUSED in {__file__}")


def trim_locales(folder: Path) -> None:
    """Takes out of Babel's languages, all of which stay, what the code never looks up."""
    if not folder.exists():
        return
    # The data names classes of Babel. Its own copy is at hand, whatever is installed here.
    sys.path.insert(0, str(folder.parent.parent))
    sys.dont_write_bytecode = True
    for path in sorted(folder.glob("*.dat")):
        known = pickle.loads(path.read_bytes())
        path.write_bytes(pickle.dumps({name: known[name] for name in LOCALE_DATA if name in known}, protocol=4))


def strip(library: Path) -> None:
    """Cuts the table of symbols off the end of a shared object: 16 MB of Typst that only a debugger would read."""
    content = bytearray(library.read_bytes())
    # An ELF file of 64 bits. Its program header lists what is loaded, the list of sections what else there is.
    start, size, count = *struct.unpack_from("<Q", content, 32), *struct.unpack_from("<HH", content, 54)
    end = max(sum(struct.unpack_from("<Q16xQ", content, start + n * size + 8)) for n in range(count))
    content[40:48], content[60:64] = bytes(8), bytes(4)
    library.write_bytes(content[:end])


def compile_all(target: Path, mounted: str) -> None:
    """Compiles every module, so that Lambda never has to.

    Python checks neither date nor hash of such bytecode against the source: dates change on the way to Lambda.
    Code is told to be where Lambda mounts it, so that tracebacks find the source and name no folder of this machine.
    """
    good = compileall.compile_dir(
        target,
        quiet=1,
        stripdir=str(target),
        prependdir=mounted,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not good:
        sys.exit("not every module could be compiled (the message is above)")


if __name__ == "__main__":
    main()
