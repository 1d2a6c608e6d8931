"""Builds one resource of template.yaml, the layer or a function, into the folder that SAM packs.

SAM's own Python build ships no bytecode, and where Lambda unpacks it nothing can be written: every cold start would
compile every module again, which takes longer than all the rest. So the packages for Lambda's processor are fetched
here, freed of what no function reads, and compiled. The same input always gives the same bytes.
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
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.util import resolve_name
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.13"
"""The runtime in template.yaml. Bytecode is good for this minor version alone."""

PLATFORMS = {"arm64": "manylinux2014_aarch64", "x86_64": "manylinux2014_x86_64"}

SERVICES = {
    "dynamodb": ("BatchGetItem", "GetItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"),
    "s3": ("GetObject", "PutObject"),
    "sesv2": ("SendEmail",),
}
"""The services of AWS that the code makes clients for, and the operations it calls. botocore describes over 400 in
30 MB, and reads all of a service to call one operation."""

CLIENT = {"close", "generate_presigned_url"}
"""What a client can do that is no operation."""

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
    "botocore/data/*/*/[!es]*",
    "botocore/data/**/examples-1.json",
    # Fonts beside those that the invoice is printed in.
    "justmytype_western_core/fonts/ofl/inter/Inter-Italic*",
    *(
        f"justmytype_western_core/fonts/ofl/{family}"
        for family in ("jetbrainsmono", "notosans", "notosansmono", "notoserif", "sourceserif4", "stixtwomath")
    ),
)
"""Files of packages that nothing reads when the code runs."""

LATE = {
    "aws_lambda_powertools": ("aws_lambda_powertools.tracing",),
    "aws_lambda_powertools.event_handler": ("aws_lambda_powertools.event_handler",),
    "aws_lambda_powertools.event_handler.openapi": ("aws_lambda_powertools.event_handler.openapi",),
    "aws_lambda_powertools.logging.logger": ("aws_lambda_powertools.utilities.jmespath_utils",),
    "aws_lambda_powertools.utilities.data_classes": ("aws_lambda_powertools.utilities.data_classes",),
    "botocore.client": ("botocore.paginate", "botocore.retries.adaptive", "botocore.waiter"),
    "botocore.configloader": ("configparser",),
    "botocore.credentials": ("dateutil.parser",),
    "botocore.docs": ("botocore.docs",),
    "botocore.docs.docstring": ("botocore.docs",),
    "botocore.paginate": ("jmespath",),
    "botocore.regions": ("jmespath",),
    "botocore.session": ("botocore.paginate", "botocore.waiter"),
    "botocore.tokens": ("dateutil.parser",),
    "botocore.utils": ("dateutil.parser", "jmespath", "tempfile", "urllib.request"),
    "pydantic.plugin._loader": ("importlib.metadata",),
    "urllib3.http2": ("importlib.metadata",),
}
"""Modules of packages, and what they import although few requests need it. It is imported where it is used, by those
that do. (Python 3.15 has `lazy import` for that, and makes this list superfluous.)"""

CHANGED = "# Changed by packaging/build.py, so that it loads and does less."
"""The first line of modules that are not as they came."""

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
        trim_descriptions(target / "botocore/data")
        trim_handlers(target / "botocore/handlers.py")
        empty_types(target / "pydantic_core/core_schema.py")
        for module, late in LATE.items():
            import_late(target, module, late)
        trim_locales(target / "babel/locale-data")
        for library in sorted(target.rglob("*.so")):
            strip(library)
    shutil.copytree(
        source, target / source.name, ignore=shutil.ignore_patterns("__pycache__", "requirements.*", "py.typed")
    )
    compile_templates(target, target / source.name / "templates")
    compile_all(target, mounted)


def package_of(function: str) -> str:
    """`SendInvoiceFunction` → `send_invoice`."""
    return snake_case(function.removesuffix("Function"))


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
        for method in calls(tree) - CLIENT:
            if method not in {snake_case(operation) for operations in SERVICES.values() for operation in operations}:
                sys.exit(f"{path.relative_to(ROOT)} calls {method}: add it to SERVICES or to CLIENT in {__file__}")


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


def calls(tree: ast.AST) -> set[str]:
    """What code does with clients: `self._client.get_item(…)`."""
    functions = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    methods = (function for function in functions if isinstance(function, ast.Attribute))
    return {method.attr for method in methods if getattr(method.value, "attr", "") == "_client"}


def snake_case(name: str) -> str:
    """`SendInvoice` → `send_invoice`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def install(requirements: Path, architecture: str, target: Path) -> None:
    """Fetches the packages for Lambda's processor, whatever this machine's is, and none but those that are locked."""
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--root-user-action=ignore", "--no-compile", "--no-deps", "--only-binary=:all:", "--require-hashes"),
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


