"""Runs the service as its users see it: events in, answers out, then a look at the table and the mailbox."""

import base64
import copy
import email
import email.policy
import json
import os
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
EVENTS = {path.stem: path for path in sorted((ROOT / "events").glob("*.json"))}

DYNAMODB_LOCAL = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB")
"""URL of DynamoDB Local. Without it, moto emulates the table."""

# Runs before any client is created, so that no test can reach a real account. pytest-xdist's workers start later and
# need the URL of DynamoDB Local too.
for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_ENDPOINT_URL_DYNAMODB"]:
    del os.environ[name]
os.environ |= {
    # DynamoDB Local has a database for each access key: processes that run tests do not see each other's tables.
    "AWS_ACCESS_KEY_ID": uuid.uuid4().hex,
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    # Moto serves streams only at endpoints without an account id.
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_SERVICE_NAME": "orders",
    "POWERTOOLS_METRICS_NAMESPACE": "Orders",
}

from iam import Roles  # noqa: E402
from logs import Logs  # noqa: E402
from moto.core.base_backend import BackendDict  # noqa: E402
from moto.core.models import botocore_stubber  # noqa: E402
from moto.dynamodb.models import dynamodb_backends  # noqa: E402
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords  # noqa: E402
from moto.s3.models import s3_backends  # noqa: E402
from moto.ses.models import ses_backends  # noqa: E402

from local.emulator import client, create_tables, load_orders, provision, speed_up_moto  # noqa: E402
from local.events import find_route  # noqa: E402
from local.streams import to_lambda_record  # noqa: E402
from local.template import Template  # noqa: E402
from orders import aws  # noqa: E402
from orders.archive import get_archive  # noqa: E402
from orders.mailing.mail import get_mailer  # noqa: E402
from orders.mailing.shop import get_shop  # noqa: E402
from orders.table import Table, get_table  # noqa: E402

ALICE = {"sub": "alice"}
BOB = {"sub": "bob"}
ADA = {"sub": "ada", "name": "Ada Admin", "cognito:groups": "[admins]"}
ERP = {"sub": "erp", "client_id": "erp", "scope": "orders/admin"}

TEMPLATE = Template(ROOT / "template.yaml")

LOGS = Logs(TEMPLATE)
ROLES = Roles(TEMPLATE)
ROLES.watch(aws._session())

speed_up_moto()

CLIENTS: dict[str, Callable[[], Any]] = {name: getattr(aws, name).__wrapped__ for name in ("dynamodb", "s3", "ses")}

ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB")
"""Variables that decide where a new client sends its calls."""

ACCOUNT, REGION = "123456789012", "us-east-1"


LOADED = datetime(2026, 11, 22, 9, 0, 0, tzinfo=UTC)
"""When the sample orders were created, a day before the clock starts."""


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Answer:
    """The response of a function."""

    status: int
    headers: dict[str, str]
    text: str | None
    raw: bytes | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.text or "")


