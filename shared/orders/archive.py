"""The archive of documents in S3: the PDFs as they were mailed, and the XML files beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from orders import aws, settings
from orders.errors import Unavailable
from orders.invoices import archive_key

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PDF = "application/pdf"
XML = "application/xml"

SUFFIXES = {PDF: "pdf", XML: "xml"}
"""What the names of files end in, by their type."""

LINK_LIFETIME = 300
"""Seconds for which a link to a file is valid."""


class Archive:
    """Documents in S3, written once and never changed.

    Args:
        client: An S3 client.
        bucket: The name of the bucket.
    """

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, order_id: str, number: str, content: bytes, kind: str = PDF) -> bytes:
        """Stores a file of a document, unless it is stored already.

        Args:
            order_id: The document's order.
            number: Its number.
            content: The file.
            kind: Its media type: a key of `SUFFIXES`.

        Returns:
            The stored file: the given one, or the one that an earlier attempt stored.

        Raises:
            Unavailable: It may not be stored.
        """
        key = archive_key(order_id, number, SUFFIXES[kind])
        try:
            with _faults():
                self._client.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=kind, IfNoneMatch="*")
        except _Exists:
            return self.get(order_id, number, kind)
        return content

    def get(self, order_id: str, number: str, kind: str = PDF) -> bytes:
        """Reads a file of a document. See `put` for the arguments.

        Raises:
            Unavailable: It may not be there.
        """
        key = archive_key(order_id, number, SUFFIXES[kind])
        with _faults():
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()

    def link(self, order_id: str, number: str, kind: str = PDF) -> str:
        """Returns a link to a file of a document, which works without credentials for five minutes."""
        return self._client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket,
                "Key": archive_key(order_id, number, SUFFIXES[kind]),
                "ResponseContentDisposition": f'inline; filename="{number}.{SUFFIXES[kind]}"',
                "ResponseContentType": kind,
            },
            ExpiresIn=LINK_LIFETIME,
        )


class _Exists(Exception):
    """An object with this key is stored already."""


@contextmanager
def _faults() -> Iterator[None]:
    """Maps errors of S3 and of the network to errors of the domain."""
    try:
        yield
    except (BotoCoreError, ClientError, HTTPError, ResponseParserError) as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] == "PreconditionFailed":
            raise _Exists from error
        raise Unavailable(
            "The archive of documents is not available. No mail was sent; try again.", reason=type(error).__name__
        ) from error


@cache
def get_archive() -> Archive:
    """For `Depends`: the archive of this function."""
    return Archive(aws.s3(), settings.read(settings.ArchiveSettings).invoices_bucket)
