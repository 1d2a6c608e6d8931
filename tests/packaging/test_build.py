"""What SAM packs for Lambda: that the code finds all it uses there, compiled, and nothing of this machine."""

import importlib.util
import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = re.findall(
    r"^  (\w+Function):\n(?:    .*\n)*?      Handler: (\w+)\.app\.handler$", (ROOT / "template.yaml").read_text(), re.M
)

# Runs where the built folders are mounted: imports all functions and says which modules had to be compiled for it.
IMPORT_ALL = """
import importlib, json, sys
layer, *functions = sys.argv[1:]
compiled = []
sys.path += [layer, *functions]
sys.addaudithook(lambda event, what: compiled.append(str(what[1])) if event == "compile" else None)
for function in functions:
    importlib.import_module(f"{function.rpartition('/')[2]}.app")
print(json.dumps([path for path in compiled if path.startswith((layer, *functions)) and path.endswith(".py")]))
"""


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build", ROOT / "packaging/build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_build(*arguments: object) -> None:
    command = [sys.executable, ROOT / "packaging/build.py", *arguments]
    subprocess.run([str(part) for part in command], check=True)


def test_every_function_of_the_template_has_its_folder(build: ModuleType) -> None:
    assert FUNCTIONS
    for resource, package in FUNCTIONS:
        assert build.package_of(resource) == package
        assert (ROOT / "functions" / package / "app.py").exists()


@pytest.mark.parametrize("path", ["shared/requirements.txt", "functions/send_invoice/requirements.txt"])
def test_requirements_are_pinned(path: str) -> None:
    lines = [line for line in (ROOT / path).read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)


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
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, complaint: str
) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / "app.py").write_text(f"def work():\n    {code}\n")
    with pytest.raises(SystemExit, match=complaint):
        build.check_use(tmp_path)


def test_what_is_imported_late_is_there_for_whoever_uses_it(build: ModuleType, tmp_path: Path) -> None:
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
def test_what_cannot_be_imported_late_stops_the_build(
    build: ModuleType, tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/client.py").write_text(text)
    with pytest.raises(SystemExit, match=complaint):
        build.import_late(tmp_path, "package.client", ["package.slow"])


def test_bytecode_is_used_whatever_the_dates_are_and_names_no_folder_of_this_machine(
    build: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/module.py").write_text("def answer(): return 42\n")
    build.compile_all(tmp_path, "/opt/python")
    [compiled] = tmp_path.rglob("*.pyc")
    content = compiled.read_bytes()
    # PEP 552: bit 0 says that a hash follows, bit 1 (not set) that it is checked.
    assert int.from_bytes(content[4:8], "little") == 0b01
    assert b"/opt/python/package/module.py" in content
    assert str(tmp_path).encode() not in content


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, as Lambda has, to import what is built for it")
def test_functions_find_all_they_import_in_the_built_folders_and_compile_nothing(
    build: ModuleType, tmp_path: Path
) -> None:
    python = build.runtime_python()
    if python is None:
        pytest.skip("needs Python 3.13, which Lambda has, to compile for it")
    architecture = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
    run_build("--architecture", architecture, "OrdersLayer", tmp_path / "layer")
    folders = [tmp_path / "layer/python"]
    for resource, package in FUNCTIONS:
        folders.append(tmp_path / package)
        run_build("--architecture", architecture, resource, folders[-1])
    # -I: neither this folder nor what is installed here for the user. -S: nor what is installed at all.
    command = [python, "-I", "-S", "-c", IMPORT_ALL, *map(str, folders)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={})
    assert json.loads(found.stdout) == []
    size = sum(path.stat().st_size for path in folders[0].rglob("*") if path.is_file())
    assert size <= 25_000_000, "the layer has become larger than it need be: what in it is not used?"
