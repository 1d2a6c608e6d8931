"""Hypothesis strategies for whole orders whose amounts agree with each other."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hypothesis import strategies as st

DECIMALS = {"EUR": 2, "JPY": 0, "KWD": 3, "RSD": 2, "CLF": 4}

CHARGE_RATES = ("shipping_tax_rate", "handling_tax_rate", "surcharge_tax_rate")

TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=40
)

RATES = [(None, None), ("19", "S"), ("5.5", "S"), *(("0", category) for category in ("Z", "E", "AE", "K", "G", "O"))]

_ZERO = Decimal(0)


@st.composite
def amounts(draw: st.DrawFn, unit: Decimal, most: Decimal = Decimal(10**4)) -> Decimal:
    """Amounts from 0 to the largest one that can be paid."""
    return draw(st.integers(0, max(0, int(most / unit)))) * unit


@st.composite
def lines(draw: st.DrawFn, unit: Decimal, gross: bool) -> dict[str, Any]:
    """Lines of an order. With gross prices, the tax is a part of what is left after the discount."""
    quantity = Decimal(draw(st.integers(1, 10**5))).scaleb(-2)
    price = Decimal(draw(st.integers(0, 10**8))).scaleb(-4)
    total = (quantity * price).quantize(unit, ROUND_HALF_UP)
    discount = draw(amounts(unit, total))
    rate, category = draw(st.sampled_from(RATES))
    return {
        "item_id": draw(st.integers(0, 2**53 - 1)),
        "product_name": draw(TEXT),
        "product_id": draw(st.none() | st.integers(0, 2**53 - 1)),
        "sku": draw(st.none() | TEXT),
        "quantity": quantity,
        "price": price,
        "total_amount": total,
        "discount": discount,
        "tax": draw(amounts(unit, total - discount) if gross else amounts(unit)),
        "tax_rate": rate,
        "tax_category": category,
        "unit_code": draw(st.sampled_from([None, "C62", "KGM", "XBX"])),
    }


@st.composite
def payments(draw: st.DrawFn, unit: Decimal, total: Decimal) -> dict[str, Any]:
    """What was paid and refunded, and a status that says the same."""
    paid = draw(st.sampled_from([_ZERO, total]) | amounts(unit, 2 * total + 1))
    refunded = draw(st.sampled_from([_ZERO, _ZERO, paid]) | amounts(unit, paid))
    if refunded:
        status = "refunded" if refunded == paid else "partially_refunded"
    elif paid >= total:
        status = "paid"
    else:
        status = "partial" if paid else "unpaid"
    if paid < total and draw(st.booleans()):
        status = "pending"
    return {"payment_status": status, "paid": paid, "refunded": refunded, "due": max(_ZERO, total - paid)}


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    """Whole orders, with all totals. Amounts are text, as in JSON."""
    currency = draw(st.sampled_from(sorted(DECIMALS)))
    unit = Decimal(1).scaleb(-DECIMALS[currency])
    gross = draw(st.booleans())
    ordered = draw(st.lists(lines(unit, gross), min_size=1, max_size=4))

    def total(part: str) -> Decimal:
        return sum((line[part] for line in ordered), _ZERO)

    charges = {name: draw(amounts(unit)) for name in ("shipping_cost", "handling_cost", "total_surcharge")}
    taxes = {
        tax: draw(amounts(unit, charges[charge]) if gross else amounts(unit))
        for tax, charge in (
            ("shipping_tax", "shipping_cost"),
            ("handling_tax", "handling_cost"),
            ("surcharge_tax", "total_surcharge"),
        )
    }
    added = _ZERO if gross else total("tax") + sum(taxes.values())
    left = total("total_amount") - total("discount") - (total("tax") if gross else _ZERO)
    discount = total("discount") + draw(amounts(unit, left))
    grand = total("total_amount") - discount + sum(charges.values()) + added
    rounding = draw(st.integers(-int(1 / unit), int(1 / unit))) * unit
    rounding = max(rounding, -grand)
    grand += rounding
    numbers = {
        **charges,
        **taxes,
        "total_discount": discount,
        "rounding": rounding,
        "sub_total": total("total_amount"),
        "total_tax": total("tax"),
        "items_total": total("quantity"),
        "grand_total": grand,
        **draw(payments(unit, grand)),
    }
    return _as_text(numbers) | {
        "order_id": draw(st.from_regex("[A-Za-z0-9_:#/-]([A-Za-z0-9_.:#/ -]{0,48}[A-Za-z0-9_.:#/-])?", fullmatch=True)),
        "customer_id": draw(TEXT.filter(str.strip)),
        "order_status": draw(st.sampled_from(["draft", "in_progress", "paused", "reopened", "completed", "cancelled"])),
        "shipping_status": draw(st.sampled_from(["awaiting_shipment", "partial", "shipped", "delivered"])),
        "currency_code": currency,
        "prices_include_tax": gross,
        **{name: draw(st.sampled_from([None, "19", "0"])) for name in CHARGE_RATES},
        "tax_exemption_reason": draw(st.none() | TEXT),
        "delivered_on": draw(st.sampled_from([None, "2026-01-14"])),
        "delivery_country": draw(st.sampled_from([None, "NO"])),
        "payment_due": draw(st.sampled_from([None, "2026-02-28"])),
        "purchase_order_number": draw(st.none() | TEXT),
        "buyer_reference": draw(st.none() | TEXT),
        "customer_summary": draw(
            st.fixed_dictionaries(
                {
                    "first_name": st.none() | TEXT,
                    "last_name": st.none() | TEXT,
                    "email": st.sampled_from([None, "alice@example.com"]),
                    "billing_email": st.sampled_from([None, "accounts@example.com"]),
                    "phone": st.none() | TEXT,
                    "company_name": st.none() | TEXT,
                    "address_line_1": st.none() | TEXT,
                    "address_line_2": st.none() | TEXT,
                    "city": st.none() | TEXT,
                    "state": st.none() | st.fixed_dictionaries({"name": TEXT, "code": st.none() | TEXT}),
                    "post_code": st.none() | TEXT,
                    "vat_number": st.none() | TEXT,
                    "peppol_id": st.sampled_from([None, "0088:7300010000001"]),
                    "country": st.none() | st.fixed_dictionaries({"name": TEXT, "code": st.just("NO")}),
                }
            )
        ),
        "order_line_details": [_as_text(line) for line in ordered],
    }


def _as_text(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in fields.items()}
