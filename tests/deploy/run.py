"""Deploys the packaged stack with the real `sam deploy` to an emulated AWS, uses it, updates it and deletes it.

Exits with 69 without Python of Lambda's version, otherwise with 0, or 1 and what is wrong.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import boto3
from deploy.adaptations import FAULTS, adapt, add_routes, openapi_body
from deploy.emulator import DEPLOYER, emulator
from e2e.access import access
from java import fetch, java
from programs import ROOT, Missing, locked_environment, run_or_leave_out

from bundle.build import PYTHON, runtime_python

HERE = Path(__file__).parent
WORK = ROOT / ".local" / "deploy-check"
LOCK = ROOT / "requirements-deploy.txt"
STACK = "orders-dev"

PARAMETERS = {
    "Architecture": "x86_64",
    "Rollout": "AllAtOnce",
    "SenderEmail": "invoices@shop.example",
    "ShopName": "Käsekönig",
    "ShopCity": "Kempten",
    "AllowedOrigins": "https://shop.example",
}

DEPLOYED = ("template.yaml", "samconfig.toml", "bundle", "functions", "shared", "shop")
"""What a deployment reads. It is copied, so that the check can change it."""


EVENTS = {
    "WatchInvoicesFunction": "watch-invoices-schedule.json",
    "RecordDeliveryFunction": "ses-delivery.json",
    "NotifyCustomerFunction": "notify-customer-comment.json",
    "PublishEventsFunction": "publish-events.json",
}
"""The functions that the API does not call, and an event for each."""


OF_SAM = re.compile(
    r"attribute (paths\..*\.parameters\.\[\w+\]\.content is missing|components\.securitySchemes\.Jwt\.flows is missing"
    r"|info\.title is not of type `string`)"
)
"""What swagger-parser says of each API that SAM makes: no schema for parameters, a JWT authorizer as `oauth2` without
flows, and a title that is resolved later. So the template has no `FailOnWarnings`."""


class Failure(Exception):
    """The stack is not as it should be. The message says how."""


class Live(NamedTuple):
    """What the alias `live` of a function serves."""

    version: str
    code: str
    environment: Mapping[str, str]
    snap_start: str


@contextmanager
def step(title: str) -> Iterator[None]:
    """Prints what is being done, and how long it took."""
    print(f"{title} …", end=" ", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print("FAILED", flush=True)
        raise
    print(f"{time.monotonic() - started:.0f} s", flush=True)


class Deployment:
    """A stack in the emulator.

    Args:
        folder: An empty folder for a copy of the sources, and for what is built of them.
        python: The interpreter that has the SAM CLI.
        url: The emulator.
    """

    def __init__(self, folder: Path, python: Path, url: str) -> None:
        self.source = folder / "source"
        self._built = folder / "build"
        for name in DEPLOYED:
            copied = self.source / name
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copied, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                copied.parent.mkdir(exist_ok=True)
                shutil.copy(ROOT / name, copied)
        self._sam = python.with_name("sam")
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._environment |= DEPLOYER | {"AWS_ENDPOINT_URL": url, "SAM_CLI_TELEMETRY": "0"}
        self._environment["PATH"] = os.pathsep.join((str(python.parent), os.environ["PATH"]))
        self._lambda = boto3.client("lambda")

    def validate(self) -> None:
        """Runs `sam validate --lint`."""
        self._run("validate", "--lint")

    def build(self) -> None:
        """Runs `sam build`, and adapts the built template to the emulator."""
        self._run("build", "--config-env", "dev", "--build-dir", self._built, *_overrides(PARAMETERS))
        adapt(self._built / "template.yaml")

    def deploy(self, *, fails: bool = False, **parameters: str) -> str:
        """Runs `sam deploy` as docs/deploy.md does, and returns what it printed.

        Args:
            fails: Whether it has to fail.
            parameters: Parameters that differ from the deployment before.
        """
        template = ("--template-file", self._built / "template.yaml", "--config-file", self.source / "samconfig.toml")
        given = _overrides(PARAMETERS | parameters)
        return self._run("deploy", "--config-env", "dev", "--no-progressbar", *template, *given, fails=fails)

    def break_template(self) -> None:
        """Adds a resource that cannot be made: a second bus of the same name."""
        template = self._built / "template.yaml"
        document = json.loads(template.read_text(encoding="utf-8"))
        second = {"Type": "AWS::Events::EventBus", "DependsOn": "CancelOrderFunction", "Properties": {"Name": STACK}}
        document["Resources"]["SecondBus"] = second
        template.write_text(json.dumps(document), encoding="utf-8")

    def delete(self) -> None:
        """Runs `sam delete`."""
        self._run("delete", "--stack-name", STACK, "--no-prompts", "--region", DEPLOYER["AWS_DEFAULT_REGION"])

    def _run(self, *arguments: str | Path, fails: bool = False) -> str:
        command = [str(self._sam), *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=self.source,
            env=self._environment,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if bool(done.returncode) != fails:
            ends = "succeeded, and must fail" if fails else "failed"
            raise Failure(f"sam {arguments[0]} {ends}:\n{done.stdout[-6000:]}")
        return done.stdout

    def functions(self) -> dict[str, str]:
        """Returns the functions' names by their logical ids."""
        return {name: of for name, of in resources(STACK).items() if name.endswith("Function")}

    def live(self) -> dict[str, Live]:
        """Returns what each function's alias serves, by logical id."""
        found = {}
        for name, function in self.functions().items():
            served = self._lambda.get_function_configuration(FunctionName=function, Qualifier="live")
            environment = served.get("Environment", {}).get("Variables", {})
            snap_start = served.get("SnapStart", {}).get("ApplyOn", "None")
            version = self._lambda.get_alias(FunctionName=function, Name="live")["FunctionVersion"]
            found[name] = Live(version, served["CodeSha256"], environment, snap_start)
        return found

    def roll_back(self, function: str, version: str) -> None:
        """Makes a function's alias serve an earlier version, as docs/runbook.md says, and calls it."""
        name = self.functions()[function]
        self._lambda.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
        answer = self._lambda.invoke(FunctionName=name, Qualifier="live", Payload=_event(EVENTS[function]))
        must(not answer.get("FunctionError"), f"{function} of version {version}: {answer['Payload'].read().decode()}")

    def versions(self, function: str) -> set[str]:
        """Returns the published versions of a function."""
        pages = self._lambda.get_paginator("list_versions_by_function").paginate(
            FunctionName=self.functions()[function]
        )
        return {version["Version"] for page in pages for version in page["Versions"]} - {"$LATEST"}