@dataclass
class Service:
    """All functions, in one emulated account."""

    clock: Clock
    calls: Counter[str] = field(default_factory=Counter)
    last_record: dict[str, Any] | None = None

    def reset(self) -> None:
        """Resets the account to the resources of the template and the sample orders."""
        BackendDict.reset()
        self.last_record = None
        initial = _initial_account()
        # Moto only adds to the stream. Its records of the sample orders are most of what there is to copy.
        tables = initial["DynamoDBBackend"]["tables"].values()
        unchanged = {id(record): record for table in tables for record in table.stream_shard.items}
        initial = copy.deepcopy(initial, unchanged)
        for backend in _account():
            vars(backend).update(initial[type(backend).__name__])
        s3_backends.bucket_accounts |= dict.fromkeys(s3_backends[ACCOUNT]["aws"].buckets, ("aws", ACCOUNT))
        if DYNAMODB_LOCAL:
            _reset_dynamodb_local()

    def event(self, method: str, path: str, body: Any = None, claims: Any = None, **headers: str) -> dict[str, Any]:
        """Returns an event for a path, made from the event file of its route."""
        path, _, query = path.partition("?")
        path = unquote(path)
        head, method = method == "HEAD", "GET" if method == "HEAD" else method
        match = find_route(TEMPLATE.routes, method, path)
        assert match, f"no route serves {method} {path}"
        event: dict[str, Any] = next(
            event for event in map(load, EVENTS) if "routeKey" in event and event["routeKey"] == match.route.key
        )
        event["rawPath"] = event["requestContext"]["http"]["path"] = path
        if head:
            event["requestContext"]["http"]["method"] = "HEAD"
            event["routeKey"] = event["requestContext"]["routeKey"] = match.route.key.replace("GET", "HEAD")
        event["pathParameters"] = dict(match.parameters)
        event["rawQueryString"] = query
        event["queryStringParameters"] = dict(parse_qsl(query, keep_blank_values=True))
        event.pop("body", None)
        event["headers"].pop("idempotency-key", None)
        if body is not None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
            event["headers"]["content-type"] = "application/json"
        event["headers"] |= {name.replace("_", "-"): value for name, value in headers.items()}
        # By default Alice calls the customer routes and Ada the admin routes.
        if claims is None:
            claims = ADA if path.startswith("/admin/") else ALICE
        if match.route.jwt:
            event["requestContext"]["authorizer"]["jwt"]["claims"] = claims
        return event

    def send(self, event: dict[str, Any]) -> Answer:
        """Passes an event to the function that serves its route."""
        function = next(route.function for route in TEMPLATE.routes if route.key == event["routeKey"])
        answer = invoke(function, event)
        headers = {k.lower(): v for k, v in answer["headers"].items()}
        if answer.get("isBase64Encoded"):
            return Answer(answer["statusCode"], headers, None, base64.b64decode(answer["body"]))
        return Answer(answer["statusCode"], headers, answer.get("body"))

    def post(self, path: str, body: Any = None, claims: Any = None, **headers: str) -> Answer:
        """Sends a POST request."""
        return self.send(self.event("POST", path, body, claims, **headers))

    def patch(self, path: str, body: Any = None, claims: Any = None, **headers: str) -> Answer:
        """Sends a PATCH request."""
        return self.send(self.event("PATCH", path, body, claims, **headers))

    def get(self, path: str, claims: Any = None, **headers: str) -> Answer:
        """Sends a GET request."""
        return self.send(self.event("GET", path, None, claims, **headers))

    def report(self, kind: str, order_id: str, n: int | str, at: str = "2026-11-23T09:00:05.000Z", **more: Any) -> None:
        """Delivers an SES event about a mailing, such as `Delivery`; `n` may be an invoice number of version 0.1."""
        event = load("ses-delivery")
        tags = {"invoice": ["INV-2026-00001"], "mailing": [str(n)]} if isinstance(n, int) else {"invoice": [n]}
        mail = event["detail"]["mail"] | {"timestamp": at, "tags": {"order_id": [order_id], **tags}}
        place = {"DeliveryDelay": "deliveryDelay", "Send": "send", "Reject": "reject"}.get(kind, kind.lower())
        event["detail"] = {"eventType": kind, "mail": mail, place: {"timestamp": at, **more}}
        invoke("RecordDeliveryFunction", event)

    def make_0_1(self, order_id: str) -> None:
        """Turns the items of an order that was invoiced here into those that version 0.1 would have."""
        for item in self.items(order_id, "DOC#"):
            key = {"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}}
            aws.dynamodb().delete_item(TableName="OrdersTable", Key=key)
        for mailing in self.invoices(order_id):
            number = f"INV-{order_id}-{mailing['n']}"
            pdf = self.archived()[f"orders/{order_id}/{mailing['document']}.pdf"]
            aws.s3().put_object(Bucket="InvoicesBucket", Key=f"orders/{order_id}/{number}.pdf", Body=pdf)
            aws.dynamodb().update_item(
                TableName="OrdersTable",
                Key={"pk": {"S": mailing["pk"]}, "sk": {"S": mailing["sk"]}},
                UpdateExpression="SET archived = :yes REMOVE document, document_issued, document_type",
                ExpressionAttributeValues={":yes": {"BOOL": True}},
            )
        aws.dynamodb().update_item(
            TableName="OrdersTable",
            Key={"pk": {"S": f"ORDER#{order_id}"}, "sk": {"S": "ORDER"}},
            UpdateExpression="REMOVE invoice, archived, may_have_left",
        )

    def skip_records(self) -> None:
        """Makes `records` skip everything in the table's stream so far, such as the sample orders."""
        if DYNAMODB_LOCAL:
            self.records()
        else:
            # Reading the sample orders from moto takes longer than most tests.
            shard = dynamodb_backends[ACCOUNT][REGION].tables["OrdersTable"].stream_shard
            assert shard
            self.last_record = shard.items[-1].to_json()

    def records(self) -> list[dict[str, Any]]:
        """Returns the stream records since the last call, as Lambda passes them to functions."""
        arn = client("dynamodb").describe_table(TableName="OrdersTable")["Table"]["LatestStreamArn"]
        # DynamoDB Local serves streams at the URL of its tables.
        streams = client("dynamodbstreams", DYNAMODB_LOCAL)
        [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        start = {"ShardIteratorType": "TRIM_HORIZON"}
        if self.last_record:
            number = self.last_record["dynamodb"]["SequenceNumber"]
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": number}
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], **start)["ShardIterator"]
        found = streams.get_records(ShardIterator=iterator)["Records"]
        self.last_record = found[-1] if found else self.last_record
        return [to_lambda_record(record, arn) for record in found]

    def notify(self, records: list[dict[str, Any]]) -> list[str]:
        """Passes records to the function that notifies customers. Returns the ids of failed records."""
        if not records:
            return []
        answer = invoke("NotifyCustomerFunction", {"Records": records})
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def items(self, order_id: str, sk: str = "") -> list[dict[str, Any]]:
        """Returns the items of an order, with plain values."""
        found = aws.dynamodb().query(
            TableName="OrdersTable",
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)" if sk else "pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"ORDER#{order_id}"}} | ({":sk": {"S": sk}} if sk else {}),
            ConsistentRead=True,
        )["Items"]
        return [{name: next(iter(value.values())) for name, value in item.items()} for item in found]

    def order(self, order_id: str) -> dict[str, Any]:
        """Returns the order's header."""
        return next(item for item in self.items(order_id, "ORDER") if item["sk"] == "ORDER")

    def invoices(self, order_id: str) -> list[dict[str, Any]]:
        """Returns the mailings of an order."""
        return self.items(order_id, "INVOICE#")

    def documents(self, order_id: str) -> list[dict[str, Any]]:
        """Returns the documents of an order as the staff sees them."""
        documents: list[dict[str, Any]] = self.get(f"/admin/orders/{order_id}/invoices").json["invoices"]
        return documents

    def comments(self, order_id: str) -> list[dict[str, Any]]:
        """Returns the comments on an order, including internal ones."""
        found = self.items(order_id, "COMMENT#") + self.items(order_id, "INTERNAL#")
        return sorted(found, key=lambda comment: int(comment["id"]))

    def archived(self) -> dict[str, bytes]:
        """Returns the archived objects by key."""
        listed = aws.s3().list_objects_v2(Bucket="InvoicesBucket").get("Contents", [])
        return {
            each["Key"]: aws.s3().get_object(Bucket="InvoicesBucket", Key=each["Key"])["Body"].read() for each in listed
        }

    @property
    def mails(self) -> list[EmailMessage]:
        """Every mail that SES accepted, except those to the staff."""
        return [mail for mail in _accepted_mails() if not _is_for_staff(mail)]

    @property
    def notices(self) -> list[EmailMessage]:
        """Every mail to a customer that SES accepted, except invoices."""
        return [mail for mail in self.mails if "notice=" in mail["X-SES-MESSAGE-TAGS"]]

    @property
    def staff_mails(self) -> list[EmailMessage]:
        """Every mail to the staff that SES accepted."""
        return [mail for mail in _accepted_mails() if _is_for_staff(mail)]


