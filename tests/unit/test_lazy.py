"""Postponed modules: they run only when needed, and behave as if they had run at once."""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = {
    "__init__": "print('package runs')\nfrom package.large import answer\nfrom package.small import LIMIT\n",
    "large": "print('large runs')\ndef answer(): return 42\n",
    "small": "print('small runs')\nLIMIT = 7\n",
    "user": "import package\ndef work(): return package.answer()\n",
    "itself": "import sys\nKNOWN = hasattr(sys.modules[__name__], 'MISSING')\nprint('itself runs')\n",
    "broken": "print('broken runs')\nraise RuntimeError\n",
    "slow": "print('slow runs')\nimport time\ntime.sleep(0.2)\nREADY = True\n",
}
POSTPONED = {"package": {"LIMIT": "small", "small": "small"}} | {
    f"package.{name}": {} for name in ("itself", "broken", "slow")
}


def run(folder: Path, code: str) -> list[str]:
    """Runs code in a new process in which the modules above are postponed. Returns the lines that it prints."""
    (folder / "package").mkdir()
    for name, text in PACKAGE.items():
        (folder / f"package/{name}.py").write_text(text)
    shared = Path(__file__).resolve().parents[2] / "shared"
    start = f"import sys; sys.path[:0] = {[str(folder), str(shared)]!r}\n"
    start += f"from orders import lazy; lazy.postpone({POSTPONED!r})\n"
    done = subprocess.run([sys.executable, "-c", start + code], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("import package", []),
        ("import package.small", ["small runs"]),
        ("from package import LIMIT; print(LIMIT)", ["small runs", "7"]),
        ("from package import small; print(small.LIMIT)", ["small runs", "7"]),
        ("from package import answer; print(answer())", ["package runs", "large runs", "small runs", "42"]),
        ("from package import user; print('imported')", ["package runs", "large runs", "small runs", "imported"]),
        ("import package.user as u; print('-'); u.work()", ["-", "package runs", "large runs", "small runs"]),
        ("import package.user as u; u.work(); print(u.work())", ["package runs", "large runs", "small runs", "42"]),
    ],
)
def test_module_runs_when_a_name_is_first_looked_up(tmp_path: Path, code: str, printed: list[str]) -> None:
    assert run(tmp_path, code) == printed


def test_missing_name_is_an_attribute_error_as_in_any_module(tmp_path: Path) -> None:
    code = "import package\ntry:\n    package.missing\nexcept AttributeError as error:\n    print(error)"
    assert run(tmp_path, code)[-1] == "module 'package' has no attribute 'missing'"


def test_module_that_looks_itself_up_runs_once(tmp_path: Path) -> None:
    assert run(tmp_path, "import package.itself as i; print(i.KNOWN)") == ["itself runs", "False"]


def test_module_that_failed_runs_again(tmp_path: Path) -> None:
    code = (
        "import package.broken as b\nfor _ in range(2):\n"
        "    try:\n        b.x\n    except RuntimeError:\n        print('failed')"
    )
    assert run(tmp_path, code) == ["broken runs", "failed"] * 2


def test_threads_wait_for_a_module_that_another_thread_runs(tmp_path: Path) -> None:
    code = (
        "import package.slow as slow\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n    print(list(pool.map(lambda _: slow.READY, range(8))))"
    )
    assert run(tmp_path, code) == ["slow runs", str([True] * 8)]
