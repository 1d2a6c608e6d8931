"""The series of document numbers: what a number is made of, and what one transaction writes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness import ROOT
from hypothesis import given
from hypothesis import strategies as st

from orders.documents import Issue, Series, issue_invoice, reissue_invoice, series_name, withdraw_invoice
from orders.models import DocumentType, Order

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SAMPLE = Order.model_validate_json((ROOT / "tests" / "order.json").read_bytes())

moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("taken", "number"),
    [(0, "INV-2026-00001"), (16, "INV-2026-00017"), (99_998, "INV-2026-99999"), (99_999, "INV-2026-100000")],
)
def test_number_has_at_least_five_digits(taken: int, number: str) -> None:
    assert Series("INV-2026", taken, NOW).take(NOW).number == number


@given(st.lists(moments, min_size=1, max_size=20))
def test_numbers_have_no_gaps_and_their_times_never_turn_back(clocks: list[datetime]) -> None:
    series, issued = Series("INV-2026"), []
    for now in clocks:
        series = series.take(now)
        issued.append((series.number, series.issued))
    assert [number for number, _ in issued] == [f"INV-2026-{n:05}" for n in range(1, len(clocks) + 1)]
    times = [time for _, time in issued]
    assert times == sorted(times)
    # Not later than the clock that is ahead of all others.
    assert times[-1] == max(clocks)


@pytest.mark.parametrize(
    ("zone", "prefix", "now", "name"),
    [
        ("UTC", "INV-", "2026-12-31T23:59:59Z", "INV-2026"),
        ("UTC", "INV-", "2027-01-01T00:00:00Z", "INV-2027"),
        ("Pacific/Auckland", "INV-", "2026-12-31T11:00:00Z", "INV-2027"),
        ("America/Los_Angeles", "RE", "2027-01-01T07:59:59Z", "RE2026"),
        # Unset, or set to nothing, as a template sets an empty parameter.
        ("", "", "2026-06-01T00:00:00Z", "INV-2026"),
    ],
)
def test_series_is_named_by_prefix_and_the_year_of_the_shop(
    monkeypatch: pytest.MonkeyPatch, zone: str, prefix: str, now: str, name: str
) -> None:
    monkeypatch.setenv("SHOP_TIME_ZONE", zone)
    monkeypatch.setenv("INVOICE_PREFIX", prefix)
    assert series_name(datetime.fromisoformat(now)) == name


def numbers(issue: Issue) -> list[tuple[str, str | None]]:
    return [(each.number, each.corrects) for each in issue.documents]


def test_credit_note_repeats_the_amounts_and_the_buyer_of_the_invoice() -> None:
    content: dict[str, Any] = {"payment_status": SAMPLE.payment_status, "language": "nb", "notes": "Pay by Friday"}
    first = issue_invoice(Series("INV-2026"), SAMPLE, "ada", NOW, payment_method_options=("Vipps",), **content)
    [invoice] = first.documents
    withdrawn = withdraw_invoice(first.after, invoice, "bea", NOW + timedelta(days=1), may_have_left=True)
    [credit_note] = withdrawn.documents
    changed = {
        "number": "INV-2026-00002",
        "type": DocumentType.CREDIT_NOTE,
        "issued": NOW + timedelta(days=1),
        "corrects": "INV-2026-00001",
        "requested_by": "bea",
        "notes": None,
        "payment_method_options": (),
    }
    assert dict(credit_note) == dict(invoice) | changed
    assert withdrawn.voided is None


def test_void_invoice_takes_no_number() -> None:
    first = issue_invoice(Series("INV-2026"), SAMPLE, "ada", NOW, payment_status=SAMPLE.payment_status)
    withdrawn = withdraw_invoice(first.after, first.documents[0], "ada", NOW, may_have_left=False)
    assert (withdrawn.after, withdrawn.documents) == (first.after, ())
    assert withdrawn.voided
    assert (withdrawn.voided.number, withdrawn.voided.voided) == ("INV-2026-00001", NOW)


@pytest.mark.parametrize(
    ("may_have_left", "issued"),
    [
        (frozenset({1}), [("INV-2026-00002", "INV-2026-00001"), ("INV-2026-00003", None)]),
        (frozenset(), [("INV-2026-00002", None)]),
    ],
)
def test_reissue_numbers_the_credit_note_before_the_invoice(
    may_have_left: frozenset[int], issued: list[tuple[str, str | None]]
) -> None:
    first = issue_invoice(Series("INV-2026"), SAMPLE, "ada", NOW, payment_status=SAMPLE.payment_status)
    order = SAMPLE.model_copy(update={"may_have_left": may_have_left})
    again = reissue_invoice(first.after, order, first.documents[0], "ada", NOW, payment_status=SAMPLE.payment_status)
    assert numbers(again) == issued
    assert (again.before, again.after.taken) == (first.after, len(issued) + 1)
    assert bool(again.voided) == (not may_have_left)


def test_document_does_not_grow_with_the_lines() -> None:
    many = SAMPLE.model_copy(update={"order_line_details": SAMPLE.order_line_details * 500})
    one, all_lines = (
        issue_invoice(Series("INV-2026"), order, "ada", NOW, payment_status=SAMPLE.payment_status).documents[0]
        for order in (SAMPLE, many)
    )
    assert one == all_lines
    # With the lines, which never change, it is the order as it was.
    assert one.order_as_issued(SAMPLE).order_line_details == SAMPLE.order_line_details
