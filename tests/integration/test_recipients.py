"""Mail goes only to the order's address, and copies only to addresses that the order or the shop names."""

from email.utils import getaddresses
from typing import Any

import pytest
from harness import ACCOUNT, REGION, Service, html_of
from mails import NASTY, Page, harmless
from moto.ses.models import ses_backends

from orders import aws

SHOP = "invoices@shop.example"
ADDRESSES = (
    "alice@example.com",
    "ALICE@EXAMPLE.COM",
    "alice+orders@example.com",
    "o'hara@example.com",
    "bounces=alice=example.com@example.com",
    "=utf-8=q=x=@example.com",
    "a!#$%&'*+/=^_`{|}~-@example.com",
    "-@example.com",
    "a@b.co",
    "alice@xn--bcher-kva.example",
    "alice@mail.example.museum",
    f"{'a' * 64}@{'.'.join(['b' * 60] * 2)}.example",
    f"{'a' * 64}@{'.'.join(['b' * 45] * 4)}.co",
)
NO_ADDRESSES = (
    "a@example.com, eve@evil.example",
    "a@example.com,eve@evil.example",
    "a@example.com;eve@evil.example",
    "a@example.com eve@evil.example",
    "a@example.com@evil.example",
    "eve@evil.example,@example.com",
    "<a@example.com>",
    "A <a@example.com>",
    '"a@example.com" <eve@evil.example>',
    "a@example.com <eve@evil.example>",
    "a@example.com (a comment)",
    "(a comment) a@example.com",
    "friends: a@example.com, eve@evil.example;",
    "@evil.example:a@example.com",
    # Quoted, non-ASCII and numeric forms, none of which SES accepts.
    '"a b"@example.com',
    '"eve@evil.example,"@example.com',
    "bücher@example.com",
    ".alice@example.com",
    "alice.@example.com",
    "a..b@docomo.ne.jp",
    "a@-example.com",
    "a@example-.com",
    "x@example.123",
    "alice@example\N{FULLWIDTH FULL STOP}com",
    "a\N{FULLWIDTH COMMERCIAL AT}example.com",
    "a@[192.0.2.1]",
    "a@localhost",
    # Text that ends, hides or decodes a header.
    "a@example.com\r\nBcc: eve@evil.example",
    "a@example.com\nBcc: eve@evil.example",
    "a@example.com\n",
    "\na@example.com",
    "a@example.com\0",
    "a@example.com\N{LINE SEPARATOR}Bcc: eve@evil.example",
    "a@example.com\N{RIGHT-TO-LEFT OVERRIDE}",
    "=?utf-8?q?eve=40evil.example=2C?=@example.com",
    "=?utf-8?q?eve=40evil.example?=@example.com",
    "=?utf-8?b?ZXZl?=@example.com",
    "a=?utf-8?q?=2C?=@example.com",
    "a\\@example.com",
    f"{'a' * 65}@example.com",
    f"a@{'b' * 64}.example",
    f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.example.com",
    "@example.com",
    "a@",
    "a",
    "",
    " ",
    ["a@example.com", "eve@evil.example"],
    {"a": "eve@evil.example"},
    7,
)
HEADERS = {
    *("From", "To", "Reply-To", "Subject", "Date", "Auto-Submitted", "Content-Language", "MIME-Version"),
    *("Content-Type", "X-SES-MESSAGE-TAGS"),
}


def an_order(email: Any, text: str = "x") -> dict[str, Any]:
    """Returns an order with the same text in every text field."""
    names = (
        "first_name",
        "last_name",
        "company_name",
        "phone",
        "address_line_1",
        "address_line_2",
        "city",
        "post_code",
    )
    return {
        "order_id": "2001",
        "customer_id": "alice",
        "currency_code": "EUR",
        "customer_summary": {"email": email, **dict.fromkeys(names, text)},
        "order_line_details": [{"item_id": 1, "product_name": text, "sku": text, "quantity": 1, "price": "1"}],
    }


