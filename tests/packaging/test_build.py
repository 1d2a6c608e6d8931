"""What SAM packs for Lambda: that the code finds all it uses there, compiled, and nothing of this machine."""

import json
import platform
import re
import subprocess
import sys
from pathlib import Path

import build
import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = re.findall(
    r"^  (\w+Function):\n(?:    .*\n)*?      Handler: (\w+)\.app\.handler$", (ROOT / "template.yaml").read_text(), re.M
)
LOCKS = [
    ROOT / "shared/requirements.txt",
    *sorted((ROOT / "functions").glob("*/requirements.txt")),
    ROOT / "requirements-dev.txt",
]

# Runs where the built folders are mounted: imports a function and says which modules had to be compiled for it.
IMPORT = """
import importlib, json, sys
layer, function = sys.argv[1:]
compiled = []
sys.path += [layer, function]
sys.addaudithook(lambda event, what: compiled.append(str(what[1])) if event == "compile" else None)
importlib.import_module(f"{function.rpartition('/')[2]}.app")
print(json.dumps([path for path in compiled if path.startswith((layer, function)) and path.endswith(".py")]))
"""


def run_build(*arguments: object) -> None:
    command = [sys.executable, ROOT / "packaging/build.py", *arguments]
    subprocess.run([str(part) for part in command], check=True)


def test_every_function_of_the_template_has_its_folder() -> None:
    assert FUNCTIONS
    for resource, package in FUNCTIONS:
        assert build.package_of(resource) == package
        assert (ROOT / "functions" / package / "app.py").exists()


def locked(path: Path) -> dict[tuple[str, str], set[str]]:
    """What a lock pins: name and version, and the hashes."""
    found = dict[tuple[str, str], set[str]]()
    for line in path.read_text().replace("\\\n", " ").splitlines():
        if line.strip().startswith("#"):
            continue
        pinned = re.fullmatch(r"([\w.-]+)==([\w.]+)(?: ; [^#]+?)?((?: +--hash=sha256:[0-9a-f]{64})+)", line)
        assert pinned, line
        found[pinned[1], pinned[2]] = set(pinned[3].split())
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lock_has_what_is_asked_for_and_all_of_it_with_hashes(path: Path) -> None:
    asked = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)$", path.with_suffix(".in").read_text(), re.M)
    assert asked
    assert {(name.lower().replace("_", "-"), version) for name, version in asked} <= locked(path).keys()


@pytest.mark.parametrize("path", LOCKS[:-1], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_tests_run_with_is_what_is_deployed(path: Path) -> None:
    development = locked(LOCKS[-1])
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
def test_what_is_not_locked_stops_the_build(
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


@pytest.mark.build
def test_the_bill_of_materials_lists_what_is_deployed_and_is_always_the_same(tmp_path: Path) -> None:
    bills = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        # What the tests run in is there, whatever its date.
        command = [
            "make",
            "--silent",
            "--old-file=.venv/ready",
            "sbom",
            f"SBOM={folder}",
            f"BIN={Path(sys.executable).parent}",
        ]
        subprocess.run(command, cwd=ROOT, check=True)
        bills.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert bills[0] == bills[1]
    for path in LOCKS[:-1]:
        bill = json.loads(bills[0][f"{path.parent.name}.cdx.json"])
        assert bill["bomFormat"] == "CycloneDX"
        assert not {"serialNumber", "timestamp"} & {*bill, *bill["metadata"]}
        assert {each["purl"] for each in bill["components"]} == {f"pkg:pypi/{n}@{v}" for n, v in locked(path)}
        for each in bill["components"]:
            [distribution] = each["externalReferences"]
            hashes = {f"--hash=sha256:{found['content']}" for found in distribution["hashes"]}
            assert hashes == locked(path)[each["name"], each["version"]]


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("import pydantic.v1", "take pydantic.v1 off UNUSED"),
        ("from pydantic import v1", "take pydantic.v1 off UNUSED"),
        ("from pydantic.v1.fields import Field", "take pydantic.v1 off UNUSED"),
        ("get_session().create_client('sns')", "add it to SERVICES"),
        ("boto3.client('sqs', config=None)", "add it to SERVICES"),
        ("self._client.delete_item(Key={})", "calls delete_item: add it to SERVICES"),
    ],
)
def test_code_that_uses_what_is_taken_away_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, complaint: str
) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / "app.py").write_text(f"def work():\n    {code}\n")
    with pytest.raises(SystemExit, match=complaint):
        build.check_use(tmp_path)


def test_what_is_imported_late_is_there_for_whoever_uses_it(tmp_path: Path) -> None:
    for name, text in {
        "__init__": "",
        "slow": "def answer(): return 42\nTWICE = 84",
        "client": "from .slow import TWICE, answer\nfrom . import slow as other\n"
        "def work(again=False):\n    if again:\n        return other.answer()\n    return answer()\n",
    }.items():
        (tmp_path / "package").mkdir(exist_ok=True)
        (tmp_path / f"package/{name}.py").write_text(text)
    build.import_late(tmp_path, "package.client", ["package.slow"])
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from package import client; early = 'package.slow' in sys.modules\n"
        "from package.client import TWICE; print([early, client.work(), client.work(again=True), TWICE])"
    )
    done = subprocess.run([sys.executable, "-B", "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert done.stdout == "[False, 42, 42, 84]\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("from package.slow import answer\nFOUND = answer()\n", "needs answer at once"),
        ("import json\n", "no longer imports package.slow"),
    ],
)
def test_what_cannot_be_imported_late_stops_the_build(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/client.py").write_text(text)
    with pytest.raises(SystemExit, match=complaint):
        build.import_late(tmp_path, "package.client", ["package.slow"])


def test_bytecode_is_used_whatever_the_dates_are_and_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/module.py").write_text("def answer(): return 42\n")
    build.compile_all(tmp_path, "/opt/python")
    [compiled] = tmp_path.rglob("*.pyc")
    content = compiled.read_bytes()
    # PEP 552: bit 0 says that a hash follows, bit 1 (not set) that it is checked.
    assert int.from_bytes(content[4:8], "little") == 0b01
    assert b"/opt/python/package/module.py" in content
    assert str(tmp_path).encode() not in content


@pytest.mark.build
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, as Lambda has, to import what is built for it")
def test_functions_find_all_they_import_in_the_built_folders_and_compile_nothing(tmp_path: Path) -> None:
    python = build.runtime_python()
    if python is None:
        pytest.skip("needs Python 3.13, which Lambda has, to compile for it")
    architecture = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
    run_build("--architecture", architecture, "OrdersLayer", tmp_path / "layer")
    folders = [tmp_path / "layer/python"]
    for resource, package in FUNCTIONS:
        folders.append(tmp_path / package)
        run_build("--architecture", architecture, resource, folders[-1])
    layer, *functions = folders
    # -I: neither this folder nor what is installed here for the user. -S: nor what is installed at all. Each in a
    # process of its own, as in Lambda: what one has loaded, another might find.
    for function in functions:
        command = [python, "-I", "-S", "-c", IMPORT, str(layer), str(function)]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={})
        assert json.loads(found.stdout) == []
    size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
    assert size <= 25_000_000, "the layer has become larger than it need be: what in it is not used?"