def _accepted_mails() -> list[EmailMessage]:
    sent = ses_backends[ACCOUNT][REGION].sent_messages
    return [email.message_from_string(mail.raw_data, policy=email.policy.default) for mail in sent]


def _is_for_staff(mail: EmailMessage) -> bool:
    return "notice=staff_" in mail["X-SES-MESSAGE-TAGS"]


def invoke(function: str, event: Any) -> Any:
    """Runs a function with the rights of its own role, checks what it logs, and returns its result."""
    handler = import_module(TEMPLATE.functions[function].handler.rpartition(".")[0]).handler
    with ROLES.acting(function), LOGS.listening():
        return handler(event, Context())


def _account() -> list[Any]:
    """Returns moto's backends of the services that functions call."""
    return [dynamodb_backends[ACCOUNT][REGION], s3_backends[ACCOUNT]["aws"], ses_backends[ACCOUNT][REGION]]


@cache
def _initial_account() -> dict[str, dict[str, Any]]:
    """Returns the state of each backend after provisioning the template and loading the sample orders.

    Copying it takes a tenth of the time of provisioning again.
    """
    provision(TEMPLATE)
    load_orders(ROOT / "local" / "orders.json", ["OrdersTable"], lambda: LOADED)
    kept = {"tables", "buckets", "email_identities", "config_sets"}
    return {
        type(backend).__name__: copy.deepcopy({name: value for name, value in vars(backend).items() if name in kept})
        for backend in _account()
    }


@cache
def _sample_items() -> tuple[Any, list[dict[str, Any]]]:
    """Returns a client of DynamoDB Local, and what `_initial_account` stored there."""
    dynamodb = client("dynamodb")
    return dynamodb, dynamodb.scan(TableName="OrdersTable")["Items"]


