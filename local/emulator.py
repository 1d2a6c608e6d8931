"""The emulated AWS: moto's server, with the resources of the template.

All clients use made-up credentials, so that nothing can reach the AWS account of the user who runs `make run`.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotReachable
from botocore.session import Session
from werkzeug.serving import BaseWSGIServer

from local import UsageError
from local.cloudformation import ACCOUNT, Properties
from local.server import QuietHandler, serve
from local.template import Template

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_INHERITED = ("PATH", "HOME", "TMPDIR", "TERM")

_TABLE_ARGUMENTS = (
    "AttributeDefinitions",
    "KeySchema",
    "LocalSecondaryIndexes",
    "BillingMode",
    "ProvisionedThroughput",
)
_INDEX_ARGUMENTS = ("IndexName", "KeySchema", "Projection", "ProvisionedThroughput")


def region(given: Mapping[str, str]) -> str:
    """Returns the region to emulate."""
    return given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION") or "us-east-1"


def environment(given: Mapping[str, str], endpoint: str) -> dict[str, str]:
    """Returns the environment variables of a program that may only use the emulated AWS.

    Args:
        given: The variables that `make run` was called with. An `AWS_ENDPOINT_URL_<SERVICE>` among them is kept.
        endpoint: The address of all other services.
    """
    kept = {name: value for name, value in given.items() if name in _INHERITED or name.startswith("AWS_ENDPOINT_URL_")}
    return {
        **kept,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": region(given),
        "AWS_DEFAULT_REGION": region(given),
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "LANG": "C.UTF-8",
    }


def use(environment: Mapping[str, str]) -> None:
    """Makes the clients of this process use the emulated AWS only, whatever AWS settings and proxies they inherited."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.update(environment)


def start(listener: socket.socket) -> BaseWSGIServer:
    """Starts moto's server."""
    # Imported late, because moto is slow to import: a port that is in use is reported before that.
    from moto.dynamodbstreams.models import dynamodbstreams_backends  # noqa: PLC0415
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )

    speed_up_moto()
    dynamodbstreams_backends[ACCOUNT][region(os.environ)].shard_iterators = _NewestIterators()
    # Moto's handler keeps header names that WSGI would lose.
    handler = type("Handler", (QuietHandler, MotoRequestHandler), {})
    return serve(listener, _SerializedDynamoDb(DomainDispatcherApplication(create_backend_app)), handler)


def provision(template: Template) -> list[str]:
    """Creates the resources of the template that do not exist yet.

    Returns:
        Warnings about features that will not work, because a resource could not be created.

    Raises:
        UsageError: DynamoDB does not respond or rejects a table. Nothing works without it.
    """
    create_tables(client("dynamodb"), template)
    missing = []
    for service, feature, create in (
        ("sesv2", "mail", _create_senders),
        ("s3", "the archive", _create_buckets),
    ):
        made = client(service)
        try:
            create(made, template)
        except (BotoCoreError, ClientError):
            missing.append(f"{service} does not work at {made.meta.endpoint_url}, so {feature} is unavailable.")
    return missing


def create_tables(dynamodb: Any, template: Template) -> None:
    """Creates the tables of the template that do not exist yet.

    Raises:
        UsageError: DynamoDB does not respond or rejects a table.
    """
    for name, properties in template.of_type("AWS::DynamoDB::Table").items():
        try:
            _create_table(dynamodb, name, properties)
        except (NotReachable, HTTPClientError) as error:
            raise UsageError(
                f"DynamoDB does not respond at {dynamodb.meta.endpoint_url}: start it, or unset "
                "AWS_ENDPOINT_URL_DYNAMODB and AWS_ENDPOINT_URL"
            ) from error
        except (BotoCoreError, ClientError) as error:
            raise UsageError(f"DynamoDB at {dynamodb.meta.endpoint_url} rejects the table {name}: {error}") from error


def load_orders(path: Path, tables: Iterable[str], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> int:
    """Adds the orders of a file to tables. Existing orders are left unchanged.

    Args:
        path: The file.
        tables: The names of the tables.
        now: The clock.

    Returns:
        The number of orders that were added.
    """
    # The folders of the functions are on the path only after the template was read.
    from importer.reading import read  # noqa: PLC0415
    from orders.errors import OrderExists  # noqa: PLC0415
    from orders.store import CreateResult, OrderStore  # noqa: PLC0415
    from orders.table import Table  # noqa: PLC0415

    orders = []
    for entry in read(path):
        if entry.order is None:
            raise UsageError("\n".join(["the sample orders cannot be loaded:", *entry.errors]))
        orders.append(entry.order)
    loaded = 0
    for table in tables:
        store = OrderStore(Table(client("dynamodb"), table, now))
        for order in orders:
            try:
                loaded += store.create(order.order(store.now()))[1] is CreateResult.NEW
            except OrderExists:
                continue
    return loaded


def load_comment(tables: Iterable[str]) -> None:
    """Adds an internal comment to order 1001: the one that `events/redact-comment-as-admin.json` redacts."""
    from orders.comments import CommentStore  # noqa: PLC0415
    from orders.identity import Caller, Role  # noqa: PLC0415
    from orders.keys import RequestKey  # noqa: PLC0415
    from orders.table import Table  # noqa: PLC0415

    ada = Caller(Role.ADMIN, "ada", "Ada Admin")
    for table in tables:
        # A comment's id is the time at which it was added.
        store = CommentStore(Table(client("dynamodb"), table, lambda: datetime(2026, 11, 23, 9, tzinfo=UTC)))
        key = RequestKey.of("sample", ada, None, "sample")
        store.add("1001", ada, "Asked on the phone for a gift box.", flagged=True, visible=False, key=key)


def client(service: str, endpoint: str | None = None) -> Any:
    """Returns a client with short timeouts, because the service is on this machine.

    Args:
        service: The name of the service.
        endpoint: Its address; without it, the environment variables decide.
    """
    timeouts = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})
    return _session().create_client(service, endpoint_url=endpoint, config=timeouts)


