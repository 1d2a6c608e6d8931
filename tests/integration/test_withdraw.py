"""Withdrawing from the contract of an order: two steps, declared once, in every state, and with an acknowledgement."""

from collections.abc import Callable
from typing import Any

import pytest
from harness import ADA, ALICE, BOB, Answer, Service, load
from lists import flatten, pages

from orders import aws

WITHDRAWAL: dict[str, Any] = {
    "TableName": "OrdersTable",
    "KeyConditionExpression": "pk = :pk AND sk = :sk",
    "ExpressionAttributeValues": {":pk": {"S": "ORDER#1001"}, ":sk": {"S": "ORDER#WITHDRAWAL"}},
}
GUEST = {"order_id": "1001", "name": "Alice Böhm", "email": "alice@example.com"}


def guest(service: Service, source: str = "203.0.113.7", **body: Any) -> Answer:
    """Sends a statement without a token, confirmed unless `body` says otherwise."""
    event = service.event("POST", "/withdrawals", GUEST | {"confirm": True} | body)
    event["requestContext"]["http"]["sourceIp"] = source
    return service.send(event)


def withdrawal(service: Service, order_id: str) -> Any:
    return service.get(f"/admin/orders/{order_id}").json["withdrawal"]


# The customer's route


def test_first_step_shows_the_statement_and_declares_nothing(service: Service) -> None:
    for body in (None, {}, {"confirm": False}, {"confirm": None}):
        shown = service.post("/orders/1003/withdraw", body)
        assert shown.status == 200
        assert shown.json == {
            "order_id": "1003",
            "statement": "I withdraw from the contract for order 1003.",
            "name": "Siân Llŷr-Böhm",
            "email": "alice@example.com",
            "confirmed": False,
            "next": 'Nothing is declared yet. To confirm the withdrawal, send the same request with "confirm": true.',
            "declared_at": None,
        }
    assert service.items("1003", "ORDER#W") == []
    assert service.get("/orders/1003").json["withdrawal"] is None


def test_second_step_declares_it_once(service: Service) -> None:
    assert service.get("/orders/1003").json["available_actions"]["withdraw"]["allowed"]
    # Shipped, so it could not be cancelled.
    first = service.post("/orders/1003/withdraw", {"confirm": True, "name": "Siân"})
    assert (first.status, first.json["confirmed"], first.json["name"]) == (200, True, "Siân")
    assert first.json["declared_at"] == "2026-11-23T09:00:00.000000Z"
    service.clock.sleep(60)
    # A repetition returns the first declaration, whatever it says.
    for body in ({"confirm": True}, {"confirm": True, "name": "Other"}, None):
        assert service.post("/orders/1003/withdraw", body).json == first.json
    declared = {
        "declared_at": "2026-11-23T09:00:00.000000Z",
        "declared_as": "customer",
        "name": "Siân",
        "email": "alice@example.com",
    }
    order = service.get("/orders/1003").json
    assert order["withdrawal"] == withdrawal(service, "1003") == declared
    assert order["available_actions"]["withdraw"] == {
        "allowed": False,
        "reason": "A withdrawal from this order has already been declared.",
    }


def test_order_stays_as_it_is_but_has_a_new_version(service: Service) -> None:
    before, etag = service.order("1003"), service.get("/orders/1003").headers["etag"]
    assert service.post("/orders/1003/withdraw", {"confirm": True}).status == 200
    after = service.order("1003")
    assert {name for name in after if after[name] != before.get(name)} == {"version", "updated"}
    # Otherwise a client with the old version would not see the withdrawal.
    assert service.get("/orders/1003", if_none_match=etag).status == 200
    # A change keeps it.
    assert service.patch("/admin/orders/1003", {"shipping_status": "delivered"}).status == 200
    assert withdrawal(service, "1003")["name"] == "Siân Llŷr-Böhm"


@pytest.mark.parametrize("order_id", ["1001", "1003", "1004", "1005", "1006"])
def test_every_state_of_an_order_allows_it(service: Service, order_id: str) -> None:
    claims = BOB if order_id == "1006" else ALICE
    assert service.post(f"/orders/{order_id}/withdraw", {"confirm": True}, claims).status == 200
    # Also once it is cancelled.
    service.post(f"/admin/orders/{order_id}/cancel")
    assert withdrawal(service, order_id)["declared_as"] == "customer"