def trim_descriptions(data: Path) -> None:
    """Takes out of botocore's descriptions of AWS what is for people, and the services and operations not called here.

    They are read at each cold start, and unpacking them takes longer than reading them.
    """
    for path in sorted(data.rglob("*.json.gz")):
        known = json.loads(gzip.decompress(path.read_bytes()))
        if path.name == "service-2.json.gz":
            keep_operations(known, SERVICES[path.parent.parent.name])
            # Not all of it: in some other parts botocore wants to find the documentation.
            known |= {part: undocumented(known[part]) for part in ("operations", "shapes")}
        path.with_suffix("").write_text(json.dumps(known, separators=(",", ":")), encoding="utf-8")
        path.unlink()
    endpoints = data / "endpoints.json"
    if endpoints.exists():
        known = json.loads(endpoints.read_text(encoding="utf-8"))
        for partition in known["partitions"]:
            partition["services"] = {name: at for name, at in partition["services"].items() if name in SERVICES}
        endpoints.write_text(json.dumps(known, separators=(",", ":")), encoding="utf-8")


def keep_operations(known: dict[str, Any], names: Iterable[str]) -> None:
    """Reduces the description of a service to some operations, and to the shapes that these are made of."""
    known["operations"] = {name: known["operations"][name] for name in names}
    needed: dict[str, Any] = {}
    left = shapes_of(known["operations"])
    while left:
        name = left.pop()
        if name not in needed:
            needed[name] = known["shapes"][name]
            left |= shapes_of(needed[name])
    known["shapes"] = dict(sorted(needed.items()))


def shapes_of(known: Any) -> set[str]:
    """The names of all shapes that a part of a description refers to."""
    if isinstance(known, list):
        return {name for value in known for name in shapes_of(value)}
    if not isinstance(known, dict):
        return set()
    # A member may be called so, too. Then it is no text.
    own = {value for name, value in known.items() if name == "shape" and isinstance(value, str)}
    return own | {name for value in known.values() for name in shapes_of(value)}


def undocumented(known: Any) -> Any:
    """A description of a service without its documentation."""
    if isinstance(known, dict):
        # A member of a service may be called so, too. Then it is no text.
        return {
            name: undocumented(value)
            for name, value in known.items()
            if not (name == "documentation" and isinstance(value, str))
        }
    return [undocumented(value) for value in known] if isinstance(known, list) else known


def trim_handlers(module: Path) -> None:
    """Takes out of botocore's list of handlers those of services that nobody calls, and those that write documentation.

    Each client gets all of them.
    """
    if not module.exists():
        return
    tree = ast.parse(module.read_text(encoding="utf-8"))
    [handlers] = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BUILTIN_HANDLERS"
    )
    assert isinstance(handlers, ast.List)
    pairs = (each for each in handlers.elts if isinstance(each, ast.Tuple))
    handlers.elts = [pair for pair in pairs if is_ours(*ast.literal_eval(pair.elts[0]).split("."))]
    module.write_text(f"{CHANGED}\n{ast.unparse(tree)}\n", encoding="utf-8")


def is_ours(event: str, service: str = "", *_: str) -> bool:
    """Whether an event of botocore, such as `before-call.s3.DeleteObjects`, can happen here."""
    return event not in {"docs", "getattr"} and (not service or service in SERVICES)


