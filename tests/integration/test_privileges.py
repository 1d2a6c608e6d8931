"""Least privilege: the role in the template allows each function what it does, and nothing else.

All tests with the fixture `service` run with these roles. The tests here show what the roles forbid.
"""

from collections.abc import Callable
from email.message import EmailMessage
from fnmatch import fnmatchcase
from typing import Any

import pytest
from botocore.exceptions import ClientError
from harness import BOB, ROLES, TEMPLATE, Service, invoke, load
from iam import as_list, permits

from orders import aws

TABLE = {"TableName": "OrdersTable"}
ORDER = {"pk": {"S": "ORDER#1001"}, "sk": {"S": "ORDER"}}
OF_ORDER: dict[str, Any] = {
    "KeyConditionExpression": "pk = :pk",
    "ExpressionAttributeValues": {":pk": {"S": "ORDER#1001"}},
}
OTHER_KEY = {"pk": {"S": "CUSTOMER#alice"}, "sk": {"S": "x"}}
INVOICES = {"Bucket": "InvoicesBucket"}
PDF = "orders/1001/INV-2026-00001.pdf"
SHOP = TEMPLATE.functions["SendInvoiceFunction"].environment["SENDER"]


def dynamodb() -> Any:
    return aws.dynamodb()


def s3() -> Any:
    return aws.s3()


def ses() -> Any:
    return aws.ses()


def mail(sender: str, header: str) -> Any:
    message = EmailMessage()
    message["From"], message["To"] = header, "alice@example.com"
    return ses().send_email(FromEmailAddress=sender, Content={"Raw": {"Data": message.as_bytes()}})


def write(**kind: Any) -> Any:
    return dynamodb().transact_write_items(TransactItems=[kind])


FORBIDDEN: dict[str, Callable[[], Any]] = {
    "read another table": lambda: dynamodb().get_item(TableName="Customers", Key=ORDER),
    "query another table": lambda: dynamodb().query(TableName="Customers", **OF_ORDER),
    "read many of another table": lambda: dynamodb().batch_get_item(RequestItems={"Customers": {"Keys": [ORDER]}}),
    "write to another table": lambda: dynamodb().put_item(TableName="Customers", Item=ORDER),
    "change another table": lambda: dynamodb().update_item(TableName="Customers", Key=ORDER),
    "write to another table, in a transaction": lambda: write(Put={"TableName": "Customers", "Item": ORDER}),
    "scan the table": lambda: dynamodb().scan(**TABLE),
    "read another item": lambda: dynamodb().get_item(**TABLE, Key=OTHER_KEY),
    "write another item": lambda: dynamodb().put_item(**TABLE, Item=OTHER_KEY),
    "write another item, in a transaction": lambda: write(Put={**TABLE, "Item": OTHER_KEY}),
    "change another item": lambda: dynamodb().update_item(**TABLE, Key=OTHER_KEY),
    "delete an order": lambda: dynamodb().delete_item(**TABLE, Key=ORDER),
    "delete an order, in a transaction": lambda: write(Delete={**TABLE, "Key": ORDER}),
    "delete many": lambda: dynamodb().batch_write_item(
        RequestItems={"OrdersTable": [{"DeleteRequest": {"Key": ORDER}}]}
    ),
    "delete by PartiQL": lambda: dynamodb().execute_statement(
        Statement="DELETE FROM OrdersTable WHERE pk='ORDER#1001' AND sk='ORDER'"
    ),
    "delete the table": lambda: dynamodb().delete_table(**TABLE),
    "change the TTL": lambda: dynamodb().update_time_to_live(
        **TABLE, TimeToLiveSpecification={"Enabled": True, "AttributeName": "listed"}
    ),
    "export the table": lambda: dynamodb().export_table_to_point_in_time(TableArn="x", S3Bucket="eve"),
    "list the archive": lambda: s3().list_objects_v2(**INVOICES),
    "overwrite an invoice": lambda: s3().put_object(**INVOICES, Key=PDF, Body=b""),
    "delete an invoice": lambda: s3().delete_object(**INVOICES, Key=PDF),
    "write outside of the invoices": lambda: s3().put_object(**INVOICES, Key="x", Body=b"", IfNoneMatch="*"),
    "read outside of the invoices": lambda: s3().get_object(**INVOICES, Key="x"),
    "write to another bucket": lambda: s3().put_object(Bucket="eve", Key=PDF, Body=b"", IfNoneMatch="*"),
    "delete the bucket policy": lambda: s3().delete_bucket_policy(**INVOICES),
    "mail from another sender": lambda: mail("eve@shop.example", "eve@shop.example"),
    "mail from another sender, in the header": lambda: mail(SHOP, "eve@shop.example"),
    "mail from another sender, in the envelope": lambda: mail("eve@shop.example", SHOP),
    "remove an address from the suppression list": lambda: ses().delete_suppressed_destination(EmailAddress="a@b.c"),
    "create an identity": lambda: ses().create_email_identity(EmailIdentity="evil.example"),
}


