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

START_ALL = f"""
import json, os, sys
import aws_lambda_powertools.event_handler.openapi.params, botocore.session, jinja2, pydantic, typst
for module, environment in json.loads(sys.argv[1]):
    sys.stdout.flush()
    if os.fork():
        assert os.wait()[1] == 0, module
    else:
        os.environ.update(environment)
        sys.argv[1] = module
        break
else:
    sys.exit()
{START}
"""
"""Starts functions one after the other, each in a process that has third-party packages already loaded, but no module
of ours."""


def environment_of(function: str) -> dict[str, str]:
    """Returns the environment variables of a function in the template."""
    found = TEMPLATE.functions[function].environment
    return {name: value for name, value in found.items() if name != "AWS_ENDPOINT_URL"}


def module_of(function: str) -> str:
    """Returns the module with the handler of a function."""
    return TEMPLATE.functions[function].handler.rpartition(".")[0]


def run(code: str, argument: str, **environment: str) -> list[dict[str, list[str]]]:
    """Runs code in a new process, as Lambda would, and returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, argument],
        env={
            **environment,
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
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"made"')]


def start(function: str, **settings: str) -> dict[str, list[str]]:
    """Starts a function in a new process, with these settings besides the template's."""
    return run(START, module_of(function), **environment_of(function) | settings)[-1]


def test_functions_create_the_clients_that_their_requests_need() -> None:
    functions = sorted(TEMPLATE.functions)
    started = run(START_ALL, json.dumps([(module_of(each), environment_of(each)) for each in functions]))
    assert {name: one["made"] for name, one in zip(functions, started, strict=True)} == CLIENTS


def test_publish_events_loads_no_aws_client() -> None:
    loaded = set(start("PublishEventsFunction")["loaded"])
    assert not loaded & {"botocore.client", "botocore.session", "orders.aws", "orders.table"}


@pytest.mark.parametrize("function", ["SendInvoiceFunction", "NotifyCustomerFunction"])
def test_function_does_not_start_with_an_unknown_time_zone(function: str) -> None:
    with pytest.raises(AssertionError, match=r"time_zone\s+invalid timezone: Europe/Berlim"):
        start(function, SHOP_TIME_ZONE="Europe/Berlim")
