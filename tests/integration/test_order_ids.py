"""Order ids as shops write them: in paths, links, tags of mails and names of files."""

import re
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from harness import Service, invoke, load
from hypothesis import given
from hypothesis import strategies as st

from orders import aws
from orders.invoices import parse_tag_value, tag_value
from orders.types import ORDER_ID, path_segment

IDS = {
    "SO/2026/001": "SO%252F2026%252F001",
    "A.123": "A.123",
    "#1001": "%231001",
    "gid://shopify/Order/1": "gid%3A%252F%252Fshopify%252FOrder%252F1",
    "Nr 7 b": "Nr%207%20b",
    # Looks like an encoded one.
    "A_x2F1": "A_x2F1",
    "../admin": "..%252Fadmin",
}
"""Ids, and how each is written in a path."""

CHARACTERS = "must have 1 to 64 of the characters A-Z a-z 0-9 _ - . : # / and space, without a space at its ends"


def new_order(order_id: object) -> dict[str, Any]:
    line = {"item_id": 1, "product_name": "Käse", "quantity": 1, "price": "100.00"}
    customer = {"first_name": "Zoë", "last_name": "Łuk", "email": "zoe@example.com", "city": "Łódź"}
    return {
        "order_id": order_id,
        "customer_id": "alice",
        "currency_code": "EUR",
        "order_line_details": [line],
        "customer_summary": customer,
    }


@pytest.mark.parametrize(("order_id", "segment"), IDS.items(), ids=list(IDS))
def test_order_of_any_id_goes_all_the_way(service: Service, order_id: str, segment: str) -> None:
    created = service.post("/admin/orders", new_order(order_id))
    assert created.status == 201
    assert created.json["order_id"] == order_id
    assert created.headers["location"] == f"/admin/orders/{segment}"
    admin, own = created.headers["location"], f"/orders/{segment}"
    assert service.get(admin).json["order_id"] == order_id
    assert service.patch(admin, {"customer_summary": {"city": "Łódź 2"}}).status == 200
    assert service.post(f"{own}/comments", {"id": order_id, "content": "x"}).status == 201
    assert len(service.get(f"{own}/comments").json["comments"]) == 1

    sent = service.post(f"{admin}/send-invoice", {"order_id": order_id})
    assert sent.status == 200
    assert sent.headers["location"] == f"{admin}/invoices/INV-2026-00001"
    [mail] = service.mails
    assert order_id in str(mail["Subject"])
    assert [part.get_filename() for part in mail.iter_attachments()] == ["INV-2026-00001.pdf"]
    page = f"https://shop.example/account/orders/{quote(order_id, safe='')}"
    body = mail.get_body(("html",))
    assert body
    assert page in body.get_content()

    # SES accepts the tags and reports them, and they find the order again.
    tags = dict(pair.split("=") for pair in mail["X-SES-MESSAGE-TAGS"].split(", "))
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,256}", value) for value in tags.values())
    event = load("ses-delivery")
    event["detail"]["mail"]["tags"] = {name: [value] for name, value in tags.items()}
    invoke("RecordDeliveryFunction", event)
    [document] = service.get(f"{admin}/invoices").json["invoices"]
    assert [mailing["state"] for mailing in document["mailings"]] == ["delivered"]

    link = service.get(f"{own}/invoices/INV-2026-00001", accept="application/pdf").headers["location"]
    key = unquote(urlsplit(link).path).removeprefix("/")
    assert key.split("/")[-3::2] == ["orders", "INV-2026-00001.pdf"]
    assert aws.s3().get_object(Bucket="InvoicesBucket", Key=key.removeprefix("InvoicesBucket/"))["Body"].read()

    service.skip_records()
    assert service.post(f"{own}/cancel", {"reason": "x"}).status == 204
    assert service.notify(service.records()) == []
    assert order_id in str(service.notices[-1]["Subject"])
    steps = service.get(f"{admin}/timeline").json["timeline"]
    assert {"created", "cancelled"} <= {step["event"] for step in steps}
    assert order_id in [order["order_id"] for order in service.get("/orders").json["orders"]]