def _reset_dynamodb_local() -> None:
    """Replaces the table by a new one with the sample orders: loading them would take one transaction for each."""
    dynamodb, items = _sample_items()
    dynamodb.delete_table(TableName="OrdersTable")
    create_tables(dynamodb, TEMPLATE)
    for at in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[at : at + 25]]
        assert not dynamodb.batch_write_item(RequestItems={"OrdersTable": puts})["UnprocessedItems"]


def html_of(mail: EmailMessage) -> str:
    """Returns the HTML part of a mail."""
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def load(name: str) -> Any:
    """Returns an event file as JSON."""
    return json.loads(EVENTS[name].read_text(encoding="utf-8"))


class Context:
    """The context that Lambda passes to a function."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"


SYNTAX = {"ADD", "AND", "BETWEEN", "DELETE", "IN", "NOT", "OR", "REMOVE", "SET"}
RESERVED = frozenset(ReservedKeywords.get_reserved_keywords()) - SYNTAX


def refuse_reserved_words(params: Any, **_: object) -> None:
    """DynamoDB refuses an expression that has one as a name. Moto lets most of them pass."""
    if isinstance(params, dict):
        for name, value in params.items():
            if name.endswith("Expression"):
                words = re.findall(r"(?<![#:\w])[A-Za-z_]\w*", value)
                assert not [word for word in words if word.upper() in RESERVED], value
            refuse_reserved_words(value)
    elif isinstance(params, list):
        for each in params:
            refuse_reserved_words(each)


class ProcessCrash(BaseException):
    """Simulates the end of the process: no code after it runs."""


def break_at(step: str, moment: str, error: BaseException) -> Callable[[], None]:
    """Raises an error `before` or `after` AWS performs a step. Returns a function that removes the fault."""
    operation, _, count = step.partition(" ")
    left = int(count or 1)

    def fail(**_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise error

    meta = {"PutObject": aws.s3, "SendEmail": aws.ses}.get(operation, aws.dynamodb)().meta
    event = f"{moment}-call.{meta.service_model.service_id.hyphenize()}.{operation}"
    meta.events.register(event, fail)
    return lambda: meta.events.unregister(event, fail)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@cache
def _reusable_client(make: Callable[[], Any], settings: tuple[object, ...]) -> tuple[Any, Any]:
    """Returns a client that all tests of this process with the same settings share, and its event handlers."""
    client = make()
    return client, client.meta.events._emitter


def _once_reusable(make: Callable[[], Any]) -> Callable[[], Any]:
    """Returns a function that returns the shared client without a test's handlers, and a new one after `cache_clear`.

    Making three clients takes longer than most tests.
    """
    timeouts = [vars(config)["read_timeout"] for config in (aws.DYNAMODB, aws.S3, aws.SES)]
    client, handlers = _reusable_client(make, (*map(os.environ.get, ENDPOINTS), *timeouts))
    client.meta.events._emitter = copy.copy(handlers)
    left = [client]
    return cache(lambda: left.pop() if left else make())


@pytest.fixture
def service(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The service with the sample orders, on moto. With DynamoDB Local, the table is there."""
    for function in TEMPLATE.functions.values():
        for name, value in function.environment.items():
            # moto intercepts requests to AWS's own endpoints.
            if name != "AWS_ENDPOINT_URL":
                monkeypatch.setenv(name, value)
    for name, make in CLIENTS.items():
        monkeypatch.setattr(aws, name, _once_reusable(make))
    caches = (get_archive, get_table, get_mailer, get_shop)
    for cached in caches:
        cached.cache_clear()
    ROLES.refused.clear()
    # `mock_aws` would also intercept the package requests, which is slow to set up and which no code here uses.
    monkeypatch.setattr(botocore_stubber, "enabled", True)
    service = Service(clock)
    service.reset()
    table = Table(aws.dynamodb(), os.environ["TABLE_NAME"], now=clock, sleep=clock.sleep)
    for function in TEMPLATE.functions.values():
        module = import_module(function.handler.rpartition(".")[0])
        if hasattr(module, "app"):
            monkeypatch.setitem(module.app.dependency_overrides, get_table, lambda: table)
        elif hasattr(module, "get_table"):
            monkeypatch.setattr(module, "get_table", lambda: table)
    for used in (aws.dynamodb(), aws.s3(), aws.ses()):
        used.meta.events.register("before-call", lambda model, **_: service.calls.update([model.name]))
    aws.dynamodb().meta.events.register("provide-client-params", refuse_reserved_words)
    yield service
    BackendDict.reset()
    for cached in caches:
        cached.cache_clear()
    assert not ROLES.refused, "a function's role does not allow what it does"
