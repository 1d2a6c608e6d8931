"""Notices of comments, cancellations and withdrawals, as the customer reads them."""

import email
from datetime import UTC, datetime
from email.policy import SMTP, default
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from mails import NASTY, SHOP, TYPED, Page, a_line, an_order, harmless, parts, spaced

from notify_customer.notices import Notice, notice_of, render
from notify_customer.staff import render_for_staff, staff_notice_of
from orders.invoices import Mailing, Outcome
from orders.mailing import style
from orders.mailing.shop import Shop
from orders.models import (
    CustomerSummary,
    Order,
    OrderHeader,
    OrderStatus,
    PaymentStatus,
    StoredComment,
    Withdrawal,
    WithdrawalRole,
)
from orders.stream import (
    CommentAddition,
    DomainEvent,
    MailingTransition,
    OrderCancellation,
    OrderCreation,
    WithdrawalDeclaration,
)

LATE = datetime(2026, 1, 15, 23, 30, tzinfo=UTC)
CUSTOMER: dict[str, Any] = {"first_name": "Alice", "email": "alice@example.com", "country": {"code": "DE"}}


def a_comment(content: str = "Hello", **more: Any) -> StoredComment:
    fields = {"id": 17, "content": content, "admin_name": "Ada", "is_visible_to_customer": True, "is_admin": True}
    return StoredComment(**fields | {"created": LATE, "flagged": False, "author": "ada"} | more)


def of_comment(content: str, order: Order, shop: Shop = SHOP) -> Any:
    return render(
        Notice("comment", "COMMENT#17", order.order_id, CommentAddition(order.order_id, a_comment(content))),
        order,
        shop,
    )


def of_cancellation(order: Order, shop: Shop = SHOP, *, by: str | None = "admin", reason: str | None = None) -> Any:
    header = OrderHeader.model_validate(order.model_dump(include=set(OrderHeader.model_fields)))
    cancelled = {
        "order_status": OrderStatus.CANCELLED,
        "cancelled_at": LATE,
        "cancelled_as": by,
        "cancel_reason": reason,
    }
    happened = OrderCancellation(header.model_copy(update=cancelled))
    return render(Notice("cancellation", "CANCELLED", order.order_id, happened), order, shop)


def a_withdrawal(name: str = "Alice Martin") -> WithdrawalDeclaration:
    withdrawal = Withdrawal(declared_at=LATE, declared_as=WithdrawalRole.GUEST, name=name, email="alice@example.com")
    return WithdrawalDeclaration("1001", "alice", withdrawal)


def of_withdrawal(order: Order, shop: Shop = SHOP, name: str = "Alice Martin") -> Any:
    return render(Notice("withdrawal", "WITHDRAWN", order.order_id, a_withdrawal(name)), order, shop)


def read(message: Any) -> tuple[str, Page]:
    """Returns the plain text and the page of a mail, with plain spaces in both."""
    plain, html = parts(message)
    page = Page(html)
    page.text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    return plain.replace("\N{NO-BREAK SPACE}", " "), page


IMPRINT = """
Bluebell Books
12 Harbour Lane
Bristol BS1 4ND
United Kingdom
VAT GB123456789

Questions? +44 117 496 0123
"""
FOOT = "Questions? +44 117 496 0123 Bluebell Books 12 Harbour Lane Bristol BS1 4ND United Kingdom VAT GB123456789"


def test_comment_notice() -> None:
    message = of_comment("\nYour parcel leaves on Friday.\r\n\r\n  Best,\nAda\n", an_order(customer=CUSTOMER))
    plain, page = read(message)

    assert message["Subject"] == "A message about your order 1001 at Bluebell Books"
    assert plain == (
        "Bluebell Books\n\nHello Alice,\n\nBluebell Books wrote about your order 1001:\n\n"
        "  Your parcel leaves on Friday.\n  \n    Best,\n  Ada\n" + IMPRINT
    )
    assert spaced(page.text) == (
        "Bluebell Books wrote about your order 1001: Bluebell Books Order 1001 Hello Alice, "
        f"Bluebell Books wrote about your order 1001: Your parcel leaves on Friday. Best, Ada {FOOT}"
    )


NEVER_PAID = "You have paid nothing for this order, and there is nothing to pay."
PAID = "You have paid 10,00 €. The shop will refund what it owes you. {}"
PERHAPS = "There is nothing to pay. If the shop owes you a refund, you will receive it. {}"
NO_PROMISE = "This mail does not mean that a refund is on its way yet."


