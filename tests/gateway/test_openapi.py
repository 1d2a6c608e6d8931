"""The running gateway behaves as openapi.json says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT
from process import gateway

pytestmark = pytest.mark.gateway

DOCUMENT = ROOT / "openapi.json"

CASES = int(os.environ.get("CASES") or 10)
"""Number of generated requests for each operation, besides those that every run has."""

ROUND = 100
"""Number of requests that one gateway gets: moto slows down, because it copies its whole table at each transaction."""


def test_every_example_works() -> None:
    paths = json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"]
    with gateway() as api:
        # Cancelling comes last: it is the end of an order.
        for path, item in sorted(paths.items(), key=lambda each: "cancel" in each[0]):
            for method, operation in item.items():
                needed = [each for each in operation.get("parameters", []) if each["required"]]
                values = {each["name"]: each["example"] for each in needed}
                if "number" in values:
                    # The year in the example is not today's.
                    values["number"] = api.documents(values["order_id"])[0]["number"]
                if "comment_id" in values:
                    # A comment's id is the time at which it was added.
                    comments = api.call("GET", f"/admin/orders/{values['order_id']}/comments").json["comments"]
                    values["comment_id"] = comments[0]["id"]
                headers = {each["name"]: values[each["name"]] for each in needed if each["in"] == "header"}
                content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                answer = api.call(method.upper(), path.format(**values), body=content.get("example"), **headers)
                assert answer.status < 300, answer.text


@pytest.mark.parametrize("seed", range(1, -(-CASES // ROUND) + 1))
def test_schemathesis_finds_nothing(seed: int) -> None:
    # Examples and limits are the same in each round.
    phases = ["examples", "coverage"] if seed == 1 else []
    with gateway() as api:
        found = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--no-color"),
                *("--config-file", Path(__file__).with_name("schemathesis.toml")),
                *("run", DOCUMENT, "--url", api.url, "--phases", ",".join([*phases, "fuzzing", "stateful"])),
                *("--seed", str(seed), "--max-examples", str(min(CASES, ROUND))),
            ],
            check=False,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "CUSTOMER": api.tokens["alice"], "ADMIN": api.tokens["admin"]},
            capture_output=True,
            text=True,
        )
    sys.stdout.write(found.stdout)
    assert found.returncode == 0, found.stderr
