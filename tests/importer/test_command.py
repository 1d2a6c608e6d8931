"""The command `make import`: signals, progress, messages, and where the table is."""

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT
from imports import Table, counts, order, summary, write
from process import gateway

from importer import __main__ as command
from importer import reading, writing
from local import emulator

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}


def start(table: Table, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Starts the command as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "importer", *arguments, "--table", "OrdersTable"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **emulator.environment({}, table.url)},
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


@pytest.mark.faults
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_import_can_be_stopped_at_any_moment(table: Table, tmp_path: Path, ending: signal.Signals) -> None:
    ids = [str(each) for each in range(800)]
    path = write(tmp_path / "orders.jsonl", [order(each) for each in ids])
    begun, enough, go_on = 0, threading.Event(), threading.Event()

    def fault(operation: str, done: bool) -> None:
        nonlocal begun
        if operation == "TransactWriteItems" and not done:
            begun += 1
            if begun > 5:
                enough.set()
                assert go_on.wait(60)

    table.faults.fault = fault
    with start(table, str(path)) as process:
        assert enough.wait(60)
        process.send_signal(ending)
        if ending == signal.SIGKILL:
            assert process.wait(10) == -ending
            # What was on its way arrives all the same.
            go_on.set()
        else:
            assert process.stderr
            told = iter(process.stderr.readline, "")
            assert any("Finishing the batches in progress" in line for line in told)
            go_on.set()
            said, meanwhile = process.communicate(timeout=60)
            assert process.returncode == 128 + ending
            written = counts(said)["new"]
            assert counts(said) == summary(new=written, not_written=800 - written)
            assert 250 <= written <= (5 + writing.WORKERS) * 50
            assert meanwhile.splitlines()[-1] == "Stopped. Run the same command to continue."
            assert len(table.items()) == 2 * written

    with start(table, str(path)) as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert counts(said)["new"] + counts(said)["already there"] == 800
    assert counts(said)["already there"] >= 250
    assert table.holds(*ids)


def test_import_can_be_stopped_during_validation(
    table: Table, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path, shop: reading.Shop | None) -> Iterator[reading.Entry]:
        for found in reading.read(path, shop):
            os.kill(os.getpid(), signal.SIGINT)
            yield found

    monkeypatch.setattr(command, "read", read)
    status, _, meanwhile = run(write(tmp_path / "orders.jsonl", [order("1"), order("2")]))
    assert (status, meanwhile[-1]) == (130, "Stopped. Nothing was written.")
    assert table.holds()


@pytest.mark.slow
def test_progress_is_one_line_on_a_terminal(table: Table, tmp_path: Path) -> None:
    path = write(tmp_path / "orders.jsonl", [order(str(each)) for each in range(400)])

    def slow(operation: str, done: bool) -> None:
        time.sleep(0.1)

    table.faults.fault = slow
    screen, terminal = pty.openpty()
    with start(table, str(path), stderr=terminal) as process:
        os.close(terminal)
        process.communicate(timeout=60)
    shown = os.read(screen, 100_000).decode()
    os.close(screen)
    assert " of 400 orders done" in shown
    assert "to go\x1b[K\r" in shown
    assert shown.endswith("a second\x1b[K\r\n")
    assert shown.count("\n") == 2


@pytest.mark.gateway
def test_make_import_finds_the_running_gateway(tmp_path: Path) -> None:
    path = write(tmp_path / "orders.csv", [order("imported")])
    with gateway() as local:
        made = subprocess.run(
            ["make", "--no-print-directory", "import", f"FILE={path}", f"PORT={local.url.rpartition(':')[2]}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"Local gateway at {local.url}" in made.stderr
        assert f"Importing {path} into table OrdersTable at {local.aws}" in made.stdout
        assert counts(made.stdout) == summary(new=1)
        sample = ROOT / "docs" / "samples" / "shopify.csv"
        exported = subprocess.run(
            ["make", "--no-print-directory", "import", f"FILE={sample}", "FORMAT=shopify"],
            cwd=ROOT,
            env={**os.environ, "PORT": local.url.rpartition(":")[2]},
            capture_output=True,
            text=True,
            check=True,
        )
        assert counts(exported.stdout) == summary(new=6)
        assert local.call("GET", "/admin/orders/%231001").json["grand_total"] == "48.10"
        answer = local.call("GET", "/orders/imported")
    assert (answer.status, answer.json["grand_total"]) == (200, "26.75")


def test_import_without_a_running_gateway_says_how_to_start_one(tmp_path: Path) -> None:
    made = subprocess.run(
        ["make", "--no-print-directory", "import", f"FILE={tmp_path}/orders.csv", "PORT=1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 2
    assert made.stderr.startswith("orders: no local gateway is running on port 1")
    assert "start one with make run" in made.stderr


def test_production_import_loads_nothing_of_the_local_gateway() -> None:
    program = "import sys, importer.__main__; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "orders.store" in loaded
    assert not {"local", "moto", "unittest.mock", "werkzeug"}.intersection(loaded)


def test_missing_file_argument_prints_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 2
    assert "make import FILE=orders.jsonl [FORMAT=shopify] [TABLE=orders-prod]" in capsys.readouterr().out


def test_table_is_found_by_the_aws_environment(table: Table, run: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "orders.jsonl", [order("1")])
    status, said, _ = run(path, "--table", "OrdersTable")
    assert status == 0
    assert said.startswith(f"Importing {path} into table OrdersTable at {table.url} (account 123456789012).")
    assert run(path, "--table", "other")[::2] == (
        1,
        [f"import: table other at {table.url} does not exist: check the name, AWS_REGION and AWS_PROFILE"],
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (
            ["--table", "orders"],
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "eu-north-1", **CREDENTIALS},
            "DynamoDB does not respond for table orders at http://127.0.0.1:9",
        ),
        (["--table", "orders"], {}, "cannot connect to table orders: You must specify a region. Set AWS_REGION or"),
        (
            ["--table", "orders"],
            {"AWS_REGION": "eu-north-1"},
            "eu-north-1.amazonaws.com: Unable to locate credentials.",
        ),
        (
            ["--table", "orders"],
            {"AWS_PROFILE": "prod"},
            "The config profile (prod) could not be found. Set AWS_REGION",
        ),
    ],
)
def test_connection_errors_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, run: Any, tmp_path: Path, arguments: list[str], environment: Any, says: str
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", **environment}.items():
        monkeypatch.setenv(name, value)
    status, _, meanwhile = run(write(tmp_path / "orders.jsonl", [order("1")]), *arguments)
    assert (status, len(meanwhile)) == (1, 1)
    assert says in meanwhile[0]
