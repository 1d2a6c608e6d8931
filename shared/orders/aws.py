"""The one place that makes clients of AWS, with the timeouts and retries that fit each service.

A botocore session makes the same clients as boto3, without the 0.2 s that importing boto3's file transfer costs.
Clients are made once (`orders.startup` says when), then kept for the life of the execution environment, connections
included.
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

# It says at each cold start where it found credentials.
logging.getLogger("botocore").setLevel(logging.WARNING)

SERVICES = frozenset({"dynamodb", "s3", "sesv2"})
"""The services that have a client here, by botocore's names."""

NO_PROXIES: dict[str, str] = {}
"""Nothing stands between Lambda and AWS, and what looks for it is slow to load."""

DYNAMODB = Config(
    connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2}, proxies=NO_PROXIES
)
"""A call takes milliseconds; two attempts of 2 s and the pause between them end long before the function does."""

SES = Config(
    connect_timeout=1, read_timeout=6, retries={"mode": "standard", "total_max_attempts": 1}, proxies=NO_PROXIES
)
"""One attempt: SES has no idempotency token, and botocore would send again what SES took but answered too late."""


S3 = Config(
    connect_timeout=1,
    read_timeout=1.5,
    retries={"mode": "standard", "total_max_attempts": 2},
    signature_version="s3v4",
    # The region in the host's name: a link to the one without it is redirected while a bucket is new, and then fails.
    s3={"addressing_style": "virtual"},
    # S3 checks the TLS connection anyway; the checksum would cost CPU for every PDF.
    request_checksum_calculation="when_required",
    proxies=NO_PROXIES,
)
"""An invoice is small: what takes longer is not working."""


@cache
def _session() -> Session:
    # One for all clients: each session reads botocore's descriptions of AWS anew.
    session = Session(include_builtin_handlers=False)
    _register_handlers(session.get_component("event_emitter"))
    # Where Lambda puts them: in the environment, or with SnapStart at an address. botocore would be ready for more.
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
    """The client for DynamoDB."""
    client = cast("DynamoDBClient", _session().create_client("dynamodb", config=DYNAMODB))
    client.meta.events.register("before-parse.dynamodb", _refuse_what_is_garbled)
    return client


@cache
def ses() -> "SESV2Client":
    """The client for SES. It never repeats a call."""
    return cast("SESV2Client", _session().create_client("sesv2", config=SES))


@cache
def s3() -> "S3Client":
    """The client for S3."""
    return cast("S3Client", _session().create_client("s3", config=S3))


def _refuse_what_is_garbled(response_dict: Mapping[str, Any], **_: object) -> None:
    """Botocore takes an answer that is no JSON for an empty one: an order that it cannot read would not exist."""
    try:
        if response_dict["status_code"] == 200:
            json.loads(response_dict["body"])
    except ValueError as error:
        raise ResponseParserError("DynamoDB's answer is no JSON") from error