def test_pages_of_orders_with_any_id(service: Service) -> None:
    for order_id in IDS:
        assert service.post("/admin/orders", new_order(order_id)).status == 201
    found, cursor = [], ""
    while cursor is not None:
        page = service.get(f"/orders?limit=2{cursor and f'&cursor={cursor}'}").json
        found += [order["order_id"] for order in page["orders"]]
        cursor = page["next_cursor"]
    assert set(IDS) <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    "order_id",
    [
        "",
        "a" * 65,
        "1001!",
        "1001\n",
        " 1001",
        "1001 ",
        "１００１",
        ".",
        "..",
        "a%2Fb",
        "a\\b",
        "Ä1",
        "a\u200b",
        "a@b.c",
    ],
)
def test_refused_id_is_named_with_the_characters_it_may_have(service: Service, order_id: str) -> None:
    refused = service.post("/admin/orders", new_order(order_id))
    assert refused.status == 422
    [error] = refused.json["errors"]
    assert error["field"] == "order_id"
    assert error["message"].startswith(CHARACTERS)
    assert service.items(order_id) == []


@pytest.mark.parametrize(
    "given", ["1001\n", "1001\r", "1001%0A", "1001%00", "1001\x00", " 1001", "..", "%", "%zz", "\ud800"]
)
def test_path_with_another_id_does_not_find_the_order(service: Service, given: str) -> None:
    # What a function gets for /orders/1001%0A and the like.
    event = service.event("POST", "/orders/1001/cancel", {})
    event["rawPath"] = event["requestContext"]["http"]["path"] = f"/orders/{given}/cancel"
    event["pathParameters"] = {"order_id": given}
    answer = service.send(event)
    assert answer.status == 422
    [error] = answer.json["errors"]
    assert error["field"] == "order_id"
    assert error["message"].startswith(CHARACTERS)
    assert service.order("1001")["order_status"] == "in_progress"


@pytest.mark.parametrize("given", ["SO/2026/001", "SO%2F2026%2F001", "SO%2f2026/001"])
def test_slash_may_arrive_decoded_or_not(service: Service, given: str) -> None:
    service.post("/admin/orders", new_order("SO/2026/001"))
    event = service.event("GET", "/orders/1001")
    event["rawPath"] = f"/orders/{given}"
    event["pathParameters"] = {"order_id": given}
    answer = service.send(event)
    assert (answer.status, answer.json["order_id"]) == (200, "SO/2026/001")


def test_instance_of_a_problem_is_the_encoded_path(service: Service) -> None:
    answer = service.get("/orders/gid%3A%252F%252Fshop%252F1")
    assert answer.status == 404
    assert answer.json["instance"] == "/orders/gid%3A%252F%252Fshop%252F1"


def test_id_in_the_body_must_be_written_as_in_the_path(service: Service) -> None:
    service.post("/admin/orders", new_order("SO/1"))
    for order_id, status in (("SO/1", 201), ("SO%2F1", 422), ("so/1", 422)):
        assert service.post("/orders/SO%252F1/comments", {"id": order_id, "content": "x"}).status == status


@given(st.from_regex(ORDER_ID, fullmatch=True))
def test_tag_and_path_give_the_id_back(order_id: str) -> None:
    assert re.fullmatch("[A-Za-z0-9_-]{1,256}", tag_value(order_id))
    assert parse_tag_value(tag_value(order_id)) == order_id
    segment = path_segment(order_id)
    # API Gateway decodes it once, and no slash appears.
    assert "/" not in unquote(segment)
    assert unquote(unquote(segment)) == order_id


@pytest.mark.parametrize("order_id", ["1001", "A-1_b", "ORD_2026_001", "X_x2f"])
def test_tag_of_a_plain_id_is_the_id(order_id: str) -> None:
    assert tag_value(order_id) == order_id
