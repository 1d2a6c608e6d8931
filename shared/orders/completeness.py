"""What an invoice lacks to be legally complete. It is sent all the same: shops elsewhere follow other rules.

VAT Directive, Article 226 (https://eur-lex.europa.eu/eli/dir/2006/112), the UK's VAT Regulations 1995, regulation 14,
and Australia's A New Tax System (Goods and Services Tax) Act 1999, section 29-70, ask for much the same.
"""

from collections.abc import Iterator
from itertools import islice

from orders.invoices import Seller
from orders.models import Order, ShippingStatus
from orders.terms import TaxCategory

MOST_LINES = 10
"""How many lines are named at most, so that a document's size does not grow with its lines."""

_BUYER = ("address_line_1", "city", "country")
NEEDS_BUYERS_VAT_NUMBER = {TaxCategory.REVERSE_CHARGE, TaxCategory.INTRA_COMMUNITY}


def missing(order: Order, seller: Seller) -> tuple[str, ...]:
    """Returns the paths of the fields that an invoice about an order needs and that are not set."""
    return tuple(_missing(order, seller))


def missing_on_lines(order: Order) -> Iterator[str]:
    """Yields the tax rates and categories that are missing, of `MOST_LINES` lines at most."""
    return islice(_missing_on_lines(order), MOST_LINES)


def _missing_on_lines(order: Order) -> Iterator[str]:
    for index, line in enumerate(order.order_line_details):
        if line.tax_rate is None:
            yield f"order_line_details.{index}.tax_rate"
        elif line.category is None:
            yield f"order_line_details.{index}.tax_category"


def missing_on_charges(order: Order) -> Iterator[str]:
    """Yields the tax rates of charges that are missing."""
    charges = (
        ("shipping_tax_rate", order.shipping_cost or order.shipping_tax, order.shipping_tax_rate),
        ("handling_tax_rate", order.handling_cost or order.handling_tax, order.handling_tax_rate),
        ("surcharge_tax_rate", order.total_surcharge or order.surcharge_tax, order.surcharge_tax_rate),
    )
    return (name for name, amount, rate in charges if amount and rate is None)


def _missing(order: Order, seller: Seller) -> Iterator[str]:
    if not seller.legal_name:
        yield "seller.legal_name"
    if not (seller.vat_id or seller.tax_number or seller.tax_id):
        yield "seller.vat_id"
    customer = order.customer_summary
    if not (customer.last_name or customer.company_name):
        yield "customer_summary.last_name"
    yield from (f"customer_summary.{name}" for name in _BUYER if not getattr(customer, name))
    categories = {line.category for line in order.order_line_details}
    if categories & NEEDS_BUYERS_VAT_NUMBER and not customer.vat_number:
        yield "customer_summary.vat_number"
    yield from missing_on_lines(order)
    yield from missing_on_charges(order)
    if TaxCategory.EXEMPT in categories and not order.tax_exemption_reason:
        yield "tax_exemption_reason"
    if order.shipping_status in {ShippingStatus.SHIPPED, ShippingStatus.DELIVERED} and not order.delivered_on:
        yield "delivered_on"
