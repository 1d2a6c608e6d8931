"""The archive of invoices: the PDFs as they were mailed, in S3."""

from functools import cache
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from orders import aws, settings
from orders.errors import Unavailable
from orders.models import Invoice

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PDF = "application/pdf"

LINK_LIFETIME = 300
"""Seconds for which a link to a PDF is valid."""


class Archive:
    """Invoices in S3, written once and never changed.

    Args:
        client: An S3 client.
        bucket: The name of the bucket.
    """

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, invoice: Invoice, pdf: bytes) -> None:
        """Stores the PDF of an invoice, once.

        Raises:
            Unavailable: It may not be stored.
        """
        try:
            self._client.put_object(
                Bucket=self._bucket, Key=invoice.archive_key, Body=pdf, ContentType=PDF, IfNoneMatch="*"
            )
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            # botocore repeated the call after a lost answer: no other invoice has this key.
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "PreconditionFailed":
                return
            raise Unavailable(
                "The invoice could not be archived, so it was not sent; try again.", reason=type(error).__name__
            ) from error

    def link(self, invoice: Invoice) -> str:
        """Returns a link to the PDF of an invoice, which works without credentials for five minutes."""
        return self._client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket,
                "Key": invoice.archive_key,
                "ResponseContentDisposition": f'inline; filename="{invoice.number}.pdf"',
                "ResponseContentType": PDF,
            },
            ExpiresIn=LINK_LIFETIME,
        )


@cache
def get_archive() -> Archive:
    """For `Depends`: the archive of this function."""
    return Archive(aws.s3(), settings.read(settings.ArchiveSettings).invoices_bucket)
