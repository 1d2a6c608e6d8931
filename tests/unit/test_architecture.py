"""Module dependencies point one way, and docs/architecture.md shows them."""

import ast
import re
from pathlib import Path

import pytest
from harness import ROOT

ORDERS = ROOT / "shared" / "orders"

LAYERS = (
    {"lazy"},
    {"errors", "negotiation", "settings", "startup", "strict_json", "telemetry", "types"},
    {"aws", "cursors", "etags", "identity", "money"},
    {"terms"},
    {"models"},
    {"invoices", "payments", "tax"},
    {"comment_views", "completeness", "history", "items", "keys", "lifecycle", "requests"},
    {"responses"},
    {"archive", "http", "mailing", "stream", "table", "views"},
    {"documents", "e_invoice", "lists", "store"},
    {"printing"},
    {"bulk", "comments", "ledger"},
    {"timeline", "withdrawal"},
    {"cancellation"},
)
"""The modules of `orders`, lowest layer first. A module imports only from layers below its own."""

WITHOUT_AWS = {
    *(
        "comment_views",
        "errors",
        "history",
        "identity",
        "invoices",
        "items",
        "keys",
        "lifecycle",
        "models",
        "money",
        "payments",
        "requests",
    ),
    *("completeness", "responses", "settings", "stream", "tax", "terms", "types", "views"),
}
"""Modules that load no AWS library, not even through the modules that they import."""


def imports(path: Path) -> set[str]:
    """Returns the names of all modules that a file imports, also those for type checkers only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # `from orders import aws` imports `orders.aws`.
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if node.module == "orders" else {str(node.module)}
    return found


def modules() -> dict[str, set[str]]:
    """Returns the modules of `orders`, each with those that it imports. The package `mailing` counts as one."""
    found: dict[str, set[str]] = {}
    for path in sorted(ORDERS.rglob("*.py")):
        module = path.relative_to(ORDERS).parts[0].removesuffix(".py")
        used = {name.split(".")[1] for name in imports(path) if name.startswith("orders.")}
        found[module] = found.get(module, set()) | used - {module}
    del found["__init__"]
    return found


MODULES = modules()


def layer(module: str) -> int:
    return next(index for index, names in enumerate(LAYERS) if module in names)


def test_every_module_has_a_layer() -> None:
    assert sorted(name for names in LAYERS for name in names) == sorted(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_modules_import_only_from_lower_layers(module: str) -> None:
    assert {used for used in MODULES[module] if layer(used) >= layer(module)} == set()


def test_shared_code_does_not_import_functions() -> None:
    functions = {path.name for path in (ROOT / "functions").iterdir()}
    for path in ORDERS.rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & (functions | {"functions", "local", "importer"})


def test_functions_do_not_import_each_other() -> None:
    functions = {path.name for path in (ROOT / "functions").iterdir()}
    for path in (ROOT / "functions").rglob("*.py"):
        used = {name.split(".")[0] for name in imports(path)} & functions
        assert used <= {path.relative_to(ROOT / "functions").parts[0]}, path


@pytest.mark.parametrize("module", sorted(WITHOUT_AWS))
def test_domain_loads_no_aws_library(module: str) -> None:
    used, left = set[str](), {module}
    while left:
        used |= left
        left = {name for each in left for name in MODULES[each]} - used
    libraries = {name.split(".")[0] for each in used for name in imports(ORDERS / f"{each}.py")}
    assert not libraries & {"aws_lambda_powertools", "boto3", "botocore"}


def test_files_stay_small() -> None:
    folders = (ROOT / name for name in ("shared", "functions"))
    lengths = {path: len(path.read_bytes().splitlines()) for folder in folders for path in folder.rglob("*.py")}
    assert {path.name: length for path, length in lengths.items() if length > 400} == {}


def test_environment_is_read_in_one_place() -> None:
    readers = {
        path.stem
        for folder in ("shared", "functions")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"os\.environ|getenv", path.read_text(encoding="utf-8"))
    }
    # `startup` runs before any setting is read: it prepares how the process loads.
    assert readers == {"settings", "startup"}


def test_diagram_shows_the_imports() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    [diagram] = re.findall(r"^```mermaid\nflowchart TD\n(.*?)^```$", text, re.M | re.S)
    lines = [line.split(" --> ") for line in diagram.splitlines()]
    arrows = {(module.strip(), used) for module, targets in lines for used in targets.split(" & ")}
    assert arrows == {(module, used) for module, names in MODULES.items() for used in direct(module, names)}


def direct(module: str, names: set[str]) -> set[str]:
    """Returns the imports that are not also imported by another import: the others would clutter the diagram."""
    return {name for name in names if not any(name in reachable(other) for other in names - {name})}


def reachable(module: str) -> set[str]:
    return MODULES[module] | {name for used in MODULES[module] for name in reachable(used)}
