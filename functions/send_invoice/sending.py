"""The ledger of invoice mail: never twice for one request, never silently lost, and the record says which.

`sending` is written before the mail and `sent`, `failed` or `unknown` after it. A process that dies in between leaves
`sending`, which counts as unknown once nobody can be working on it any more.
"""

from orders.errors import MailRefused, MailUnknown, Problem, StillRunning, Unavailable
from orders.identity import Caller
from orders.lifecycle import refuse_invoice
from orders.models import Invoice, InvoiceRequest, InvoiceState, Order
from orders.store import MAIL_LEASE, Changed, Key, Store
from orders.telemetry import count, logger
from send_invoice.mail import Mailer
from send_invoice.rendering import render
from send_invoice.shop import Shop

ATTEMPTS = 4
"""How often an order is read again because it changed under our hands."""


def send(
    store: Store, mailer: Mailer, shop: Shop, order_id: str, who: Caller, request: InvoiceRequest, given_key: str | None
) -> Invoice:
    """Mails an order's invoice, or tells what became of it when the same request was made before.

    Three calls of DynamoDB and one of SES; a repeated request costs two reads.

    Returns:
        The invoice that SES accepted.

    Raises:
        OrderNotFound: There is no such order.
        StateConflict: A rule of `lifecycle` forbids it.
        KeyReused: The Idempotency-Key came with another request before.
        StillRunning: The same request is being worked on.
        MailRefused: The mail did not leave. The same request may try again.
        Unavailable: The mail did not leave, because AWS throttles. The same request may try again.
        MailUnknown: It is not known whether the mail left.
    """
    key = Key.of("send-invoice", who, request, given_key)
    for attempt in range(ATTEMPTS):
        order, earlier = store.read_for_invoice(order_id, key, again=attempt > 0)
        if not key.given:
            # Two clicks are one request only as long as the order still allows it.
            refuse_invoice(order)
        if earlier and _left(found := store.invoice(order_id, earlier), store):
            return found
        refuse_invoice(order)
        invoice = _next(order, who, request, store)
        message = render(invoice, order, shop)
        try:
            store.begin_invoice(order, invoice, key, instead_of=earlier)
        except Changed:
            continue
        try:
            message_id = mailer.send(message, tags={"order_id": order_id, "invoice": invoice.number})
        except MailUnknown as problem:
            _end(store, invoice, InvoiceState.UNKNOWN, reason=problem.reason)
            raise
        except (MailRefused, Unavailable) as problem:
            _end(store, invoice, InvoiceState.FAILED, reason=problem.reason)
            raise
        _end(store, invoice, InvoiceState.SENT, message_id=message_id)
        return invoice
    raise StillRunning("The order keeps changing. No mail was sent; try again.", retry_after=1)


def _left(invoice: Invoice, store: Store) -> bool:
    """Whether the mail of an earlier, same request left: False if it certainly did not."""
    match invoice.state:
        case InvoiceState.SENT:
            return True
        case InvoiceState.FAILED:
            return False
        case InvoiceState.SENDING if (rest := invoice.started + MAIL_LEASE - store.now()).total_seconds() > 0:
            raise StillRunning("The same request is being worked on.", retry_after=int(rest.total_seconds()) + 1)
    raise MailUnknown(
        "This request was made before, and it is not known whether its mail left. It is not sent again by itself."
    )


def _next(order: Order, who: Caller, request: InvoiceRequest, store: Store) -> Invoice:
    options = request.payment_settings and request.payment_settings.payment_method_options
    return Invoice(
        order_id=order.order_id,
        n=order.invoice_count + 1,
        state=InvoiceState.SENDING,
        started=store.now(),
        requested_by=who.id,
        recipient=order.customer_summary.email or "",
        version=order.version,
        currency_code=order.currency_code,
        grand_total=order.grand_total,
        paid=order.paid,
        payment_status=request.payment_status or order.payment_status,
        payment_method_options=options or (),
        notes=request.notes,
    )


def _end(
    store: Store, invoice: Invoice, state: InvoiceState, *, message_id: str | None = None, reason: str | None = None
) -> None:
    """Records the outcome.

    The mail is what it is: if the record cannot be written it stays `sending`, which claims nothing, and the caller
    still learns what became of the mail.
    """
    count(f"Invoices{state.capitalize()}")
    logger.info("invoice", order_id=invoice.order_id, invoice=invoice.number, state=state, reason=reason)
    try:
        store.end_invoice(invoice, state, message_id=message_id, reason=reason)
    except Problem as problem:
        count("InvoicesNotRecorded")
        logger.error("outcome not recorded", invoice=invoice.number, state=state, slug=problem.slug)
