"""The state of an invoice does not depend on the order in which SES reports arrive."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations

import pytest

from orders.invoices import DeliveryEvent, Mailing, Outcome, own_number, parse_own_number
from orders.lifecycle import mailing_state
from orders.models import PaymentStatus
from orders.money import amount_text

START = datetime(2026, 11, 23, 9, tzinfo=UTC)


def an_invoice(outcome: Outcome, *events: DeliveryEvent) -> Mailing:
    return Mailing(
        order_id="1",
        n=1,
        outcome=outcome,
        events={event: START + timedelta(seconds=n) for n, event in enumerate(events)},
        started=START,
        requested_by="ada",
        recipient="alice@example.com",
        version=1,
        currency_code="EUR",
        grand_total=Decimal(1),
        paid=Decimal(0),
        payment_status=PaymentStatus.UNPAID,
    )


SEND, DELAY, DELIVERY = DeliveryEvent.SEND, DeliveryEvent.DELAY, DeliveryEvent.DELIVERY
SOFT, HARD, COMPLAINT, REJECT = (
    DeliveryEvent.SOFT_BOUNCE,
    DeliveryEvent.HARD_BOUNCE,
    DeliveryEvent.COMPLAINT,
    DeliveryEvent.REJECT,
)


@pytest.mark.parametrize("outcome", Outcome)
def test_state_without_reports_is_the_recorded_outcome(outcome: Outcome) -> None:
    assert mailing_state(an_invoice(outcome)) == outcome.value


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([SEND], "sent"),
        ([DELAY], "sent"),
        ([SEND, DELIVERY], "delivered"),
        ([DELIVERY], "delivered"),
        ([SEND, SOFT], "bounced"),
        ([SEND, DELIVERY, SOFT], "delivered"),  # a reply such as "out of office"
        ([SEND, DELIVERY, HARD], "bounced"),  # some servers accept a mail first and refuse it later
        ([SEND, DELIVERY, COMPLAINT], "complained"),
        ([SEND, REJECT], "rejected"),
        ([SEND, HARD, COMPLAINT], "complained"),
    ],
)
def test_reports_count_in_any_order(outcome: Outcome, events: list[DeliveryEvent], state: str) -> None:
    assert mailing_state(an_invoice(outcome, *events)) == state
    assert mailing_state(an_invoice(outcome, *reversed(events))) == state


def test_further_report_never_makes_a_state_unknown() -> None:
    for size in range(1, len(DeliveryEvent) + 1):
        for events in combinations(DeliveryEvent, size):
            assert mailing_state(an_invoice(Outcome.UNKNOWN, *events)) not in {"unknown", "sending", "failed"}


@pytest.mark.parametrize("order_id", ["1", "a-1", "INV-1-1", "x" * 64])
def test_invoice_number_is_parsed(order_id: str) -> None:
    assert parse_own_number(order_id, own_number(order_id, 12)) == 12


@pytest.mark.parametrize(
    "number",
    ["", "INV-1-", "INV-1-0", "INV-1-01", "INV-1-1 ", "INV-1-1\n", "INV-2-1", "inv-1-1", "INV-1-１", "INV-1-9999999"],
)
def test_invalid_invoice_number_is_refused(number: str) -> None:
    assert parse_own_number("1", number) is None


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("12.5", "EUR", "12.50"),
        ("0", "USD", "0.00"),
        ("1200", "JPY", "1200"),
        ("1.5", "KWD", "1.500"),
        ("0.0125", "EUR", "0.0125"),
        ("-3.1", "EUR", "-3.10"),
        ("1E+3", "EUR", "1000.00"),
    ],
)
def test_amounts_have_the_decimals_of_their_currency(amount: str, currency: str, text: str) -> None:
    assert amount_text(Decimal(amount), currency) == text