def test_cancellation_notice() -> None:
    order = an_order(customer=CUSTOMER, paid="10", payment_status=PaymentStatus.PAID)
    message = of_cancellation(order, reason="Sold out.\n\nWe are sorry.")
    plain, page = read(message)

    assert message["Subject"] == "Your order 1001 at Bluebell Books is cancelled"
    assert plain == (
        "Bluebell Books\n\nHello Alice,\n\nBluebell Books cancelled your order 1001 on 15 Jan 2026.\n"
        "Nothing more of it will be shipped or charged.\n\nREASON\n  Sold out.\n  \n  We are sorry.\n\n"
        f"YOUR MONEY\n{PAID.format(NO_PROMISE)}\n" + IMPRINT
    )
    assert spaced(page.text) == (
        "You have paid 10,00 €. The shop will refund what it owes you. Bluebell Books Cancelled Order 1001 "
        "Hello Alice, Bluebell Books cancelled your order 1001 on 15 Jan 2026. "
        "Nothing more of it will be shipped or charged. Reason Sold out. We are sorry. "
        f"Your money {PAID.format(NO_PROMISE)} {FOOT}"
    )


def test_withdrawal_notice() -> None:
    shop = SHOP.model_copy(update={"time_zone": ZoneInfo("Europe/Berlin")})
    message = of_withdrawal(an_order(customer=CUSTOMER | {"email": "other@example.com"}), shop)
    plain, page = read(message)

    assert message["Subject"] == "We received your withdrawal from order 1001 at Bluebell Books"
    # The address of the statement, whatever the order's is.
    assert message["To"] == "alice@example.com"
    assert plain == (
        "Bluebell Books\n\nHello Alice,\n\nWe have received your withdrawal:\n\n"
        "  I withdraw from the contract for order 1001.\n\n"
        "  Name: Alice Martin\n  Confirmation to: alice@example.com\n  Submitted: 16 Jan 2026, 00:30:00 (UTC+01:00)\n\n"
        "This mail confirms that the withdrawal has arrived and when. Please keep this mail.\n"
        "The order has not been cancelled yet. Bluebell Books will check the withdrawal and contact you about "
        "returning the goods and about your money.\nIf you did not declare it, please tell us.\n" + IMPRINT
    )
    assert spaced(page.text) == (
        "Submitted: 16 Jan 2026, 00:30:00 (UTC+01:00) · Please keep this mail. Bluebell Books Order 1001 Hello Alice, "
        "We have received your withdrawal: I withdraw from the contract for order 1001. "
        "Name: Alice Martin Confirmation to: alice@example.com Submitted: 16 Jan 2026, 00:30:00 (UTC+01:00) "
        "This mail confirms that the withdrawal has arrived and when. Please keep this mail. "
        "The order has not been cancelled yet. Bluebell Books will check the withdrawal and contact you about "
        f"returning the goods and about your money. If you did not declare it, please tell us. {FOOT}"
    )


@pytest.mark.parametrize(
    ("status", "paid", "text"),
    [
        (PaymentStatus.UNPAID, "0", NEVER_PAID),
        (PaymentStatus.UNPAID, "10", PAID),
        (PaymentStatus.PENDING, "0", PERHAPS),
        (PaymentStatus.PARTIAL, "0", PERHAPS),
        (PaymentStatus.PARTIAL, "10", PAID),
        (PaymentStatus.PAID, "0", PERHAPS),
        (PaymentStatus.PAID, "10", PAID),
        # Recorded as refunded, before or after the figures are updated.
        (PaymentStatus.REFUNDED, "0", PERHAPS),
        (PaymentStatus.REFUNDED, "10", PERHAPS),
    ],
)
def test_notice_follows_both_amounts_and_payment_status(status: PaymentStatus, paid: str, text: str) -> None:
    plain, page = read(of_cancellation(an_order(customer=CUSTOMER, paid=paid, payment_status=status)))

    text = text.format(NO_PROMISE)
    assert f"\nYOUR MONEY\n{text}\n\n" in plain
    assert f"Your money {text} Questions?" in spaced(page.text)
    # The preview that a mailbox shows beside the subject.
    assert spaced(page.text).startswith("You have paid 10,00 €. " if "10,00" in text else "There is nothing to pay. ")


@pytest.mark.parametrize(("by", "who"), [("customer", "You"), ("admin", "Bluebell Books"), (None, "Bluebell Books")])
def test_notice_names_who_cancelled(by: str | None, who: str) -> None:
    plain, page = read(of_cancellation(an_order(customer=CUSTOMER), by=by))

    assert f"\n{who} cancelled your order 1001 on " in plain
    assert f" {who} cancelled your order 1001 on " in spaced(page.text)


