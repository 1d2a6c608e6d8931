"""Built functions, started as Lambda starts them: they respond, and run only the modules that they use.

Importing is most of a cold start.
"""

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from built import Built
from harness import EVENTS, ROOT, TEMPLATE, load
from jinja2 import ChoiceLoader, Environment, ModuleLoader

from local import emulator, server
from local.events import find_route
from notify_customer import notices
from send_invoice import mail

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="needs Linux, as Lambda has, to run what is built for it"
)

SHARED = {"annotated_types", "aws_lambda_powertools", "botocore", "dateutil", "orders", "pydantic", "pydantic_core"} | {
    *("six", "typing_extensions", "typing_inspection", "urllib3")
}
"""The packages that every function may import, besides its own."""

ALSO = {
    "SendInvoiceFunction": {"babel", "jinja2", "markupsafe", "segno", "typst"},
    "NotifyCustomerFunction": {"babel", "jinja2", "markupsafe", "asyncio"},
}
"""What only one function may import. Powertools' batch processor brings asyncio."""

NEEDLESS = {
    *("asyncio", "configparser", "multiprocessing", "zipfile"),
    *(
        "aws_lambda_powertools.event_handler",
        "aws_lambda_powertools.event_handler.appsync",
        "aws_lambda_powertools.utilities.data_classes",
        "aws_lambda_powertools.utilities.jmespath_utils",
        "aws_lambda_powertools.utilities.parser",
    ),
    *("botocore.docs", "botocore.docs.service", "importlib.resources._common"),
}
"""Modules that are slow to import, that a dependency imports, and that nothing here uses."""

FOR_READERS = {"ReadInvoicesFunction", "ReadOrdersFunction", "ReadTimelineFunction"} | {
    *("CreateOrderFunction", "UpdateOrderFunction")
}
"""The functions that answer with what is stored, and so need `orders.responses`."""

ASK = """
import importlib, json, sys
function, layer, handler, event = json.loads(sys.argv[1])
sys.path[:0] = [function, layer]
module, _, name = handler.rpartition(".")
handle = getattr(importlib.import_module(module), name)

class Context:
    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

answer = handle(event, Context()) if event else None
ran = [name for name, module in sys.modules.items() if type(module).__name__ != "_PostponedModule"]
print(json.dumps({"answer": answer, "modules": sorted(ran)}), file=sys.stderr)
"""

# Starts once and forks twice: what the two processes share is what a snapshot would hold.
RESTORE_TWICE = """
import importlib, json, os, random, sys
function, layer, runtime, event = json.loads(sys.argv[1])
sys.path[:0] = [function, layer, runtime]
handle = importlib.import_module("add_comment.app").handler
import snapshot_restore_py

class Context:
    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

for hook, args, kwargs in snapshot_restore_py.get_before_snapshot():
    hook(*args, **kwargs)
open_files = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
links = [os.readlink(file) for file in open_files if os.path.islink(file)]
snapshot = {"sockets": [link for link in links if link.startswith("socket:")], "copies": []}
for n in range(2):
    # The same content again would be a double click.
    event["body"] = json.dumps({"content": f"{n}"})
    ours, theirs = os.pipe()
    if not os.fork():
        for hook, args, kwargs in snapshot_restore_py.get_after_restore():
            hook(*args, **kwargs)
        answer = handle(event, Context())
        os.write(theirs, json.dumps([answer, random.random()]).encode())
        os._exit(0)
    os.close(theirs)
    snapshot["copies"].append(json.loads(os.fdopen(ours).read()))
print(json.dumps(snapshot), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[dict[str, str]]:
    """An emulated AWS with the sample orders. Yields the environment variables that point to it."""
    listener = server.listen("127.0.0.1", 0, "")
    running = emulator.start(listener)
    environment = {
        "AWS_ENDPOINT_URL": server.url(listener),
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    with patch.dict(os.environ, environment):
        os.environ.pop("AWS_ENDPOINT_URL_DYNAMODB", None)
        emulator.provision(TEMPLATE)
        emulator.load_orders(ROOT / "local" / "orders.json", ["OrdersTable"])
        # What `redact-comment-as-admin` redacts: the id of a comment is the time at which it was added.
        key = {"pk": {"S": "ORDER#1001"}, "sk": {"S": "INTERNAL#1795424400000001"}}
        emulator.client("dynamodb").put_item(TableName="OrdersTable", Item=key | {"content": {"S": "x"}})
    yield environment
    running.shutdown()
    running.server_close()
    listener.close()


def start(built: Built, function: str, environment: dict[str, str], event: Any) -> Any:
    """Starts a function, passes it an event, and returns its answer and the modules that ran."""
    found = TEMPLATE.functions[function]
    return built.run(
        ASK,
        {**found.environment, **environment, "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"},
        str(built.folder / function),
        str(built.layer),
        found.handler,
        event,
    )


def digests(folder: Path) -> dict[str, str]:
    """The digest of each file in a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


