"""AWS clients, with the timeouts and retries that fit each service. No other module makes clients.

A botocore session makes the same clients as boto3, without the 0.2 s that importing boto3's file transfer costs.
Each client is made once and kept, with its connections, for the life of the execution environment. Functions make the
clients that they need while they start (see `orders.startup`); the others are made at first use.
"""

import json
import logging
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.credentials import ContainerProvider, CredentialResolver, EnvProvider
from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST
from botocore.hooks import BaseEventHooks
from botocore.parsers import ResponseParserError
from botocore.session import Session

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client
    from types_boto3_sesv2 import SESV2Client

# At level INFO, it logs at each cold start where it found credentials.
logging.getLogger("botocore").setLevel(logging.WARNING)

SERVICES = frozenset({"dynamodb", "s3", "sesv2"})
"""The services that have a client here, by botocore's names."""

NO_PROXIES: dict[str, str] = {}
"""There is no proxy between Lambda and AWS, and the code that looks for one is slow to load."""

DYNAMODB = Config(
    connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2}, proxies=NO_PROXIES
)
"""A call takes milliseconds. Two attempts of 2 s each, with the pause between them, end well within the timeout of a
function."""

SES = Config(
    connect_timeout=1, read_timeout=6, retries={"mode": "standard", "total_max_attempts": 1}, proxies=NO_PROXIES
)
"""One attempt: SES has no idempotency token, and a retry would repeat a mail that SES accepted but confirmed late."""

S3 = Config(
    connect_timeout=1,
    read_timeout=1.5,
    retries={"mode": "standard", "total_max_attempts": 2},
    signature_version="s3v4",
    # With the region in the host name: without it, links are redirected while a bucket is new, and then fail.
    s3={"addressing_style": "virtual"},
    # TLS already protects the transfer; the checksum would cost CPU for every PDF.
    request_checksum_calculation="when_required",
    proxies=NO_PROXIES,
)
"""An invoice is small, so a longer call has failed."""


@cache
def _session() -> Session:
    # Shared by all clients, because each session reads botocore's service descriptions again.
    session = Session(include_builtin_handlers=False)
    _register_handlers(session.get_component("event_emitter"))
    # Lambda provides credentials in the environment, or with SnapStart at a URL. botocore would also look elsewhere.
    session.register_component("credential_provider", CredentialResolver([EnvProvider(), ContainerProvider()]))
    return session


def _register_handlers(emitter: BaseEventHooks) -> None:
    """Registers botocore's own event handlers, except for those of services that have no client here.

    There are 300 of them, and botocore inspects each one's signature.
    """
    register = {
        (): emitter.register,
        (REGISTER_FIRST,): emitter.register_first,
        (REGISTER_LAST,): emitter.register_last,
    }
    for event, handler, *position in BUILTIN_HANDLERS:
        kind, _, rest = event.partition(".")
        if kind != "docs" and (not rest or rest.partition(".")[0] in SERVICES):
            register[tuple(position)](event, handler)


@cache
def dynamodb() -> "DynamoDBClient":
    """Returns the DynamoDB client."""
    client = cast("DynamoDBClient", _session().create_client("dynamodb", config=DYNAMODB))
    client.meta.events.register("before-parse.dynamodb", _refuse_malformed_answer)
    return client


@cache
def ses() -> "SESV2Client":
    """Returns the SES client, which never repeats a call."""
    return cast("SESV2Client", _session().create_client("sesv2", config=SES))


@cache
def s3() -> "S3Client":
    """Returns the S3 client."""
    return cast("S3Client", _session().create_client("s3", config=S3))


def _refuse_malformed_answer(response_dict: Mapping[str, Any], **_: object) -> None:
    """Refuses answers that are not JSON. botocore treats them as empty, so an order would seem not to exist."""
    try:
        if response_dict["status_code"] == 200:
            json.loads(response_dict["body"])
    except ValueError as error:
        raise ResponseParserError("DynamoDB's answer is not JSON") from error
