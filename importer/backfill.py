"""The command line: `python -m importer.backfill --table orders-prod`. Lists old orders in new indexes."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

# The models and the store are in the layer.
sys.path.append(str(Path(__file__).resolve().parents[1] / "shared"))

from orders.bulk import BulkStore
from orders.errors import DomainError
from orders.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the backfill and returns its exit status: 0 if it read all orders."""
    parser = argparse.ArgumentParser(
        prog="python -m importer.backfill",
        description="Makes orders of version 0.2 found by `email` and `updated_from`. Safe to repeat and to interrupt.",
        epilog="Environment: AWS_PROFILE, AWS_REGION and the other variables that the AWS CLI reads.",
    )
    parser.add_argument("--table", required=True, help="the name of the table")
    table = parser.parse_args(arguments).table
    read = listed = 0
    try:
        config = Config(retries={"mode": "adaptive", "total_max_attempts": 10})
        made = Session().create_client("dynamodb", config=config, region_name=os.environ.get("AWS_REGION"))
        client = cast("DynamoDBClient", made)
        for some, new in BulkStore(Table(client, table)).list_old_orders():
            read, listed = read + some, listed + new
            print(f"\r{read:,} orders read, {listed:,} listed", end="", flush=True)
    except (BotoCoreError, ClientError, DomainError) as error:
        cause = error.__cause__ or error
        print(f"\nbackfill: stopped: {cause}. Run the same command again.", file=sys.stderr)
        return 1
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