@pytest.mark.parametrize(
    ("order_id", "body", "field"),
    [
        ("1001", {"confirm": "yes"}, "confirm"),
        ("1001", {"name": " "}, "name"),
        ("1001", {"name": "x" * 101}, "name"),
        ("1001", {"name": "two\nlines"}, "name"),
        ("1001", {"name": "https://evil.example"}, "name"),
        ("1001", {"name": "pay@evil.example"}, "name"),
        ("1001", {"email": "eve@example.com"}, "email"),
        ("1001", {"email": "alice"}, "email"),
        ("1001", {"order_id": 1003}, "order_id"),
        ("1001", {"reason": "too small"}, "reason"),
        # The order has neither name nor address.
        ("1007", {"name": "Alice"}, "email"),
    ],
)
def test_invalid_statement_names_the_field_and_declares_nothing(
    service: Service, order_id: str, body: dict[str, Any], field: str
) -> None:
    answer = service.post(f"/orders/{order_id}/withdraw", {"confirm": True} | body)
    assert answer.status == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert service.items(order_id, "ORDER#W") == []


def test_statement_names_the_order_and_its_address_in_any_case(service: Service) -> None:
    body = {"order_id": 1001, "email": "ALICE@example.COM", "confirm": True}
    assert service.post("/orders/1001/withdraw", body).json["email"] == "alice@example.com"


def test_order_without_address_takes_the_one_of_the_statement(service: Service) -> None:
    body = {"name": "Alice", "email": "alice@müller.de", "confirm": True}
    assert service.post("/orders/1007/withdraw", body).json["email"] == "alice@xn--mller-kva.de"


def test_other_customers_order_answers_like_a_missing_order(service: Service) -> None:
    for body in (None, {"confirm": True}):
        others, none = (service.post(f"/orders/{order_id}/withdraw", body) for order_id in ("1002", "9999"))
        assert others.status == none.status == 404
        assert others.json | {"instance": None} == none.json | {"instance": None}
    # An admin's token acts as a customer.
    assert service.post("/orders/1001/withdraw", {"confirm": True}, ADA).status == 404
    assert service.items("1002", "ORDER#W") == service.items("1001", "ORDER#W") == []


@pytest.mark.parametrize("late", ["customer", "guest"])
def test_declaration_that_loses_a_race_changes_nothing(service: Service, late: str) -> None:
    assert service.post("/orders/1001/withdraw", {"confirm": True, "name": "First"}).status == 200
    [first] = aws.dynamodb().query(**WITHDRAWAL)["Items"]
    key = {name: first[name] for name in ("pk", "sk")}
    aws.dynamodb().delete_item(TableName="OrdersTable", Key=key)

    def win(params: Any, **_: Any) -> None:
        # Written after the late request has read the order, and just before it writes.
        if "Put" in params["TransactItems"][0]:
            aws.dynamodb().put_item(TableName="OrdersTable", Item=first)

    events = aws.dynamodb().meta.events
    events.register("provide-client-params.dynamodb.TransactWriteItems", win)
    answer = guest(service) if late == "guest" else service.post("/orders/1001/withdraw", {"confirm": True})
    events.unregister("provide-client-params.dynamodb.TransactWriteItems", win)
    assert (answer.status, answer.json["confirmed"]) == (200, True)
    assert late == "guest" or answer.json["name"] == "First"
    assert withdrawal(service, "1001")["name"] == "First"
    assert service.order("1001")["version"] == "2"


def test_customer_declares_in_two_calls(service: Service) -> None:
    service.calls.clear()
    service.post("/orders/1001/withdraw")
    assert service.calls == {"Query": 1}
    service.calls.clear()
    service.post("/orders/1001/withdraw", {"confirm": True})
    assert service.calls == {"Query": 1, "TransactWriteItems": 1}


# The guest's route


def test_guest_declares_with_order_number_and_address(service: Service) -> None:
    shown = guest(service, confirm=None)
    assert (shown.status, shown.json["confirmed"]) == (200, False)
    assert service.items("1001", "ORDER#W") == []
    confirmed = guest(service, email="Alice@Example.com")
    assert confirmed.status == 200
    assert confirmed.json == {
        "order_id": "1001",
        "statement": "I withdraw from the contract for order 1001.",
        "name": "Alice Böhm",
        "email": "Alice@Example.com",
        "confirmed": True,
        "next": "If order number and e-mail address belong together, the shop has received the withdrawal, and the "
        "acknowledgement of receipt goes to this address. If it does not arrive within an hour, check both and declare "
        "the withdrawal again, or contact the shop.",
    }
    # The receipt goes to the order's address as the shop knows it.
    assert withdrawal(service, "1001") == {
        "declared_at": "2026-11-23T09:00:00.000000Z",
        "declared_as": "guest",
        "name": "Alice Böhm",
        "email": "alice@example.com",
    }