def resources(stack: str) -> dict[str, str]:
    """Returns the physical ids of a stack's resources by their logical ids."""
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
    }


def _event(name: str) -> bytes:
    """Returns an example event."""
    return (ROOT / "events" / name).read_bytes()


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    return ["--parameter-overrides", *(f'{name}="{value}"' for name, value in parameters.items())]


def must(true: object, message: str) -> None:
    """Raises `Failure` with a message, unless a condition is true."""
    if not true:
        raise Failure(message)


# What is checked ------------------------------------------------------------------------------------------------------


def openapi_is_valid() -> None:
    """Reads the API's OpenAPI document with the parser that API Gateway's messages point to."""
    try:
        command, jars = java(compiler=True), fetch(HERE / "pom.xml", ROOT / ".local" / "swagger-parser")
    except Missing as missing:
        print(f"\n  left out: {missing}", end=" ")
        return
    body = openapi_body(STACK)
    # API Gateway refuses this path: https://github.com/aws/serverless-application-model/issues/2297
    broken = body | {"paths": body["paths"] | {"$default": body["paths"]["/orders"]}}
    for document, expected in ((body, []), (broken, ["paths. Resource $default should start with /"])):
        program = [command, "-cp", f"{jars}/*", str(HERE / "Messages.java")]
        done = subprocess.run(program, check=False, input=json.dumps(document), text=True, capture_output=True)
        must(done.returncode == 0, f"swagger-parser fails: {done.stderr}")
        found = [message for message in done.stdout.splitlines() if not OF_SAM.fullmatch(message)]
        must(found == expected, f"swagger-parser says {found} of the API, not {expected}")


