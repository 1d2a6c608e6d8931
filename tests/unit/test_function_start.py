"""A starting function creates the AWS clients that its requests need, and no others."""

import json
import os
import subprocess
import sys

import pytest
from harness import ROOT, TEMPLATE

CLIENTS = {function: ["dynamodb"] for function in TEMPLATE.functions} | {
    "NotifyCustomerFunction": ["dynamodb", "ses"],
    "PublishEventsFunction": [],
    "SendInvoiceFunction": ["dynamodb", "s3", "ses"],
}
"""The AWS clients that each function creates while it starts. Others are created at first use."""

START = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
loaded = sorted(sys.modules)
from orders import aws
made = [name for name in ("dynamodb", "s3", "ses") if getattr(aws, name).cache_info().currsize]
print(json.dumps({"made": made, "loaded": loaded}))
"""


def start(function: str, **settings: str) -> dict[str, list[str]]:
    """Starts a function in a new process, as Lambda would, with these settings besides the template's."""
    found = TEMPLATE.functions[function]
    environment = {name: value for name, value in found.environment.items() if name != "AWS_ENDPOINT_URL"}
    done = subprocess.run(
        [sys.executable, "-c", START, found.handler.rpartition(".")[0]],
        env={
            **environment | settings,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("shared", "functions")),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "POWERTOOLS_SERVICE_NAME": "orders",
            "POWERTOOLS_METRICS_NAMESPACE": "Orders",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize("function", sorted(TEMPLATE.functions))
def test_function_creates_the_clients_that_its_requests_need(function: str) -> None:
    assert start(function)["made"] == CLIENTS[function]


def test_publish_events_loads_no_aws_client() -> None:
    loaded = set(start("PublishEventsFunction")["loaded"])
    assert not loaded & {"botocore.client", "botocore.session", "orders.aws", "orders.table"}


@pytest.mark.parametrize("function", ["SendInvoiceFunction", "NotifyCustomerFunction"])
def test_function_does_not_start_with_an_unknown_time_zone(function: str) -> None:
    with pytest.raises(AssertionError, match=r"time_zone\s+invalid timezone: Europe/Berlim"):
        start(function, SHOP_TIME_ZONE="Europe/Berlim")