def mail_all(service: Service, text: str = "x") -> None:
    """Triggers every kind of mail about the order: invoice, comment, cancellation."""
    service.skip_records()
    body = {"notes": text, "payment_settings": {"payment_method_options": [" ".join(text.split())]}}
    assert service.post("/admin/orders/2001/send-invoice", body).status == 200
    assert service.post("/admin/orders/2001/comments", {"content": text}).status == 201
    assert service.post("/admin/orders/2001/cancel", {"reason": text}).status == 204
    assert service.notify(service.records()) == []


def recipients(service: Service) -> list[tuple[set[str], list[str]]]:
    """Returns the recipients of each mail: those that SES was given, and those that a relay reads in the headers."""
    found = []
    for sent in ses_backends[ACCOUNT][REGION].sent_messages:
        head = sent.raw_data.replace("\r\n", "\n").partition("\n\n")[0].replace("\n ", " ").splitlines()
        named = [line.partition(":")[2] for line in head if line.lower().startswith(("to:", "cc:", "bcc:", "resent-"))]
        found.append((set(sent.destinations), [address for _, address in getaddresses(named)]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("address", ADDRESSES)
def test_unusual_address_gets_its_mails_and_no_other_does(service: Service, address: str) -> None:
    assert service.post("/admin/orders", an_order("old@example.com")).status == 201
    assert service.patch("/admin/orders/2001", {"customer_summary": {"email": address}}).status == 200
    mail_all(service)
    assert recipients(service) == [({address}, [address])] * 3


def test_invalid_address_is_refused_on_every_way_in(service: Service) -> None:
    assert service.post("/admin/orders", an_order("old@example.com")).status == 201
    before = service.items("2001")
    for address in NO_ADDRESSES:
        created = service.post("/admin/orders", an_order(address) | {"order_id": "2002"})
        changed = service.patch("/admin/orders/2001", {"customer_summary": {"email": address}})
        for answer in (created, changed):
            assert answer.status == 422, address
            assert {error["field"] for error in answer.json["errors"]} == {"customer_summary.email"}
    assert service.items("2001") == before
    assert service.items("2002") == []


def with_copies(service: Service, billing: str | None = "billing@example.com") -> None:
    order = an_order("alice@example.com")
    order["customer_summary"]["billing_email"] = billing
    assert service.post("/admin/orders", order).status == 201


def test_a_copy_goes_to_addresses_that_order_and_shop_name_and_only_of_the_invoice(service: Service) -> None:
    with_copies(service)
    service.skip_records()
    cc = ["Accounts@Shop.example", "billing@example.com", "billing@example.com", "ALICE@example.com"]
    assert service.post("/admin/orders/2001/send-invoice", {"cc": cc}).status == 200
    assert service.post("/admin/orders/2001/comments", {"content": "x"}).status == 201
    assert service.post("/admin/orders/2001/cancel").status == 204
    assert service.notify(service.records()) == []

    copied = ["alice@example.com", "accounts@shop.example", "billing@example.com"]
    alone = ({"alice@example.com"}, ["alice@example.com"])
    assert recipients(service) == [(set(copied), copied), alone, alone]
    assert [mail["Cc"] for mail in service.mails] == ["accounts@shop.example, billing@example.com", None, None]
    [record] = service.documents("2001")[0]["mailings"]
    assert (record["recipient"], record["cc"]) == ("alice@example.com", copied[1:])


@pytest.mark.parametrize("route", ["send-invoice", "invoice-preview"])
def test_a_copy_to_another_address_is_refused_by_name(service: Service, route: str) -> None:
    with_copies(service)
    before = service.items("2001")
    for cc in (["eve@evil.example"], ["bob@example.com"], ["invoices@shop.example"]):
        refused = service.post(f"/admin/orders/2001/{route}", {"cc": ["billing@example.com", *cc]})
        assert refused.status == 422, cc
        [error] = refused.json["errors"]
        assert error["field"] == "cc.1"
        assert error["message"].startswith("must be the order's billing_email or an address that the shop")
    for address in NO_ADDRESSES:
        refused = service.post(f"/admin/orders/2001/{route}", {"cc": [address]})
        assert refused.status == 422, address
        assert [error["field"] for error in refused.json["errors"]] == ["cc.0"]
    assert service.post(f"/admin/orders/2001/{route}", {"cc": ["billing@example.com"] * 6}).status == 422
    assert service.post(f"/admin/orders/2001/{route}", {"cc": "billing@example.com"}).status == 422
    assert service.mails == []
    assert service.items("2001") == before


def test_an_order_names_one_valid_address_for_copies_or_none(service: Service) -> None:
    with_copies(service, None)
    assert service.post("/admin/orders/2001/send-invoice", {"cc": ["billing@example.com"]}).status == 422
    for address in NO_ADDRESSES:
        changed = service.patch("/admin/orders/2001", {"customer_summary": {"billing_email": address}})
        assert changed.status == 422, address
    assert service.patch("/admin/orders/2001", {"customer_summary": {"billing_email": "b@müller.de"}}).status == 200
    assert service.post("/admin/orders/2001/send-invoice", {"cc": ["b@müller.de"]}).status == 200
    both = ["alice@example.com", "b@xn--mller-kva.de"]
    assert recipients(service) == [(set(both), both)]


@pytest.mark.parametrize(
    ("kind", "affected", "more"),
    [
        ("Bounce", "bouncedRecipients", {"bounceType": "Permanent"}),
        ("Complaint", "complainedRecipients", {}),
        ("Delivery", "recipients", {}),
        ("DeliveryDelay", "delayedRecipients", {}),
    ],
)
def test_what_happens_to_a_copy_is_not_the_state_of_the_invoice(
    service: Service, kind: str, affected: str, more: dict[str, Any]
) -> None:
    assert service.post("/admin/orders/1002/send-invoice", {"cc": ["accounts@shop.example"]}).status == 200
    [before] = service.documents("1002")[0]["mailings"]
    for address, reported in (("accounts@shop.example", 0), ("Bob@example.com", 1)):
        listed: list[Any] = [address] if kind == "Delivery" else [{"emailAddress": address}]
        about: dict[str, Any] = {affected: listed, **more}
        service.report(kind, "1002", 1, **about)
        [after] = service.documents("1002")[0]["mailings"]
        assert len(after["events"]) == reported
        assert (after == before) == (not reported)
    assert service.post("/admin/orders/1002/send-invoice", {"notes": "x"}).status == (
        409 if kind in ("Bounce", "Complaint") else 200
    )


@pytest.mark.parametrize(
    "subject", ["Rechnung für Ihre Bestellung", "x" * 200, "Your invoice 🧾", "a\N{LINE SEPARATOR}b"]
)
def test_the_subject_is_the_requests(service: Service, subject: str) -> None:
    with_copies(service)
    assert service.post("/admin/orders/2001/send-invoice", {"subject": subject}).status == 200
    [mail] = service.mails
    assert "".join(mail["Subject"].split()) == "".join(subject.split())
    [record] = service.documents("2001")[0]["mailings"]
    assert record["subject"] == subject


@pytest.mark.parametrize(
    "subject",
    ["x\r\nBcc: eve@evil.example", "x\nBcc: eve@evil.example", "", " ", "x" * 201, "=?utf-8?q?=0ABcc:_eve?=", 7, ["x"]],
)
def test_a_subject_that_is_not_one_line_of_plain_text_is_refused(service: Service, subject: Any) -> None:
    with_copies(service)
    refused = service.post("/admin/orders/2001/send-invoice", {"subject": subject})
    assert refused.status == 422
    assert [error["field"] for error in refused.json["errors"]] == ["subject"]
    assert service.mails == []


def test_the_language_decides_how_amounts_and_dates_are_written(service: Service) -> None:
    order = an_order("alice@example.com")
    assert service.post("/admin/orders", order).status == 201
    for language, amount, day in (("de", "1,00\N{NO-BREAK SPACE}€", "23.11.2026"), ("en-US", "€1.00", "Nov 23, 2026")):
        page = service.post("/admin/orders/2001/invoice-preview", {"language": language}).text or ""
        assert amount in page
        assert day in page
    assert service.post("/admin/orders/2001/send-invoice", {"language": "de"}).status == 200
    assert service.documents("2001")[0]["mailings"][0]["language"] == "de"
    for wrong in ("german!", "", "d", 7):
        refused = service.post("/admin/orders/2001/send-invoice", {"language": wrong})
        assert [error["field"] for error in refused.json["errors"]] == ["language"]


@pytest.mark.parametrize(
    ("address", "arrives_at"),
    [
        ("info@müller.de", "info@xn--mller-kva.de"),
        ("info@STRAßE.de", "info@xn--strae-oqa.de"),
        ("info@例え.テスト", "info@xn--r8jz45g.xn--zckzah"),
    ],
)
def test_international_domain_becomes_ascii(service: Service, address: str, arrives_at: str) -> None:
    created = service.post("/admin/orders", an_order(address))
    assert created.json["customer_summary"]["email"] == arrives_at
    assert service.patch("/admin/orders/2001", {"customer_summary": {"email": address}}).json["version"] == 1
    mail_all(service)
    assert recipients(service) == [({arrives_at}, [arrives_at])] * 3


@pytest.mark.parametrize(
    "address",
    [
        "a@example.com, eve@evil.example",
        "=?utf-8?q?eve=40evil.example?=@example.com",
        # Addresses that version 0.1 accepted.
        "a..b@docomo.ne.jp",
        "a@-example.com",
        "x@example.123",
    ],
)
def test_order_with_invalid_stored_address_works_but_gets_no_mail(service: Service, address: str) -> None:
    assert service.post("/admin/orders", an_order("old@example.com")).status == 201
    for item in service.items("2001"):
        if "customer_summary" in item:
            aws.dynamodb().update_item(
                TableName="OrdersTable",
                Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
                UpdateExpression="SET customer_summary.email = :email",
                ExpressionAttributeValues={":email": {"S": address}},
            )
    service.skip_records()
    refused = service.post("/admin/orders/2001/send-invoice")
    assert refused.status == 409
    assert "to the order's e-mail address: it must " in refused.json["detail"]
    assert address not in refused.json["detail"]
    assert service.get("/admin/orders/2001").json["customer_summary"]["email"] == address
    assert "2001" in [order["order_id"] for order in service.get("/admin/orders").json["orders"]]
    assert service.patch("/admin/orders/2001", {"payment_status": "pending"}).status == 200
    assert service.post("/admin/orders/2001/comments", {"content": "x"}).status == 201
    assert service.post("/admin/orders/2001/cancel").status == 204
    assert service.notify(service.records()) == []
    assert service.mails == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", [*NASTY, "x\r\nBcc: eve@evil.example\r\n\r\n<p>hi", "eve@evil.example", "=?utf-8?q?=0A?="]
)
def test_personal_texts_never_become_headers_or_markup(service: Service, text: str) -> None:
    line = " ".join(text.split())
    assert service.post("/admin/orders", an_order("alice@example.com", line)).status == 201
    mail_all(service, text)
    assert recipients(service) == [({"alice@example.com"}, ["alice@example.com"])] * 3
    for mail in service.mails:
        assert set(mail.keys()) <= HEADERS
        assert len(mail.keys()) == len(set(mail.keys()))
        [sender] = mail["From"].addresses
        assert sender.addr_spec == SHOP
        # Headers contain nothing that a person typed, so that no text can impersonate another sender there.
        assert line not in f"{mail['From']} {mail['To']} {mail['Subject']}"
        harmless(Page(html_of(mail).replace("\r\n", "\n")))