def api_answers(url: str) -> None:
    """Runs the end-to-end tests with tokens of the stack's user pool."""
    variables = access(STACK, token_url=f"{os.environ['AWS_ENDPOINT_URL']}/oauth2/token")
    variables |= {"BASE_URL": url, "ORIGIN": PARAMETERS["AllowedOrigins"]}
    others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/e2e"]
    done = subprocess.run(
        tests,
        cwd=ROOT,
        env=others | variables,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    must(done.returncode == 0, f"the end-to-end tests fail:\n{done.stdout[-8000:]}{errors_of_functions()}")
    print(done.stdout.rstrip().rpartition("\n")[2], end=", ")


def background_functions_start(deployment: Deployment) -> None:
    """Invokes the functions that the API does not call with their example events."""
    client, functions = boto3.client("lambda"), deployment.functions()
    for function, event in EVENTS.items():
        answer = client.invoke(FunctionName=functions[function], Qualifier="live", Payload=_event(event))
        said = answer["Payload"].read().decode()
        must(not answer.get("FunctionError"), f"{function} fails with {event}: {said}{errors_of_functions()}")


def functions_log_no_errors() -> None:
    """Looks for errors in the logs, which is where background functions report them."""
    errors = errors_of_functions()
    must(not errors, f"functions logged errors:{errors}")


def errors_of_functions() -> str:
    """Returns the errors that the functions logged."""
    client, found = boto3.client("logs"), []
    for group in client.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{STACK}/")["logGroups"]:
        for event in client.filter_log_events(logGroupName=group["logGroupName"])["events"]:
            if '"level":"ERROR"' in event["message"] or '"cause":' in event["message"]:
                found.append(f"{group['logGroupName']}: {event['message'][:1000]}")
    return "".join(f"\n{line}" for line in found[-10:])


def events_reach_the_bus() -> None:
    """Looks for events of the orders that the end-to-end tests made, in the queue of a rule on the bus."""
    queue = boto3.client("sqs").get_queue_url(QueueName="events")["QueueUrl"]
    found = boto3.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=2).get("Messages", ())
    must(found, "no event arrived")


def listen_on_the_bus() -> None:
    """Makes the queue and the rule for `events_reach_the_bus`."""
    sqs, events = boto3.client("sqs"), boto3.client("events")
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="all", EventBusName=STACK, EventPattern='{"source": ["orders"]}')
    events.put_targets(Rule="all", EventBusName=STACK, Targets=[{"Id": "queue", "Arn": arn}])


def restored_table(source: str) -> tuple[str, str]:
    """Restores a table as docs/deploy.md does. Returns the name of the new one, and the label of its stream."""
    dynamodb, name = boto3.client("dynamodb"), f"{source}-restored"
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=source,
        TargetTableName=name,
        UseLatestRestorableTime=True,
        BillingModeOverride="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name)
    dynamodb.update_table(
        TableName=name, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    )
    return name, dynamodb.describe_table(TableName=name)["Table"]["LatestStreamLabel"]


def check(run: Callable[[], None]) -> None:
    """Runs a check. One of `FAULTS` must fail, because the emulator is at fault."""
    reason = FAULTS.get(run.__name__)
    try:
        run()
    except Failure:
        if not reason:
            raise
        print(f"\n  skipped: {reason}", end=" ")
        return
    must(not reason, f"{run.__name__} passes now: remove it from FAULTS in tests/deploy/adaptations.py")


def same(after: Mapping[str, Live], before: Mapping[str, Live], what: str) -> None:
    """Compares what all functions serve."""
    for name, live in after.items():
        must(live == before[name], f"{what}: {name} serves {live}, and served {before[name]}")


def new_versions(deployment: Deployment, before: Mapping[str, Live], changed: Callable[[str], bool]) -> dict[str, Live]:
    """Checks after an update which functions serve a new version, and that the one before is kept.

    Args:
        deployment: The stack.
        before: What the functions served before the update.
        changed: Whether a function, by its logical id, must serve a new version.
    """
    after = deployment.live()
    for name, live in after.items():
        version = before[name].version
        must(
            (live.version != version) == changed(name),
            f"{name} serves version {live.version} after {version}: it must {'' if changed(name) else 'not '}change",
        )
        must(version in deployment.versions(name), f"{name}: version {version} is gone, so nothing can be rolled back")
    return after


# The run --------------------------------------------------------------------------------------------------------------


def main() -> int:
    """Runs all steps. Returns the exit status."""
    python = _interpreter()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    log = WORK / f"emulator-{os.getpid()}.log"
    try:
        with emulator(python, log) as url, TemporaryDirectory(dir=WORK) as folder:
            os.environ.update(DEPLOYER, AWS_ENDPOINT_URL=url)
            PARAMETERS["AwsEndpointUrl"] = url
            _check_all(Deployment(Path(folder), python, url))
    except Failure as failure:
        print(f"{failure}\n\nThe emulator's log: {log.relative_to(ROOT)}", file=sys.stderr)
        return 1
    log.unlink()
    print("Deployed, used, updated, rolled back and deleted.")
    return 0