@pytest.mark.parametrize("function", TEMPLATE.functions)
def test_function_cannot_do_anything_else(service: Service, function: str) -> None:
    assert service.post("/admin/orders/1001/send-invoice").status == 200
    before = service.items("1001"), service.archived(), len(service.mails)
    found = {}
    for name, attempt in FORBIDDEN.items():
        with ROLES.acting(function):
            try:
                attempt()
            except ClientError as error:
                found[name] = error.response["Error"]["Code"]
            else:
                found[name] = "done"
    ROLES.refused.clear()
    assert found == dict.fromkeys(FORBIDDEN, "AccessDeniedException")
    assert (service.items("1001"), service.archived(), len(service.mails)) == before


def a_day(service: Service) -> None:
    """Lets every function do all its tasks, including the rare ones."""
    new = load("create-order-as-admin")["body"]
    for _ in range(2):
        assert service.post("/admin/orders", new, idempotency_key="k").status == 201
    for prefix in ("", "/admin"):
        for path in ("/orders", "/orders?order_status=in_progress", "/orders/1001", "/orders/1001/comments"):
            assert service.get(prefix + path).status == 200
    for query in ("customer_id=alice", "email=alice@example.com", "updated_from=2026-11-01T00:00:00Z"):
        assert service.get(f"/admin/orders?{query}").status == 200
        for _ in range(2):
            body = {"content": "x"}
            assert service.post(f"{prefix}/orders/1001/comments", body, idempotency_key="k").status == 201
    assert service.post("/orders/1001/comments", {"content": "x"}, BOB).status == 404
    service.skip_records()
    for key in ("k", "k", "l"):
        assert service.post("/admin/orders/1002/send-invoice", idempotency_key=key).status == 200
    assert service.post("/admin/orders/1002/invoice-preview").status == 200
    service.report("Delivery", "1002", 1)
    assert service.get("/admin/orders/1002/invoices").status == 200
    assert service.get("/admin/orders/1002/invoices/INV-2026-00001", accept="application/pdf").status == 303
    assert service.get("/orders/1002/invoices", BOB).status == 200
    for order_id in ("1001", "1004"):
        assert service.post(f"/admin/orders/{order_id}/send-invoice").status == 200
        service.make_0_1(order_id)
    assert service.post("/admin/orders/1001/send-invoice", {"notes": "again"}).status == 200
    assert service.patch("/admin/orders/1002", {"paid": "1", "payment_status": "partial"}).status == 200
    assert service.post("/orders/1002/withdraw", {"confirm": True}, BOB).status == 200
    assert service.post("/withdrawals", load("withdraw-as-guest")["body"]).status == 200
    assert service.get("/admin/orders/1002/timeline").status == 200
    [comment] = service.post("/admin/orders/1002/comments", {"content": "x"}).json["comments"]
    assert service.post(f"/admin/orders/1002/comments/{comment['id']}/redact").status == 204
    assert service.post("/admin/orders/1002/comments", {"content": "y"}).status == 201
    assert service.post("/admin/orders/1002/cancel").status == 204
    assert service.post("/orders/1001/cancel").status == 204
    assert service.post("/admin/orders/1004/cancel").status == 204
    records = service.records()
    for _ in range(2):
        assert service.notify(records) == []
    invoke("WatchInvoicesFunction", load("watch-invoices-schedule"))
    invoke("PublishEventsFunction", load("publish-events"))


def test_role_allows_exactly_what_its_function_does(service: Service) -> None:
    ROLES.used.clear()
    a_day(service)
    assert ROLES.used.keys() == {function for function in TEMPLATE.functions if ROLES.statements(function)}
    unused = [
        (function, action, resource)
        for function in TEMPLATE.functions
        for statement in ROLES.statements(function)
        for action in as_list(statement["Action"])
        # Lambda itself reads the table's stream, with this role.
        for resource in as_list(statement["Resource"])
        if not resource.startswith("OrdersTable.StreamArn") and "/stream/" not in resource
        if not any(
            ask.action == action and fnmatchcase(ask.resource, resource) and permits(statement, ask)
            for ask in ROLES.used.get(function, ())
        )
    ]
    assert unused == []