@pytest.mark.parametrize("reason", [None, "", "\n"])
def test_missing_reason_is_left_out(reason: str | None) -> None:
    plain, page = read(of_cancellation(an_order(customer=CUSTOMER), reason=reason))

    assert "reason" not in plain.lower()
    assert "Reason" not in page.text


def test_missing_shop_details_are_left_out() -> None:
    shop = Shop(name="Shop", sender="invoices@bluebell.example")
    for message in (
        of_comment("x", an_order(customer={"email": "a@b.example"}), shop),
        of_cancellation(an_order(), shop),
    ):
        plain, page = read(message)
        for text in (plain, page.text):
            for word in ("Questions", "None", "VAT"):
                assert word not in text
        assert plain.endswith("\n\nShop\n")
        assert "\n\n\n" not in plain
        assert message["Reply-To"] is None
    assert "\nHello,\n" in read(of_comment("x", an_order(customer={"email": "a@b.example"}), shop))[0]


def test_headers() -> None:
    order = an_order(customer=CUSTOMER)
    for message in (of_comment("x", order), of_cancellation(order), of_withdrawal(order)):
        assert message["From"] == "Bluebell Books <invoices@bluebell.example>"
        assert message["To"] == "alice@example.com"
        assert message["Reply-To"] == "hello@bluebell.example"
        assert message["Date"].datetime == LATE
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["Content-Language"] == "en"
        assert message["Cc"] is message["Bcc"] is None


def test_line_ends_cannot_add_headers() -> None:
    line = "x\r\nBcc: eve@evil.example\r\n\r\n<p>hi"
    order = an_order(customer=CUSTOMER)
    order = order.model_copy(
        update={"customer_summary": order.customer_summary.model_copy(update={"first_name": line})}
    )
    shop = SHOP.model_copy(
        update=dict.fromkeys(("name", "reply_to", "tax_id", "support_contact"), f"a@b.example{line}")
    )
    for message in (
        of_comment(line, order, shop),
        of_cancellation(order, shop, reason=line),
        of_withdrawal(order, shop, line),
    ):
        arrived = email.message_from_bytes(message.as_bytes(policy=SMTP), policy=default)
        assert arrived["Bcc"] is None
        assert arrived["To"] == "alice@example.com"
        assert [part.get_content_type() for part in arrived.walk()][1:] == ["text/plain", "text/html"]


@pytest.mark.parametrize("text", NASTY)
def test_personal_texts_stay_text_everywhere(text: str) -> None:
    order = an_order(customer=CUSTOMER | {"first_name": text})
    shop = SHOP.model_copy(update={"name": text, "tax_id": text, "support_contact": text, "address": text})
    # The comment's page names the shop once more, in the preview that a mailbox shows beside the subject.
    for message, more in (
        (of_comment(text, order, shop), 1),
        (of_cancellation(order, shop, reason=text), 0),
        (of_withdrawal(order, shop, text), 0),
    ):
        plain, page = read(message)
        harmless(page)
        assert page.links == []
        assert spaced(plain).count(spaced(text)) == 8
        assert spaced(page.text).count(spaced(text)) == 8 + more


def test_personal_texts_cannot_add_lines_to_the_plain_text() -> None:
    text = "Hello\r\nYOUR MONEY\rYOUR MONEY\nYOUR MONEY"
    order = an_order(customer=CUSTOMER | {"first_name": "A\N{LINE SEPARATOR}YOUR MONEY"})
    plain = read(of_cancellation(order, reason=text))[0] + read(of_comment(text, order))[0]

    assert [line for line in plain.splitlines() if line.startswith("YOUR MONEY")] == ["YOUR MONEY"]


@given(text=TYPED, name=TYPED, shop_name=TYPED)
def test_any_text_arrives_unchanged(text: str, name: str, shop_name: str) -> None:
    order = an_order(customer=CUSTOMER)
    customer = CustomerSummary.model_construct(**CUSTOMER | {"first_name": name, "country": None})
    order = order.model_copy(update={"customer_summary": customer})
    shop = SHOP.model_copy(update={"name": shop_name})
    comment = CommentAddition("1001", a_comment().model_copy(update={"content": text}))
    for message in (
        render(Notice("comment", "COMMENT#17", "1001", comment), order, shop),
        of_cancellation(order, shop, reason=text),
        of_withdrawal(order, shop, text),
    ):
        raw = message.as_bytes(policy=SMTP)
        plain, html = parts(message)
        page = Page(html)
        harmless(page)
        for typed in (text, name, shop_name):
            assert spaced(typed) in spaced(page.text)
            assert spaced(typed) in spaced(plain)
        assert raw.isascii()
        assert max(map(len, raw.split(b"\r\n"))) <= 78
        arrived = email.message_from_bytes(raw, policy=default)
        assert arrived.keys() == message.keys()
        assert not arrived.defects


