"""The command line: `python -m importer.restored --table … --bucket …`. Makes a restored table safe to use.

A table restored from a backup does not know what happened after it, but the archive does: it keeps every document that
was mailed. Before the table is used, the series of numbers must go on after the last of these, or numbers would be used
twice, and the orders of these documents must be known, or they would be invoiced again. If the table that was replaced
can still be read, it has these orders, and numbers that were taken but not archived.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import unquote

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

# The models and the store are in the layer.
sys.path.append(str(Path(__file__).resolve().parents[1] / "shared"))

from orders.documents import Series
from orders.errors import DomainError
from orders.keys import DOCUMENT, document_sk, order_pk, series_key
from orders.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client


class Archived(NamedTuple):
    """A document in the archive: its order, its series (`INV-2026`) and how many numbers the series had taken then."""

    order_id: str
    series: str
    taken: int

    @property
    def number(self) -> str:
        """The document's number, such as `INV-2026-00017`."""
        return Series(self.series, self.taken).number


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares table and archive, and moves the series if asked to.

    Returns:
        The exit status: 0 if the table can be used, 1 if something has to be done first or AWS refused a call.
    """
    parser = argparse.ArgumentParser(
        prog="python -m importer.restored",
        description="Compares a restored table with the archive of documents. Changes nothing without --fix.",
        epilog="Environment: AWS_PROFILE, AWS_REGION and the other variables that the AWS CLI reads.",
    )
    parser.add_argument("--table", required=True, help="the name of the restored table")
    parser.add_argument("--bucket", required=True, help="the name of the archive")
    parser.add_argument("--old", help="the table that it replaces, if it can still be read")
    parser.add_argument(
        "--fix",
        action="store_true",
        help="move the series of numbers after the last document, and copy the orders of unknown documents from --old",
    )
    given = parser.parse_args(arguments)
    try:
        config = Config(retries={"mode": "adaptive", "total_max_attempts": 10})
        session, region = Session(), os.environ.get("AWS_REGION")
        dynamodb = cast("DynamoDBClient", session.create_client("dynamodb", config=config, region_name=region))
        s3 = cast("S3Client", session.create_client("s3", config=config, region_name=region))
        old = Table(dynamodb, given.old) if given.old else None
        lost = _compare(Table(dynamodb, given.table), old, list(archived(s3, given.bucket)), fix=given.fix)
        if given.fix and given.old:
            lost = [each for each in lost if not _copy(dynamodb, given.old, given.table, each)]
        return 1 if lost else 0
    except (BotoCoreError, ClientError, DomainError) as error:
        print(f"restored: stopped: {error.__cause__ or error}. Run the same command again.", file=sys.stderr)
        return 1


def archived(client: "S3Client", bucket: str) -> Iterator[Archived]:
    """Yields the documents in the archive that have a number of a series, which those of version 0.1 have not."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="orders/"):
        for stored in page.get("Contents", ()):
            found = re.fullmatch(r"orders/([^/]+)/(.+\d{4})-(\d{5,})\.pdf", stored["Key"])
            if found:
                yield Archived(unquote(found[1]), found[2], int(found[3]))


def _compare(table: Table, old: Table | None, documents: Sequence[Archived], *, fix: bool) -> list[Archived]:
    """Returns what has to be done before the table is used: the last number of a series, or an unknown document."""
    to_do = []
    for name, archived_last in sorted(_last(documents).items()):
        last = max(archived_last, _series(old, name).taken if old else 0)
        series = _series(table, name)
        if series.taken >= last:
            print(f"{name}: goes on after {series.number}.")
        elif fix:
            # Never back: a document may have been issued since it was read.
            move, values = "SET taken = :last, issued = :now", {":last": last, ":now": table.now()}
            condition = "attribute_not_exists(pk) OR taken < :last"
            table.write(table.update_action(series_key(name), move, condition, values))
            print(f"{name}: moved from {series.taken:05} to {last:05}.")
        else:
            to_do.append(Archived("", name, last))
            print(f"{name}: would use {series.taken + 1:05} to {last:05} again. Run this with --fix.")
    lost = []
    for read, each in enumerate(sorted(documents), 1):
        if not table.get(each.order_id, document_sk(each.number)):
            lost.append(each)
        if read % 100 == 0:
            print(f"{read:,} of {len(documents):,} documents compared", flush=True)
    for each in lost:
        print(f"{each.number}: was issued for order {each.order_id} after the backup. Do not invoice this order again.")
    print(f"{len(documents):,} documents in the archive, {len(lost):,} of them unknown to the table.")
    return to_do + lost


def _copy(client: "DynamoDBClient", old: str, new: str, document: Archived) -> bool:
    """Copies the order of a document, as the old table has it. Returns False if that does not know the document."""
    key = {":pk": {"S": order_pk(document.order_id)}}
    query = {"TableName": old, "KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": key}
    pages = client.get_paginator("query").paginate(**query, ConsistentRead=True)  # type: ignore[arg-type]
    items = [item for page in pages for item in page["Items"]]
    if document_sk(document.number) not in {item["sk"]["S"] for item in items}:
        print(f"{document.number}: {old} does not know it either.")
        return False
    # Documents last: if this is interrupted, they are still unknown, and the next run copies the order again.
    for item in sorted(items, key=lambda item: item["sk"]["S"].startswith(f"{DOCUMENT}#")):
        client.put_item(TableName=new, Item=item)
    print(f"{document.number}: copied order {document.order_id} from {old}.")
    return True


def _series(table: Table, name: str) -> Series:
    return Series.of(name, next(iter(table.get_many([series_key(name)], consistent=True)[0]), None))


def _last(documents: Iterable[Archived]) -> dict[str, int]:
    """Returns the last number of each series."""
    last: dict[str, int] = {}
    for each in documents:
        last[each.series] = max(last.get(each.series, 0), each.taken)
    return last


if __name__ == "__main__":
    sys.exit(main())
