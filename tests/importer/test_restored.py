"""A table that was restored from a backup, compared with the archive, which kept everything."""

from collections.abc import Callable
from typing import Any

import pytest
from documents import create, send
from harness import Service

from importer import restored
from orders import aws

pytestmark = pytest.mark.slow


@pytest.fixture
def backup(service: Service) -> Callable[[], None]:
    """Takes a backup of the table, and returns a function that restores it. The archive is not touched."""
    send(service, create(service, "before"))
    items = scan()

    def restore() -> None:
        for item in scan():
            aws.dynamodb().delete_item(TableName="OrdersTable", Key={name: item[name] for name in ("pk", "sk")})
        for item in items:
            aws.dynamodb().put_item(TableName="OrdersTable", Item=item)

    return restore


def scan() -> list[Any]:
    return aws.dynamodb().scan(TableName="OrdersTable")["Items"]


def compare(capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    status = restored.main(["--table", "OrdersTable", "--bucket", "InvoicesBucket", *more])
    return status, capsys.readouterr().out


def test_numbers_issued_after_the_backup_are_not_used_again(
    service: Service, backup: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    send(service, create(service, "A:1"))
    create(service, "later")
    backup()
    before = scan()

    status, said = compare(capsys)
    assert status == 1
    assert "INV-2026: would use 00002 to 00002 again. Run this with --fix.\n" in said
    assert "INV-2026-00002: was issued for order A:1 after the backup. Do not invoice this order again.\n" in said
    assert scan() == before

    assert "INV-2026: moved from 00001 to 00002.\n" in compare(capsys, "--fix")[1]
    assert send(service, create(service, "next")) == "INV-2026-00003"


def test_orders_of_lost_documents_come_from_the_old_table(
    service: Service, backup: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    path = create(service, "A:1")
    send(service, path)
    assert service.post(f"{path}/cancel").status == 204
    aws.dynamodb().create_table(
        TableName="Old",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    for item in scan():
        aws.dynamodb().put_item(TableName="Old", Item=item)
    backup()

    status, said = compare(capsys, "--old", "Old", "--fix")
    assert status == 0
    # The credit note of the cancellation has a number, but was not archived yet.
    assert "INV-2026: moved from 00001 to 00003.\n" in said
    assert "INV-2026-00002: copied order A:1 from Old.\n" in said
    assert service.get(path).json["order_status"] == "cancelled"
    assert service.post(f"{path}/send-invoice").status == 409
    assert send(service, create(service, "next")) == "INV-2026-00004"


def test_table_that_knows_all_documents_can_be_used(
    service: Service, backup: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    backup()
    assert compare(capsys, "--fix") == (
        0,
        "INV-2026: goes on after INV-2026-00001.\n1 documents in the archive, 0 of them unknown to the table.\n",
    )


def test_prefix_needs_no_hyphen(
    service: Service, backup: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    backup()
    aws.s3().put_object(Bucket="InvoicesBucket", Key="orders/A%2F1/RE2026-00007.pdf", Body=b"%PDF")
    status, said = compare(capsys)
    assert status == 1
    assert "RE2026: would use 00001 to 00007 again." in said
    assert "RE2026-00007: was issued for order A/1 after the backup." in said


def test_missing_table_is_named(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert restored.main(["--table", "nowhere", "--bucket", "missing-bucket"]) == 1
    assert "restored: stopped: " in capsys.readouterr().err
