"""Loads a deployed stack for a while, and prints what docs/performance.md asks for from Lambda.

    STACK=orders-dev make load-test          (its own user pool; AWS credentials as for the AWS CLI)
    BASE_URL=… CUSTOMER_TOKEN=… ADMIN_TOKEN=… make load-test

USERS (10) each send one request a second for SECONDS (60). MAILS (1) of a hundred requests mail an invoice to SES's
simulator. The defaults cost less than 5 cents.
"""

import base64
import json
import os
import subprocess
import sys
import time
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from e2e.access import access
from programs import ROOT, locked_environment

WORK = ROOT / ".local" / "load-test"
LOCK = ROOT / "requirements-load.txt"

REPORT = """
filter type = "platform.report"
| stats count(*) as calls, count(record.metrics.initDurationMs) as cold,
  pct(record.metrics.initDurationMs, 50) as init50, pct(record.metrics.initDurationMs, 99) as init99,
  pct(record.metrics.durationMs, 50) as ms50, pct(record.metrics.durationMs, 95) as ms95,
  pct(record.metrics.durationMs, 99) as ms99, avg(record.metrics.billedDurationMs) as billed,
  max(record.metrics.maxMemoryUsedMB) as memory by @log
"""
"""CloudWatch Logs Insights: what Lambda reports of each function. Times in ms, memory in MB."""

COLUMNS = ("calls", "cold", "init50", "init99", "ms50", "ms95", "ms99", "billed", "memory")


def main() -> int:
    """Runs the load. Returns 1 if an acknowledged write is lost, 2 if over 1 % of the requests failed, otherwise 0."""
    stack = os.environ.get("STACK")
    try:
        given = access(stack) if stack else dict(os.environ)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"{stack}: {error}")
    missing = [name for name in ("BASE_URL", "CUSTOMER_TOKEN", "ADMIN_TOKEN") if not given.get(name)]
    if missing:
        sys.exit(f"{' and '.join(missing)} must be set. How:\n\n{__doc__}")
    began = int(time.time())
    status = _locust(given)
    if stack:
        _print_reports(stack, began)
    return status


def _locust(given: dict[str, str]) -> int:
    users, seconds = os.environ.get("USERS") or "10", os.environ.get("LOAD_SECONDS") or "60"
    payload = given["CUSTOMER_TOKEN"].split(".")[1]
    customer = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
    names = ("CUSTOMER_TOKEN", "ADMIN_TOKEN")
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    variables |= {name: given[name] for name in names} | {"CUSTOMER_ID": str(customer)}
    python = locked_environment(LOCK, WORK, sys.executable, "Locust, once: about 20 MB")
    command = [str(python.with_name("locust")), "-f", "tests/load/locustfile.py"]
    command += ["--headless", "--only-summary", "--reset-stats"]
    command += ["--host", given["BASE_URL"].rstrip("/"), "--users", users, "--spawn-rate", users]
    command += ["--run-time", f"{seconds}s", "--stop-timeout", "60"]
    print(f"{users} users, one request a second each, for {seconds} s …", flush=True)
    return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode


def _print_reports(stack: str, began: int) -> None:
    """Prints what Lambda reported of each function since then, once CloudWatch has it."""
    logs: Any = boto3.client("logs")
    print("\nWhat Lambda reports (init and duration in ms, memory in MB). Logs take a minute to arrive …", flush=True)
    try:
        groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{stack}/")["logGroups"]
        names = [group["logGroupName"] for group in groups]
        deadline = time.monotonic() + 180
        rows: list[dict[str, str]] = []
        while not rows and time.monotonic() < deadline:
            query = logs.start_query(
                logGroupNames=names, startTime=began, endTime=int(time.time()) + 60, queryString=REPORT
            )
            answer: dict[str, Any] = {"status": "Running"}
            while answer["status"] in ("Scheduled", "Running"):
                time.sleep(2)
                answer = logs.get_query_results(queryId=query["queryId"])
            found = [{cell["field"]: cell["value"] for cell in row} for row in answer.get("results", [])]
            rows = [row for row in found if "calls" in row]
    except (BotoCoreError, ClientError) as error:
        print(f"CloudWatch Logs Insights did not answer: {error}\nAsk it yourself:\n{REPORT}")
        return
    if not rows:
        print(f"CloudWatch has no reports of {stack}'s functions yet. Ask it later:\n{REPORT}")
        return
    print(f"{'function':<18}" + "".join(f"{name:>9}" for name in COLUMNS))
    for row in sorted(rows, key=lambda row: row.get("@log", "")):
        name = row.get("@log", "").rpartition("/")[2]
        figures = [row.get(column, "") for column in COLUMNS]
        print(f"{name:<18}" + "".join(f"{float(figure):>9,.0f}" if figure else f"{'-':>9}" for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