@cache
def _session() -> Session:
    # One session for all clients: each session loads the service descriptions again.
    return Session()


class _NewestIterators(dict[str, Any]):
    """Keeps the newest stream iterators. Moto would keep all of them, and polling creates two per second."""

    def __setitem__(self, arn: str, iterator: Any) -> None:
        super().__setitem__(arn, iterator)
        if len(self) > 1000:
            del self[next(iter(self))]


class _SerializedDynamoDb:
    """Serializes the requests to moto's DynamoDB, so that each write is atomic as in DynamoDB.

    Moto checks a condition and then writes, in a thread per request. It also adds the writes of a transaction to the
    stream before it knows whether the transaction succeeds.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith(("DynamoDB_", "DynamoDBStreams_")):
            return self._app(environ, start_response)
        with self._lock:
            return self._app(environ, start_response)


@cache
def speed_up_moto() -> None:
    """Replaces two slow parts of moto, for the whole process."""
    _copy_only_touched_items()
    _serialize_only_given_types()


def _serialize_only_given_types() -> None:
    """Makes moto serialize only the type that a DynamoDB value has.

    Moto tries up to ten spellings of each of the ten types: half of the time that a list of orders takes.
    """
    from moto.core.serialize import ResponseSerializer  # noqa: PLC0415 - moto, as in `start`

    plain = ResponseSerializer._serialize_type_structure

    def serialize(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name != "AttributeValue" or not isinstance(value, dict):
            plain(serializer, serialized, value, shape, key)
            return
        wrapper: dict[str, Any] = {}
        for kind, content in value.items():
            if content is not None:
                serializer._serialize(wrapper, content, shape.members[kind], kind)
        serializer._default_serialize(serialized, wrapper, shape, key)

    setattr(ResponseSerializer, "_serialize_type_structure", serialize)  # noqa: B010 - mypy allows no assignment to it


def _copy_only_touched_items() -> None:
    """Makes moto copy only the items that a transaction changes.

    For a rollback, moto copies the whole table once per action: with 200 orders in the table, a transaction of 100
    actions takes a minute. `_SerializedDynamoDb` prevents concurrent writes.
    """
    from moto.dynamodb.models import DynamoDBBackend  # noqa: PLC0415 - moto, as in `start`
    from moto.dynamodb.models.dynamo_type import DynamoType  # noqa: PLC0415
    from moto.dynamodb.models.table import Table  # noqa: PLC0415

    plain = DynamoDBBackend.transact_write_items
    lock = threading.Lock()

    def transact(backend: Any, actions: Any) -> None:
        # The patch of the table's class is not safe for threads.
        with lock:
            transact_alone(backend, actions)

    def transact_alone(backend: Any, actions: Any) -> None:
        kept = []
        for operation in (next(iter(action.values())) for action in actions):
            if table := backend.tables.get(operation["TableName"]):
                key = DynamoType((operation.get("Key") or operation["Item"])[table.hash_key_attr])
                stream = table.stream_shard.items if table.stream_shard else []
                kept.append((table, key, deepcopy(table.items.get(key, {})), stream, len(stream)))
        try:
            with patch.object(Table, "__deepcopy__", lambda table, _: table, create=True):
                plain(backend, actions)
        except Exception:
            for table, key, items, stream, length in kept:
                table.items[key] = items
                del stream[length:]
            raise

    setattr(DynamoDBBackend, "transact_write_items", transact)  # noqa: B010 - mypy allows no assignment to a method


def _create_senders(ses: Any, template: Template) -> None:
    for properties in template.of_type("AWS::SES::EmailIdentity").values():
        _create_once(ses.create_email_identity, EmailIdentity=properties["EmailIdentity"])
    for name, properties in template.of_type("AWS::SES::ConfigurationSet").items():
        _create_once(ses.create_configuration_set, ConfigurationSetName=properties.get("Name", name))


def _create_buckets(s3: Any, template: Template) -> None:
    # S3 rejects us-east-1 as a location.
    place = s3.meta.region_name
    where = {} if place == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": place}}
    for name, properties in template.of_type("AWS::S3::Bucket").items():
        bucket = properties.get("BucketName", name)
        _create_once(s3.create_bucket, Bucket=bucket, **where)
        if versioning := properties.get("VersioningConfiguration"):
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versioning)


def _create_table(dynamodb: Any, name: str, properties: Properties) -> None:
    name = properties.get("TableName", name)
    arguments = {key: properties[key] for key in _TABLE_ARGUMENTS if key in properties}
    if indexes := properties.get("GlobalSecondaryIndexes"):
        arguments["GlobalSecondaryIndexes"] = [
            {key: index[key] for key in _INDEX_ARGUMENTS if key in index} for index in indexes
        ]
    if stream := properties.get("StreamSpecification"):
        arguments["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream["StreamViewType"]}
    if _create_once(dynamodb.create_table, TableName=name, **arguments) and (
        expiry := properties.get("TimeToLiveSpecification")
    ):
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)


def _create_once(create: Any, **arguments: Any) -> bool:
    """Creates a resource and returns whether it did not exist before."""
    try:
        create(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"].endswith(
            ("ResourceInUseException", "AlreadyExistsException", "BucketAlreadyOwnedByYou")
        ):
            return False
        raise
    return True
