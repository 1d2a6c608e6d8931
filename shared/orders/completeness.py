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
_NEEDS_BUYERS_VAT_NUMBER = {TaxCategory.REVERSE_CHARGE, TaxCategory.INTRA_COMMUNITY}


def missing(order: Order, seller: Seller) -> tuple[str, ...]:
    """Returns the paths of the fields that an invoice about an order needs and that are not set."""
    return tuple(_missing(order, seller))


def _missing_on_lines(order: Order) -> Iterator[str]:
    for index, line in enumerate(order.order_line_details):
        if line.tax_rate is None:
            yield f"order_line_details.{index}.tax_rate"
        elif line.category is None:
            yield f"order_line_details.{index}.tax_category"


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
    if categories & _NEEDS_BUYERS_VAT_NUMBER and not customer.vat_number:
        yield "customer_summary.vat_number"
    yield from islice(_missing_on_lines(order), MOST_LINES)
    charges = (
        ("shipping_tax_rate", order.shipping_cost, order.shipping_tax_rate),
        ("handling_tax_rate", order.handling_cost, order.handling_tax_rate),
        ("surcharge_tax_rate", order.total_surcharge, order.surcharge_tax_rate),
    )
    yield from (name for name, amount, rate in charges if amount and rate is None)
    if TaxCategory.EXEMPT in categories and not order.tax_exemption_reason:
        yield "tax_exemption_reason"
    if order.shipping_status in {ShippingStatus.SHIPPED, ShippingStatus.DELIVERED} and not order.delivered_on:
        yield "delivered_on"