def function_of(event: dict[str, Any]) -> str | None:
    """The function that an API event is routed to."""
    if "routeKey" not in event:
        return None
    method, _, _ = event["routeKey"].partition(" ")
    match = find_route(TEMPLATE.routes, method, event["rawPath"])
    assert match
    return match.route.function


def needless(function: str, modules: list[str]) -> set[str]:
    """The modules that a function ran and should not have."""
    packages = {name for name in modules if "." not in name}
    own = TEMPLATE.functions[function].handler.partition(".")[0]
    foreign = {"boto3", "s3transfer", "moto", *SHARED, *(name for names in ALSO.values() for name in names)}
    wrong = (packages & foreign) - SHARED - ALSO.get(function, set()) - {own}
    wrong |= (NEEDLESS & set(modules)) - ALSO.get(function, set())
    return wrong if function in FOR_READERS else wrong | ({"orders.responses"} & set(modules))


@pytest.mark.parametrize("name", [name for name in EVENTS if function_of(load(name))])
def test_every_route_responds_when_built(built: Built, aws: dict[str, str], name: str) -> None:
    event = load(name)
    function = function_of(event)
    assert function
    answer = start(built, function, aws, event)["answer"]
    # The invoice does not exist yet.
    assert answer["statusCode"] == 404 if name.startswith("get-invoice") else answer["statusCode"] < 400, answer


@pytest.mark.parametrize("function", sorted(TEMPLATE.functions))
def test_function_runs_only_modules_that_it_uses(built: Built, aws: dict[str, str], function: str) -> None:
    event = next((load(name) for name in EVENTS if function_of(load(name)) == function), None)
    assert needless(function, start(built, function, aws, event)["modules"]) == set()


def test_build_is_reproducible(built: Built, tmp_path: Path) -> None:
    again = tmp_path / "OrdersLayer"
    built.build("OrdersLayer", again)
    assert digests(again) == digests(built.folder / "OrdersLayer")


@pytest.mark.parametrize(
    ("package", "environment"),
    [
        ("SendInvoiceFunction/send_invoice", mail.TEMPLATES),
        ("NotifyCustomerFunction/notify_customer", notices.TEMPLATES),
    ],
)
def test_compiled_templates_match_the_functions_own_environment(
    built: Built, package: str, environment: Environment
) -> None:
    compiled = built.folder / package / "templates/compiled"
    assert isinstance(environment.loader, ChoiceLoader)
    sources = environment.loader.loaders[1]
    names = [name for name in sources.list_templates() if name.endswith((".html", ".txt"))]
    assert "layout.html" in names
    for name in names:
        source, *_ = sources.get_source(environment, name)
        written = (compiled / ModuleLoader.get_module_filename(name)).read_text(encoding="utf-8")
        assert written == environment.compile(source, name, None, raw=True, defer_init=True)


class Credentials(BaseHTTPRequestHandler):
    """The endpoint from which functions with SnapStart get credentials."""

    def do_GET(self) -> None:
        self.server.asked += 1  # type: ignore[attr-defined]
        answer = {"AccessKeyId": "test", "SecretAccessKey": "test", "Token": "t", "Expiration": "2100-01-01T00:00:00Z"}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_processes_restored_from_one_snapshot_share_no_state(built: Built, aws: dict[str, str], tmp_path: Path) -> None:
    found = find_spec("snapshot_restore_py")
    assert found
    assert found.origin
    shutil.copy(found.origin, tmp_path)
    credentials = ThreadingHTTPServer(("127.0.0.1", 0), Credentials)
    credentials.asked = 0  # type: ignore[attr-defined]
    threading.Thread(target=credentials.serve_forever, daemon=True).start()
    environment = {name: value for name, value in aws.items() if "KEY" not in name} | {
        **TEMPLATE.functions["AddCommentFunction"].environment,
        "AWS_ENDPOINT_URL": aws["AWS_ENDPOINT_URL"],
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{credentials.server_address[1]}/",
    }
    snapshot = built.run(
        RESTORE_TWICE,
        environment,
        str(built.folder / "AddCommentFunction"),
        str(built.layer),
        str(tmp_path),
        load("add-comment-as-customer"),
    )
    credentials.shutdown()
    credentials.server_close()
    assert snapshot["sockets"] == []
    [(first, one), (second, other)] = snapshot["copies"]
    assert first["statusCode"] == second["statusCode"] == 201
    assert json.loads(first["body"])["comments"][0]["id"] != json.loads(second["body"])["comments"][0]["id"]
    # botocore's retry delays.
    assert one != other
    # Each process fetched its own credentials: those in a snapshot would expire.
    assert credentials.asked == 2  # type: ignore[attr-defined]