def empty_types(module: Path) -> None:
    """Takes the members out of a module's `TypedDict`s, which each start would make anew.

    Only type checkers look at them. When the code runs, a `TypedDict` is a plain dictionary, whatever its members are.
    """
    if not module.exists():
        return
    tree = ast.parse(module.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and [ast.unparse(base) for base in node.bases] == ["TypedDict"]:
            node.body = [ast.Pass()]
    module.write_text(f"{CHANGED}\n{ast.unparse(tree)}\n", encoding="utf-8")


def import_late(target: Path, module: str, late: Iterable[str]) -> None:
    """Has a module import something only where it uses it.

    Args:
        target: The folder of the packages.
        module: The module's name.
        late: What it shall import late: modules, and all below them.
    """
    path = target.joinpath(*module.split("."))
    package = module if path.is_dir() else module.rpartition(".")[0]
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not (target / module.split(".", maxsplit=1)[0]).exists():
        return
    if not path.exists():
        sys.exit(f"{module} is no longer there: correct LATE in {__file__}")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports: dict[str, ast.stmt] = {}
    for statement in [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]:
        for alias in list(statement.names):
            again: ast.stmt = ast.Import([alias])
            module_name, brought = alias.name, alias.name.split(".")[0]
            if isinstance(statement, ast.ImportFrom):
                origin = resolve_name("." * statement.level + (statement.module or ""), package)
                again = ast.ImportFrom(origin, [alias], 0)
                module_name, brought = f"{origin}.{alias.name}", alias.name
            if any(f"{module_name}.".startswith(f"{each}.") for each in late):
                imports[alias.asname or brought] = again
                statement.names.remove(alias)
        if not statement.names:
            tree.body.remove(statement)
    if not imports:
        sys.exit(f"{module} no longer imports {', '.join(late)}: correct LATE in {__file__}")
    if early := insert_imports(tree, imports, inside=False):
        sys.exit(f"{module} needs {', '.join(sorted(early))} at once: correct LATE in {__file__}")
    # For those who import these names from here. PEP 562.
    others = ["def __getattr__(name):"]
    for name, again in imports.items():
        others += [f"    if name == {name!r}:", f"        {ast.unparse(again)}", f"        return {name}"]
    others += ['    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")']
    path.write_text("\n".join([CHANGED, ast.unparse(ast.fix_missing_locations(tree)), *others, ""]), encoding="utf-8")


def insert_imports(node: ast.AST, imports: dict[str, ast.stmt], *, inside: bool) -> set[str]:
    """Inserts imports before each statement that uses them, in all functions below a statement.

    Args:
        node: The statement, or a part of one that holds statements.
        imports: Imports, by the name that they bring.
        inside: Whether it is in a function.

    Returns:
        The names that the statement itself uses, without those below it: when it runs, they must be there.
    """
    used: set[str] = set()
    for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for field, value in ast.iter_fields(node):
        # Neither runs: annotations are only text in all of these modules.
        if field in {"annotation", "returns"} or (field == "body" and for_types):
            continue
        within = inside or (field == "body" and isinstance(node, ast.FunctionDef))
        lines: list[ast.AST] = []
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
                needed = insert_imports(child, imports, inside=within)
                if within and isinstance(child, ast.stmt):
                    lines += [imports[name] for name in sorted(needed)]
                else:
                    used |= needed
            elif isinstance(child, ast.AST):
                used |= {name.id for name in ast.walk(child) if isinstance(name, ast.Name)} & imports.keys()
            lines.append(child)
        if isinstance(value, list):
            value[:] = lines
    return used


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


def compile_templates(target: Path, templates: Path) -> None:
    """Turns a function's templates of Jinja2, and what they extend, into Python, as `ModuleLoader` wants it."""
    if not templates.is_dir():
        return
    # Its own copy, because another version may write what this one cannot run.
    sys.path.insert(0, str(target))
    sys.dont_write_bytecode = True
    from jinja2 import Environment, FileSystemLoader, select_autoescape  # noqa: PLC0415

    # What of the environment the written Python depends on.
    written = Environment(
        loader=FileSystemLoader([templates, ROOT / "shared/orders/mailing/templates"]),
        autoescape=select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Its name alone: what it does is looked up when a mail is written.
    written.filters["lines"] = str.splitlines
    written.compile_templates(templates / "compiled", extensions=["html", "txt"], zip=None, ignore_errors=False)


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
