"""Finding the running gateways."""

import subprocess
import sys
from pathlib import Path

import pytest

from local import ROOT, UsageError
from local import __main__ as command
from local.running import RunningGateway, announce, choose, running
from local.template import Jwt
from local.tokens import SigningKey


def gateway(port: int) -> RunningGateway:
    url = f"http://127.0.0.1:{port}"
    return RunningGateway(url, port, "Things", {"AWS_REGION": "eu-north-1"}, Jwt("https://issuer.example", ("a", "b")))


def test_gateway_is_found_while_it_runs(tmp_path: Path) -> None:
    assert running(tmp_path) == []
    with announce(tmp_path, gateway(3000)):
        assert running(tmp_path) == [gateway(3000)]
        assert choose(running(tmp_path), None) == choose(running(tmp_path), "3000") == gateway(3000)
    assert running(tmp_path) == []


def test_killed_gateway_is_not_found(tmp_path: Path) -> None:
    program = """if True:
        import os, pathlib, sys
        from local.running import RunningGateway, announce
        with announce(pathlib.Path(sys.argv[1]), RunningGateway("http://127.0.0.1:1", 1, "Things", {}, None)):
            os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=False)
    assert len(list((tmp_path / "gateways").iterdir())) == 1
    assert running(tmp_path) == []
    assert list((tmp_path / "gateways").iterdir()) == []


def test_no_or_several_gateways_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"^no local gateway is running: start one with make run$"):
        choose([], None)
    with pytest.raises(UsageError, match=r"^no local gateway is running on port 1 \(running: PORT=3000\): start"):
        choose([gateway(3000)], "1")
    with pytest.raises(
        UsageError, match=r"^several local gateways are running: choose one with PORT=3000 or PORT=3001$"
    ):
        choose([gateway(3000), gateway(3001)], "")
    assert choose([gateway(3000), gateway(3001)], "3001") == gateway(3001)


def test_token_without_a_running_gateway_is_printed_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "STATE", tmp_path)
    assert command.main(["token", "--sub", "alice"]) == 0
    printed = capsys.readouterr()
    assert printed.out.count(".") == 2
    assert printed.err == "orders: no local gateway is running; the token is valid once you start one: make run\n"


def test_token_is_made_for_the_running_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "STATE", tmp_path)
    with announce(tmp_path, gateway(3000)):
        assert command.main(["token", "--sub", "alice"]) == 0
    printed = capsys.readouterr()
    required = gateway(3000).jwt
    assert required
    assert SigningKey(tmp_path).verify(printed.out, required)["sub"] == "alice"
    assert printed.err == ""