def test_notices_look_like_invoices() -> None:
    order = an_order(customer=CUSTOMER)
    for message in (of_comment("x", order), of_cancellation(order), of_withdrawal(order)):
        html = parts(message)[1]
        page = Page(html)
        assert page.elements[0] == ("html", {"lang": "en", "dir": "ltr"})
        assert "@media (prefers-color-scheme: dark)" in html
        assert "@media (max-width: 520px)" in html
        assert [tag for tag, _ in page.elements if tag == "h1"] == ["h1"]
        # Tables are only used for layout, and nothing is loaded from other servers.
        assert {attributes.get("role") for tag, attributes in page.elements if tag == "table"} == {"presentation"}
        assert "http" not in html


def test_rendering_a_notice_is_deterministic() -> None:
    order = an_order(a_line(price="1234.5"), customer=CUSTOMER, paid="1")
    for write in (partial(of_comment, "x", order), partial(of_cancellation, order), partial(of_withdrawal, order)):
        assert write().as_bytes(policy=SMTP) == write().as_bytes(policy=SMTP)


INVOICE = Mailing(
    order_id="1001",
    n=1,
    outcome=Outcome.SENT,
    started=LATE,
    requested_by="ada",
    recipient="alice@example.com",
    version=1,
    currency_code="EUR",
    grand_total=an_order().grand_total,
    paid=an_order().paid,
    payment_status=PaymentStatus.UNPAID,
)


@pytest.mark.parametrize(
    ("domain_event", "notice"),
    [
        (CommentAddition("1001", a_comment()), ("comment", "COMMENT#0000000000000017", "1001")),
        (CommentAddition("1001", a_comment(flagged=True)), ("comment", "COMMENT#0000000000000017", "1001")),
        (CommentAddition("1001", a_comment(is_visible_to_customer=False)), None),
        (CommentAddition("1001", a_comment(is_admin=False)), None),
        (OrderCancellation(an_order()), ("cancellation", "CANCELLED", "1001")),
        (a_withdrawal(), ("withdrawal", "WITHDRAWN", "1001")),
        (OrderCreation(an_order(order_status=OrderStatus.CANCELLED)), None),
        (MailingTransition(INVOICE, None), None),
        (None, None),
    ],
    ids=["comment", "flagged", "internal", "the customer's", "cancelled", "withdrawn", "created", "invoice", "nothing"],
)
def test_changes_that_notify_the_customer(
    domain_event: DomainEvent | None, notice: tuple[str, str, str] | None
) -> None:
    found = notice_of(domain_event)
    assert (found and (found.kind, found.id, found.order_id)) == notice


def test_a_cancellation_is_dated_the_shops_day() -> None:
    shop = SHOP.model_copy(update={"time_zone": ZoneInfo("Europe/Berlin")})
    message = of_cancellation(an_order(), shop)
    plain, page = read(message)

    assert "cancelled your order 1001 on 16 Jan 2026." in plain
    assert "cancelled your order 1001 on 16 Jan 2026." in spaced(page.text)
    assert message["Date"].datetime == LATE


def test_notices_link_the_page_of_the_order_and_the_support_contact() -> None:
    shop = SHOP.model_copy(update={"order_page": "https://shop.example/orders/{order_id}"})
    for message in (
        of_comment("x", an_order(), shop),
        of_cancellation(an_order(), shop),
        of_withdrawal(an_order(), shop),
    ):
        plain, page = read(message)
        assert "\nView your order\nhttps://shop.example/orders/1001\n" in plain
        assert page.links == ["https://shop.example/orders/1001"]
        assert page.contacts == ["tel:+441174960123"]


# To the staff ---------------------------------------------------------------------------------------------------------

STAFF = SHOP.model_copy(
    update={"staff_email": "staff@bluebell.example", "order_page": "https://shop.example/{order_id}"}
)