def test_name_is_not_compared(service: Service) -> None:
    guest(service, name="Alice Geb. Martin")
    assert withdrawal(service, "1001")["name"] == "Alice Geb. Martin"


OTHERS = {
    "no such order": {"order_id": "9999"},
    "another address": {"email": "bob@example.com"},
    "order without address": {"order_id": "1007"},
    "large order, another address": {"order_id": "1008", "email": "bob@example.com"},
    "cancelled order, another address": {"order_id": "1006", "email": "carol@example.com"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_guest_cannot_tell_whether_the_details_match(service: Service, name: str) -> None:
    def seen(answer: Answer, body: dict[str, Any]) -> Any:
        text = answer.text or ""
        for field in ("order_id", "email"):
            text = text.replace((GUEST | body)[field], field)
        return answer.status, answer.headers, text

    def ask(**body: Any) -> Any:
        service.calls.clear()
        return seen(guest(service, **body), body), dict(service.calls)

    before = {order_id: service.items(order_id) for order_id in ("1001", "1006", "1007", "1008", "9999")}
    for confirm in (None, False):
        assert ask(**OTHERS[name], confirm=confirm) == ask(confirm=confirm)
    other = ask(**OTHERS[name])
    assert {order_id: service.items(order_id) for order_id in before} == before
    matching, again = ask(), ask()
    assert other == matching == again
    # The same round trips, whether it is recorded or not.
    assert other[1] == {"TransactWriteItems": 2, "GetItem": 1}
    assert withdrawal(service, "1001")["declared_as"] == "guest"


def test_first_step_of_a_guest_reads_nothing(service: Service) -> None:
    service.calls.clear()
    assert guest(service, confirm=False).status == 200
    assert service.calls == {}


def test_invalid_statement_of_a_guest_does_not_depend_on_the_order(service: Service) -> None:
    for order_id in ("1001", "9999"):
        service.calls.clear()
        for body, field in (
            ({"email": "x"}, "email"),
            ({"email": None}, "email"),
            ({"name": ""}, "name"),
            ({"name": "www.evil.example/pay"}, "name"),
            ({"reason": "x"}, "reason"),
        ):
            answer = guest(service, **{"order_id": order_id} | body)
            assert (answer.status, [error["field"] for error in answer.json["errors"]]) == (422, [field])
        assert service.calls == {}


def test_token_makes_no_difference_for_guests(service: Service) -> None:
    event = service.event("POST", "/withdrawals", GUEST | {"confirm": True})
    event["requestContext"]["authorizer"] = {"jwt": {"claims": BOB, "scopes": None}}
    assert service.send(event).text == guest(service).text


LIMITED: dict[str, tuple[int, Callable[[int], dict[str, Any]]]] = {
    "order": (20, lambda n: {"email": f"guess-{n}@example.com", "source": f"203.0.113.{n}"}),
    "email": (20, lambda n: {"order_id": f"{5000 + n}", "source": f"203.0.113.{n}"}),
    "source": (60, lambda n: {"order_id": f"{5000 + n}", "email": f"guess-{n}@example.com"}),
    "IPv6 network": (
        60,
        lambda n: {
            "order_id": f"{5000 + n}",
            "email": f"guess-{n}@example.com",
            "source": f"2001:db8::{n + 1:x}:0:0:1",
        },
    ),
}


@pytest.mark.parametrize("name", LIMITED)
def test_guesses_are_limited_for_an_hour(service: Service, name: str) -> None:
    most, guess = LIMITED[name]
    service.clock.sleep(60)
    for n in range(most):
        assert guest(service, **guess(n)).status == 200
    refused = guest(service, **guess(most))
    assert (refused.status, refused.headers["retry-after"]) == (429, str(59 * 60))
    assert refused.json["type"] == "urn:problem:orders:too-many-requests"
    # Also what would match: otherwise the answer would tell.
    same = {"order": {}, "email": {}, "source": {"order_id": "1002", "email": "bob@example.com"}}
    if name in same:
        assert guest(service, **same[name]).status == 429
    assert service.items("1001", "ORDER#W") == service.items("1002", "ORDER#W") == []
    # Other guests are not affected.
    other = {"order_id": "1002", "email": "bob@example.com", "source": "198.51.100.1"}
    assert guest(service, **other).status == 200
    service.clock.sleep(59 * 60)
    assert guest(service, **guess(most)).status == 200


def test_counters_are_not_personal_and_expire(service: Service) -> None:
    guest(service)
    found = [
        item
        for item in aws.dynamodb().scan(TableName="OrdersTable", ConsistentRead=True)["Items"]
        if item["pk"]["S"].startswith("LIMIT#")
    ]
    assert len(found) == 3
    for item in found:
        assert item.keys() == {"pk", "sk", "attempts", "expires_at"}
        assert item["expires_at"]["N"] == str(int(service.clock.now.timestamp()) + 3600)
        assert len(item["pk"]["S"]) == len("LIMIT#") + 64


# What follows


def text_of(mail: Any) -> str:
    return str(mail.get_body(("plain",)).get_content()).replace("\r\n", "\n")


def test_acknowledgement_of_receipt_is_mailed_once(service: Service) -> None:
    service.skip_records()
    service.clock.sleep(15)
    guest(service)
    guest(service)
    records = service.records()
    for _ in range(2):
        assert service.notify(records) == []
    [mail] = service.mails
    assert mail["To"] == "alice@example.com"
    assert mail["Subject"] == "We received your withdrawal from order 1001 at Käsekönig & Töchter"
    text = text_of(mail)
    assert (
        "  I withdraw from the contract for order 1001.\n\n  Name: Alice Böhm\n  Confirmation to: alice@example.com\n"
        in text
    )
    # In the shop's time zone.
    assert "\n  Submitted: 23 Nov 2026, 10:00:15 (UTC+01:00)\n" in text
    assert "\nThe order has not been cancelled yet. " in text
    [staff] = service.staff_mails
    assert (staff["To"], staff["Reply-To"]) == ("staff@shop.example", "alice@example.com")
    assert "\nA guest declared a withdrawal from order 1001, " in text_of(staff)
    assert [(notice["sk"], notice["outcome"]) for notice in service.items("1001", "NOTICE#")] == [
        ("NOTICE#STAFF#WITHDRAWN", "sent"),
        ("NOTICE#WITHDRAWN", "sent"),
    ]


def test_acknowledgement_is_mailed_although_an_invoice_bounced(service: Service) -> None:
    service.post("/admin/orders/1001/send-invoice")
    service.report("Bounce", "1001", 1, bounceType="Permanent")
    service.skip_records()
    service.post("/orders/1001/withdraw", {"confirm": True})
    assert service.notify(service.records()) == []
    assert [mail["To"] for mail in service.notices] == ["alice@example.com"]


def test_acknowledgement_goes_to_the_address_of_the_statement(service: Service) -> None:
    service.skip_records()
    service.post("/orders/1007/withdraw", {"name": "Alice", "email": "alice@example.org", "confirm": True})
    assert service.notify(service.records()) == []
    assert [mail["To"] for mail in service.mails] == ["alice@example.org"]


def test_timeline_shows_who_declared_it(service: Service) -> None:
    service.post("/orders/1001/withdraw", {"confirm": True})
    guest(service, order_id="1002", name="Bob", email="bob@example.com")
    found = [service.get(f"/admin/orders/{order_id}/timeline").json["timeline"][-1] for order_id in ("1001", "1002")]
    assert [(each["event"], each["role"], each["by"], each["name"]) for each in found] == [
        ("withdrawal_declared", "customer", "alice", "Alice Böhm"),
        ("withdrawal_declared", "guest", None, "Bob"),
    ]
    assert found[0]["at"] == "2026-11-23T09:00:00.000000Z"


def test_timeline_has_it_once_however_it_is_paged(service: Service) -> None:
    # All at the same time.
    service.post("/orders/1001/comments", {"content": "x"})
    service.post("/orders/1001/withdraw", {"confirm": True})
    service.patch("/admin/orders/1001", {"order_status": "paused"})
    service.post("/admin/orders/1001/cancel")
    whole = flatten(pages(service, "/admin/orders/1001/timeline?limit=100"))
    assert [entry["event"] for entry in whole].count("withdrawal_declared") == 1
    for limit in (1, 2, 3):
        assert flatten(pages(service, f"/admin/orders/1001/timeline?limit={limit}")) == whole


@pytest.mark.parametrize(
    ("name", "order_id"), [("withdraw-as-customer", "1003"), ("withdraw-as-guest", "1001")], ids=["customer", "guest"]
)
def test_event_files_work(service: Service, name: str, order_id: str) -> None:
    assert service.send(load(name)).status == 200
    assert withdrawal(service, order_id)
