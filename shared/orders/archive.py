"""The archive of invoices: the PDFs as they were mailed, in S3."""

import os
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from orders import aws
from orders.errors import Unavailable
from orders.models import Invoice
from orders.startup import once

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PDF = "application/pdf"

LINK_LIFETIME = 300
"""Seconds for which a link to a PDF can be used."""


class Archive:
    """Invoices in S3. What is written is never changed.

    Args:
        client: A client of S3.
        bucket: The name of the bucket.
    """

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, invoice: Invoice, pdf: bytes) -> None:
        """Stores the PDF of an invoice, once.

        Raises:
            Unavailable: It is not certain that it is stored.
        """
        try:
            self._client.put_object(
                Bucket=self._bucket, Key=invoice.archive_key, Body=pdf, ContentType=PDF, IfNoneMatch="*"
            )
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            # A repetition by botocore after a lost answer: the key belongs to this invoice alone.
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "PreconditionFailed":
                return
            raise Unavailable(
                "The invoice could not be archived, so it was not sent; try again.", reason=type(error).__name__
            ) from error

    def link(self, invoice: Invoice) -> str:
        """Where the PDF of an invoice can be fetched for the next five minutes, by whoever has the link."""
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


@once
def get_archive() -> Archive:
    """For `Depends`: the archive of this function."""
    return Archive(aws.s3(), os.environ["INVOICES_BUCKET"])