def for_staff(order: Order, text: str, shop: Shop = STAFF) -> list[Any]:
    """Returns all mails to the staff about an order, with a text of the customer's."""
    header = OrderHeader.model_validate(order.model_dump(include=set(OrderHeader.model_fields)))
    cancelled = header.model_copy(update={"cancelled_at": LATE, "cancelled_as": "customer", "cancel_reason": text})
    events: list[DomainEvent] = [
        CommentAddition(order.order_id, a_comment(flagged=True, is_admin=False).model_copy(update={"content": text})),
        OrderCancellation(cancelled),
        a_withdrawal(text),
    ]
    notices = [notice for event in events if (notice := staff_notice_of(event))]
    assert [notice.kind for notice in notices] == ["staff_comment", "staff_cancellation", "staff_withdrawal"]
    return [render_for_staff(notice, order, shop) for notice in notices]


@pytest.mark.parametrize(
    "domain_event",
    [
        CommentAddition("1001", a_comment(is_admin=False)),
        CommentAddition("1001", a_comment(flagged=True)),
        OrderCancellation(an_order(cancelled_as="admin")),
        OrderCreation(an_order(cancelled_as="customer")),
        None,
    ],
)
def test_other_changes_do_not_notify_the_staff(domain_event: DomainEvent | None) -> None:
    assert staff_notice_of(domain_event) is None


def test_mail_to_the_staff_says_who_did_what() -> None:
    comment, cancellation, withdrawal = (read(message)[0] for message in for_staff(an_order(paid="10"), "\nSorry.\n"))
    assert comment == (
        "Bluebell Books\n\nAlice Martin flagged this comment on order 1001 for the staff on 15 Jan 2026:\n\n"
        "  Sorry.\n\nThe order has no e-mail address that a reply could go to.\n\nBluebell Books\n"
    )
    assert cancellation == (
        "Bluebell Books\n\nAlice Martin cancelled order 1001 on 15 Jan 2026. Do not ship it.\n\nREASON\n  Sorry.\n\n"
        "MONEY\nPaid: 10,00 €\nTo be refunded: 10,00 €\nThe refund is not made automatically.\n\n"
        "The order has no e-mail address that a reply could go to.\n\nBluebell Books\n"
    )
    assert withdrawal == (
        "Bluebell Books\n\n"
        "A guest declared a withdrawal from order 1001, with its number and e-mail address, without signing in.\n\n"
        "  Name: Sorry.\n  Name on the order: Alice Martin\n  E-mail address: alice@example.com\n"
        "  Submitted: 15 Jan 2026, 23:30:00 (UTC+00:00)\n\n"
        "The order was not changed. Check the withdrawal, then cancel the order or answer the customer.\n\n"
        "THE ORDER\nOrder status: In progress\nShipping status: Awaiting shipment\nPayment status: Unpaid\n"
        "Paid: 10,00 €\nNot refunded: 10,00 €\n\n"
        "Replies to this mail go to the customer, alice@example.com.\n\nBluebell Books\n"
    )


@pytest.mark.parametrize("text", [*NASTY, "x\r\nBcc: eve@evil.example\r\n\r\n<p>hi"])
def test_what_a_customer_wrote_stays_text_in_mails_to_the_staff(text: str) -> None:
    customer = CustomerSummary.model_construct(first_name=text, email="alice@example.com")
    order = an_order().model_copy(update={"customer_summary": customer})
    for message in for_staff(order, text):
        plain, page = read(message)
        harmless(page)
        assert (page.links, page.contacts) == ([], [])
        for shown in (plain, page.text):
            assert spaced(shown).count(spaced(text)) >= 2
        arrived = email.message_from_bytes(message.as_bytes(policy=SMTP), policy=default)
        assert (arrived["To"], arrived["Reply-To"], arrived["Bcc"]) == (
            "staff@bluebell.example",
            "alice@example.com",
            None,
        )


@pytest.mark.parametrize("address", [None, "a..b@example.com", "x@example.123"])
def test_replies_go_to_the_shop_if_the_customer_has_no_valid_address(address: str | None) -> None:
    # A withdrawal names an address.
    for message in for_staff(an_order(customer={"email": address}), "x")[:2]:
        assert message["Reply-To"] == "hello@bluebell.example"
        assert "The customer " in read(message)[0]


def test_the_shops_logo_comes_with_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logo = b"\x89PNG\r\n\x1a\n"
    (tmp_path / "logo.png").write_bytes(logo)
    monkeypatch.setattr(style, "FOLDER", tmp_path)
    order = an_order(customer=CUSTOMER)

    for message in (of_comment("Hello", order), of_cancellation(order), of_withdrawal(order)):
        [image] = [part for part in message.walk() if part["Content-ID"]]
        assert (image["Content-ID"], image.get_content()) == ("<logo>", logo)
        html = message.get_body(("html",)).get_content()
        assert [each["src"] for tag, each in Page(html).elements if tag == "img"] == ["cid:logo"]
