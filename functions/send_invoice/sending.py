"""The ledger of invoice mail: never twice for one request, never silently lost, and the record says which.

`sending` is written before the mail and `sent`, `failed` or `unknown` after it. A process that dies in between leaves
`sending`, which counts as unknown once nobody can be working on it any more, until SES reports what became of it.
"""

from typing import Any

from orders.archive import Archive
from orders.errors import DomainError, MailUnknown, StillRunning
from orders.identity import Caller
from orders.keys import RequestKey
from orders.ledger import MAIL_LEASE, Ledger, OrderChanged
from orders.lifecycle import invoice_state, refuse_invoice
from orders.mailing.mail import Mailer
from orders.mailing.shop import Shop
from orders.models import Invoice, InvoiceState, Order, Outcome
from orders.requests import InvoiceRequest
from orders.telemetry import count, logger
from send_invoice.pdf import render_pdf
from send_invoice.rendering import render

ATTEMPTS = 4
"""How often an order is read again because it changed under our hands."""


class Sending:
    """Sends invoices.

    Args:
        ledger: Where orders and the ledger are.
        archive: Where the PDFs go.
        mailer: What hands mails to SES.
        shop: Who sends.
    """

    def __init__(self, ledger: Ledger, archive: Archive, mailer: Mailer, shop: Shop) -> None:
        self._ledger = ledger
        self._archive = archive
        self._mailer = mailer
        self._shop = shop

    def send(self, order_id: str, who: Caller, request: InvoiceRequest, given_key: str | None) -> Invoice:
        """Mails an order's invoice, or tells what became of it when the same request was made before.

        Three calls of DynamoDB, one of S3 and one of SES; a repeated request costs two reads.

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
        key = RequestKey.of("send-invoice", who, request, given_key)
        resend = bool(request.resend)
        for attempt in range(ATTEMPTS):
            order, earlier = self._ledger.read_for_invoice(order_id, key, again=attempt > 0)
            if not key.given:
                # Two clicks are one request only as long as the order still allows it.
                refuse_invoice(order, resend=resend)
            if earlier and self._left(found := self._ledger.invoice(order_id, earlier)):
                return found
            refuse_invoice(order, resend=resend)
            invoice = self.draft(order, who, request)
            message = render(invoice, order, self._shop)
            pdf = render_pdf(invoice, order, self._shop)
            message.add_attachment(pdf, maintype="application", subtype="pdf", filename=f"{invoice.number}.pdf")
            try:
                self._ledger.begin_invoice(order, invoice, key, instead_of=earlier)
            except OrderChanged:
                continue
            try:
                self._archive.put(invoice, pdf)
                invoice = invoice.model_copy(update={"archived": True})
                message_id = self._mailer.send(message, tags={"order_id": order_id, "invoice": invoice.number})
            except MailUnknown as problem:
                self._end(invoice, Outcome.UNKNOWN, reason=problem.reason)
                raise
            except DomainError as problem:
                self._end(invoice, Outcome.FAILED, reason=problem.reason)
                raise
            self._end(invoice, Outcome.SENT, message_id=message_id)
            return invoice
        raise StillRunning("The order keeps changing. No mail was sent; try again.", retry_after=1)

    def preview(self, order_id: str, who: Caller, request: InvoiceRequest, *, pdf: bool) -> str | bytes:
        """What the same request would mail now: the PDF, or the mail's HTML. Nothing is sent and nothing is stored.

        Raises:
            OrderNotFound: There is no such order.
            StateConflict: A rule of `lifecycle` forbids it.
        """
        order, _ = self._ledger.read_for_invoice(order_id, None, again=False)
        refuse_invoice(order, resend=bool(request.resend))
        invoice = self.draft(order, who, request)
        if pdf:
            return render_pdf(invoice, order, self._shop)
        html: Any = render(invoice, order, self._shop).get_body(("html",))
        return str(html.get_content())

    def draft(self, order: Order, who: Caller, request: InvoiceRequest) -> Invoice:
        """The invoice that would be sent now: the order's next one."""
        options = request.payment_settings and request.payment_settings.payment_method_options
        return Invoice(
            order_id=order.order_id,
            n=order.invoice_count + 1,
            outcome=Outcome.SENDING,
            started=self._ledger.now(),
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

    def _left(self, invoice: Invoice) -> bool:
        """Whether the mail of an earlier, same request left: False if it certainly did not."""
        match invoice_state(invoice):
            case InvoiceState.FAILED:
                return False
            case InvoiceState.SENDING if (
                rest := (invoice.started + MAIL_LEASE - self._ledger.now()).total_seconds()
            ) > 0:
                raise StillRunning("The same request is being worked on.", retry_after=int(rest) + 1)
            case InvoiceState.SENDING | InvoiceState.UNKNOWN:
                raise MailUnknown(
                    "This request was made before, and it is not known whether its mail left. It is not sent again "
                    "by itself."
                )
        return True

    def _end(
        self, invoice: Invoice, outcome: Outcome, *, message_id: str | None = None, reason: str | None = None
    ) -> None:
        """Records the outcome.

        The mail is what it is: if the record cannot be written it stays `sending`, which claims nothing, and the
        caller still learns what became of the mail.
        """
        count(f"Invoices{outcome.capitalize()}")
        logger.info("invoice", order_id=invoice.order_id, invoice=invoice.number, outcome=outcome, reason=reason)
        known = {"outcome": outcome, "ended": self._ledger.now(), "message_id": message_id, "reason": reason}
        try:
            self._ledger.end_invoice(invoice.model_copy(update=known))
        except DomainError as problem:
            count("InvoicesNotRecorded")
            logger.error("outcome not recorded", invoice=invoice.number, outcome=outcome, error=type(problem).__name__)
