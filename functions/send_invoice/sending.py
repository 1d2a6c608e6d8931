"""Sends an invoice: read the order, compute the content, record the mailing, archive, mail, record the outcome.

A request mails at most once, no mail is lost without a trace, and the record says what happened. `sending` is recorded
before the mail, and `sent`, `failed` or `unknown` after it. A process that dies in between leaves `sending`, which
counts as unknown once its lease has expired, until SES reports the outcome.
"""

from datetime import datetime
from email.message import EmailMessage

from orders.archive import Archive
from orders.errors import DomainError, Invalid, MailUnknown, StillRunning
from orders.identity import Caller
from orders.keys import RequestKey
from orders.ledger import MAIL_LEASE, Ledger, OrderChanged
from orders.lifecycle import invoice_state, refuse_invoice
from orders.mailing.mail import Mailer
from orders.mailing.shop import Shop
from orders.models import Invoice, InvoiceState, Order, Outcome, PaymentStatus
from orders.payments import OPEN, refuse_status
from orders.printing.content import Content, invoice_content
from orders.printing.pdf import render_pdf
from orders.requests import InvoiceRequest
from orders.telemetry import count, logger
from send_invoice.mail import attach_pdf, render_mail

ATTEMPTS = 4
"""How often the order is read while other requests keep changing it."""


class InvoiceSender:
    """Sends invoices.

    Args:
        ledger: The orders and their mailings.
        archive: Where the PDFs are kept.
        mailer: Hands mail to SES.
        shop: The seller.
    """

    def __init__(self, ledger: Ledger, archive: Archive, mailer: Mailer, shop: Shop) -> None:
        self._ledger = ledger
        self._archive = archive
        self._mailer = mailer
        self._shop = shop

    def send(self, order_id: str, caller: Caller, request: InvoiceRequest, given_key: str | None) -> Invoice:
        """Mails an order's invoice. A repeated request mails nothing: it gets the outcome of the first one.

        Three calls of DynamoDB, one of S3 and one of SES; a repeated request costs two reads.

        Returns:
            The invoice that SES accepted.

        Raises:
            OrderNotFound: The order does not exist.
            StateConflict: A rule of `lifecycle` forbids it.
            Invalid: The payment status contradicts the order's figures, or neither the order nor the shop names an
                address that a copy should go to.
            KeyReused: The Idempotency-Key came with another request before.
            StillRunning: The same request is being processed, or other requests keep changing the order.
            MailRefused: The mail did not leave. The same request may try again.
            Unavailable: The mail did not leave, because AWS throttles. The same request may try again.
            MailUnknown: It is not known whether the mail left.
        """
        key = RequestKey.of("send-invoice", caller, request, given_key)
        resend = bool(request.resend)
        for attempt in range(ATTEMPTS):
            order, earlier = self._ledger.read_for_invoice(order_id, key, again=attempt > 0)
            if not key.given:
                # A double click counts as one request only while the order still allows it.
                refuse_invoice(order, resend=resend)
            if earlier and self._has_left(found := self._ledger.invoice(order_id, earlier)):
                return found
            refuse_invoice(order, resend=resend)
            invoice = draft_invoice(order, caller, request, self._shop, self._ledger.now())
            content = invoice_content(invoice, order, self._shop)
            message, pdf = render_mail(content, self._shop), render_pdf(content)
            attach_pdf(message, invoice.number, pdf)
            try:
                self._ledger.begin_invoice(order, invoice, key, instead_of=earlier)
            except OrderChanged:
                continue
            return self._deliver(invoice, message, pdf)
        raise StillRunning("The order keeps changing. No mail was sent; try again.", retry_after=1)

    def preview(self, order_id: str, caller: Caller, request: InvoiceRequest) -> Content:
        """Computes what the same request would mail now. Nothing is sent or stored.

        Raises:
            OrderNotFound: The order does not exist.
            StateConflict: A rule of `lifecycle` forbids it.
            Invalid: The payment status contradicts the order's figures, or neither the order nor the shop names an
                address that a copy should go to.
        """
        order, _ = self._ledger.read_for_invoice(order_id, None, again=False)
        refuse_invoice(order, resend=bool(request.resend))
        return invoice_content(draft_invoice(order, caller, request, self._shop, self._ledger.now()), order, self._shop)

    def _deliver(self, invoice: Invoice, message: EmailMessage, pdf: bytes) -> Invoice:
        """Archives the PDF, mails it and records the outcome."""
        try:
            self._archive.put(invoice, pdf)
            invoice = invoice.model_copy(update={"archived": True})
            message_id = self._mailer.send(message, tags={"order_id": invoice.order_id, "invoice": invoice.number})
        except MailUnknown as error:
            self._record(invoice, Outcome.UNKNOWN, reason=error.reason)
            raise
        except DomainError as error:
            self._record(invoice, Outcome.FAILED, reason=error.reason)
            raise
        self._record(invoice, Outcome.SENT, message_id=message_id)
        return invoice

    def _has_left(self, invoice: Invoice) -> bool:
        """Whether the mail of an earlier request with the same key left; False if it certainly did not.

        Raises:
            StillRunning: It is being sent.
            MailUnknown: It may have left.
        """
        match invoice_state(invoice):
            case InvoiceState.FAILED:
                return False
            case InvoiceState.SENDING if (
                rest := (invoice.started + MAIL_LEASE - self._ledger.now()).total_seconds()
            ) > 0:
                raise StillRunning("The same request is being processed.", retry_after=int(rest) + 1)
            case InvoiceState.SENDING | InvoiceState.UNKNOWN:
                raise MailUnknown(
                    "This request was made before, and it is not known whether its mail left. It will not be retried "
                    "automatically."
                )
        return True

    def _record(
        self, invoice: Invoice, outcome: Outcome, *, message_id: str | None = None, reason: str | None = None
    ) -> None:
        """Records the outcome.

        If the record cannot be written it stays `sending`, which claims nothing, and the caller still learns the
        outcome of the mail.
        """
        count(f"Invoices{outcome.capitalize()}")
        logger.info("invoice", order_id=invoice.order_id, invoice=invoice.number, outcome=outcome, reason=reason)
        known = {"outcome": outcome, "ended": self._ledger.now(), "message_id": message_id, "reason": reason}
        try:
            self._ledger.end_invoice(invoice.model_copy(update=known))
        except DomainError as error:
            count("InvoicesNotRecorded")
            logger.error("outcome not recorded", invoice=invoice.number, outcome=outcome, error=type(error).__name__)