def _check_all(deployment: Deployment) -> None:
    with step("sam validate --lint, sam build"):
        deployment.validate()
        deployment.build()
    with step("sam deploy: a new stack"):
        deployment.deploy()
        url = add_routes(STACK, [PARAMETERS["AllowedOrigins"]])
    with step("Read its OpenAPI document with swagger-parser"):
        openapi_is_valid()
    with step("Use it"):
        listen_on_the_bus()
        api_answers(url)
        check(functions_log_no_errors)
        background_functions_start(deployment)
        check(events_reach_the_bus)
    live = deployment.live()
    with step("sam deploy: another ShopName"):
        deployment.deploy(ShopName="Käsekönig & Töchter")
        live = new_versions(deployment, live, lambda _: True)
        name = live["SendInvoiceFunction"].environment["SHOP_NAME"]
        must(name == "Käsekönig & Töchter", f"SendInvoiceFunction has the environment of before: {name}")
    with step("Roll one function back by hand"):
        deployment.roll_back("NotifyCustomerFunction", "1")
        live = deployment.live()
        name = live["NotifyCustomerFunction"].environment["SHOP_NAME"]
        must(name == PARAMETERS["ShopName"], f"NotifyCustomerFunction has the environment of the new version: {name}")
    with step("sam deploy: SnapStart, and all alarms"):
        deployment.deploy(SnapStart="yes", Monitoring="full")
        live = new_versions(deployment, live, lambda _: True)
        without = [name for name, served in live.items() if served.snap_start != "PublishedVersions"]
        must(not without, f"these serve a version without SnapStart: {', '.join(without)}")
    with step("sam deploy: a table restored from a backup"):
        table, stream = restored_table(resources(STACK)["OrdersTable"])
        deployment.deploy(SnapStart="yes", Monitoring="full", RestoredTable=table, RestoredTableStream=stream)
        live = new_versions(deployment, live, lambda _: True)
        used = {served.environment["TABLE_NAME"] for served in live.values()}
        must(used == {table}, f"the functions use {used}")
        api_answers(add_routes(STACK, [PARAMETERS["AllowedOrigins"]]))
    with step("sam build, sam deploy: changed code"):
        _append(deployment.source / "functions/watch_invoices/app.py", "CHANGED = True\n")
        deployment.build()
        deployment.deploy(SnapStart="yes")
        code = live["WatchInvoicesFunction"].code
        live = new_versions(deployment, live, lambda name: name == "WatchInvoicesFunction")
        must(live["WatchInvoicesFunction"].code != code, "WatchInvoicesFunction serves the code of before")
    with step("sam deploy: a deployment that fails is rolled back"):
        _append(deployment.source / "functions/cancel_order/app.py", "CHANGED = True\n")
        deployment.build()
        deployment.break_template()
        deployment.deploy(fails=True, SnapStart="yes", ShopName="Never")
        status = boto3.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
        must(status == "UPDATE_ROLLBACK_COMPLETE", f"the stack is {status}")
        same(deployment.live(), live, "after the rollback")
        api_answers(add_routes(STACK, [PARAMETERS["AllowedOrigins"]]))
    kept = {name: resources(STACK)[name] for name in ("OrdersTable", "InvoicesBucket")}
    with step("sam delete: the stack goes, orders and invoices stay"):
        deployment.delete()
        boto3.client("dynamodb").describe_table(TableName=kept["OrdersTable"])
        stored = boto3.client("s3").list_objects_v2(Bucket=kept["InvoicesBucket"]).get("KeyCount")
        must(stored, "the invoices are gone")
        functions = boto3.client("lambda").list_functions()["Functions"]
        must(not functions, f"functions are left: {[function['FunctionName'] for function in functions]}")


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def _interpreter() -> Path:
    """Returns an interpreter of Lambda's version that has the packages of the lock, which it installs once."""
    base = runtime_python()
    if base is None:
        raise Missing(f"there is no working python{PYTHON} on the PATH, which Lambda runs")
    return locked_environment(LOCK, WORK, base, "the SAM CLI and the emulator, once: about 60 MB")


if __name__ == "__main__":
    sys.exit(run_or_leave_out("The checks of a deployment", main))
