"""The archive of documents: the PDFs as they were mailed, in S3."""

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

LINK_LIFETIME = 300
"""Seconds for which a link to a PDF is valid."""


class Archive:
    """Documents in S3, written once and never changed.

    Args:
        client: An S3 client.
        bucket: The name of the bucket.
    """

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, order_id: str, number: str, pdf: bytes) -> bytes:
        """Stores the PDF of a document, unless it is stored already.

        Returns:
            The stored PDF: the given one, or the one that an earlier attempt stored.

        Raises:
            Unavailable: It may not be stored.
        """
        try:
            with _faults():
                self._client.put_object(
                    Bucket=self._bucket, Key=archive_key(order_id, number), Body=pdf, ContentType=PDF, IfNoneMatch="*"
                )
        except _Exists:
            return self.get(order_id, number)
        return pdf

    def get(self, order_id: str, number: str) -> bytes:
        """Reads the PDF of a document.

        Raises:
            Unavailable: It may not be there.
        """
        with _faults():
            return self._client.get_object(Bucket=self._bucket, Key=archive_key(order_id, number))["Body"].read()

    def link(self, order_id: str, number: str) -> str:
        """Returns a link to the PDF of a document, which works without credentials for five minutes."""
        return self._client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket,
                "Key": archive_key(order_id, number),
                "ResponseContentDisposition": f'inline; filename="{number}.pdf"',
                "ResponseContentType": PDF,
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