def draft_invoice(order: Order, caller: Caller, request: InvoiceRequest, shop: Shop, now: datetime) -> Invoice:
    """Makes the order's next invoice, as a request asks for it.

    Raises:
        Invalid: The request's payment status contradicts the order's figures, or neither the order nor the shop names
            an address that a copy should go to.
    """
    status = request.payment_status or order.payment_status
    if problem := refuse_status(order, status):
        raise Invalid([("payment_status", problem)])
    if status in OPEN and not order.due:
        # Stored by version 0.1, which did not compare status and figures. An invoice that asks for nothing is not open.
        status = PaymentStatus.PAID
    options = request.payment_settings and request.payment_settings.payment_method_options
    return Invoice(
        order_id=order.order_id,
        n=order.invoice_count + 1,
        outcome=Outcome.SENDING,
        started=now,
        requested_by=caller.id,
        recipient=order.customer_summary.email or "",
        version=order.version,
        currency_code=order.currency_code,
        grand_total=order.grand_total,
        paid=order.paid,
        payment_status=status,
        payment_method_options=options or (),
        notes=request.notes,
        cc=_copies(order, request, shop),
        subject=request.subject,
        language=request.language,
    )


def _copies(order: Order, request: InvoiceRequest, shop: Shop) -> tuple[str, ...]:
    """Returns the addresses of the copies, each once: those that the request asks for, as order and shop write them."""
    customer = order.customer_summary
    named = {
        address.lower(): address for address in (*shop.invoice_cc, customer.billing_email, customer.email) if address
    }
    message = "must be the order's billing_email or an address that the shop has configured for copies"
    asked = [address.lower() for address in request.cc or ()]
    if errors := [(f"cc.{place}", message) for place, address in enumerate(asked) if address not in named]:
        raise Invalid(errors)
    return tuple(dict.fromkeys(named[address] for address in asked if named[address] != customer.email))
