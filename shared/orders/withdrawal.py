"""Withdraws the invoice of an order that is being cancelled: reads it, and issues a credit note or makes it void."""

from orders.documents import Issue, Series, adopt_invoice, series_name, withdraw_invoice
from orders.errors import Unavailable
from orders.identity import Caller
from orders.invoices import Document
from orders.items import select_fields
from orders.keys import DETAIL, SERIES, document_sk, item_key, series_key
from orders.ledger import read_mailings
from orders.models import Order, OrderHeader
from orders.table import Table


def withdraw(table: Table, order: OrderHeader, caller: Caller) -> Issue | None:
    """Reads the invoice of an order and withdraws it; None if version 0.1 recorded only mailings that failed."""
    now = table.now()
    name, number = series_name(now), order.invoice.number if order.invoice else None
    sks = (document_sk(number),) if number else (DETAIL,)
    found, left = table.get_many([series_key(name), *(item_key(order.order_id, sk) for sk in sks)], consistent=True)
    if left:
        raise Unavailable
    items = {item["sk"]: item for item in found}
    series = Series.of(name, items.get(SERIES))
    if number:
        invoice = Document.model_validate(select_fields(items[document_sk(number)], Document))
        return withdraw_invoice(series, invoice, caller.id, now, may_have_left=bool(order.may_have_left))
    whole = Order.model_validate({**dict(order), **select_fields(items[DETAIL], Order)})
    if not (adopted := adopt_invoice(whole, read_mailings(table, order.order_id))):
        return None
    return withdraw_invoice(series, adopted[0], caller.id, now, may_have_left=True)
