"""Sends an invoice: read the order, decide which document goes out, record, archive, mail, record the outcome.

A request mails at most once, no mail is lost without a trace, and the record says what happened. `sending` is recorded
before the mail, and `sent`, `failed` or `unknown` after it. A process that dies in between leaves `sending`, which
counts as unknown once its lease has expired, until SES reports the outcome.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from orders.archive import Archive
from orders.completeness import missing
from orders.documents import Issue, Series, adopt_invoice, current_invoice, issue_invoice, reissue_invoice
from orders.e_invoice.fitness import refuse_e_invoice, refuse_xml, xml_format
from orders.e_invoice.semantic import PROFILE
from orders.errors import DomainError, EInvoiceIncomplete, Invalid, InvoiceOutdated, MailUnknown, Outdated, StillRunning
from orders.identity import Caller
from orders.invoices import Document, Mailing, MailingState, Outcome
from orders.keys import RequestKey
from orders.ledger import MAIL_LEASE, Ledger, OrderChanged, Plan
from orders.lifecycle import mailing_state, refuse_invoice
from orders.mailing.mail import Mailer
from orders.mailing.shop import EInvoices, Shop
from orders.mailing.words import choose_language, find_language
from orders.models import Order, PaymentStatus, buyer_details, buyer_digest
from orders.payments import OPEN, refuse_status
from orders.printing.content import Content, invoice_content
from orders.printing.filing import file_document
from orders.printing.words import SETTLED
from orders.requests import InvoiceRequest
from orders.telemetry import count, logger
from send_invoice.mail import render_mail

ATTEMPTS = 4
"""How often the order is read while other requests keep changing it."""

DRAFT = "DRAFT"
"""What a preview shows instead of the number, which is only taken when the invoice is issued."""


class Preview(NamedTuple):
    """What would be mailed.

    Attributes:
        content: What it says.
        e_invoice: The profile of the e-invoice in its PDF; None without one.
        missing: What the document lacks to be legally complete or an e-invoice.
    """

    content: Content
    e_invoice: str | None
    missing: tuple[str, ...]


class InvoiceSender:
    """Sends invoices.

    Args:
        ledger: The orders, their documents and mailings.
        archive: Where the PDFs are kept.
        mailer: Hands mail to SES.
        shop: The seller.
    """

    def __init__(self, ledger: Ledger, archive: Archive, mailer: Mailer, shop: Shop) -> None:
        self._ledger = ledger
        self._archive = archive
        self._mailer = mailer
        self._shop = shop

    def send(
        self,
        order_id: str,
        caller: Caller,
        request: InvoiceRequest,
        given_key: str | None,
        versions: Collection[int] | None,
    ) -> Mailing:
        """Mails an order's invoice. The first time, this issues it; later, the same document is mailed again.

        A repeated request mails nothing: it gets the outcome of the first one. Three calls of DynamoDB, one of S3 and
        one of SES; a repeated request costs two reads.

        Args:
            order_id: Which order.
            caller: The admin.
            request: The request.
            given_key: The Idempotency-Key.
            versions: The versions of the order that the caller knows; None means any. A repeated request ignores them.

        Returns:
            The mailing that SES accepted.

        Raises:
            OrderNotFound: The order does not exist.
            StateConflict: A rule of `lifecycle` forbids it.
            Outdated: It has another version.
            InvoiceOutdated: The buyer changed since the invoice was issued, and the request does not say what to do.
            EInvoiceIncomplete: The shop requires e-invoices, and the order lacks data for one.
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
            found = self._ledger.read_for_invoice(order_id, key, again=attempt > 0)
            order, earlier = found.order, found.earlier
            if not key.given:
                # A double click counts as one request only while the order still allows it.
                refuse_invoice(order, resend=resend)
            if earlier and self._has_left(mailing := self._ledger.mailing(order_id, earlier)):
                return mailing
            refuse_invoice(order, resend=resend)
            if versions is not None and order.version not in versions:
                if attempt:
                    raise Outdated(order.version)
                # The first read may be slightly old.
                continue
            draft = draft_mailing(order, caller, request, self._shop, self._ledger.now())
            plan = self._plan(order, draft, request)
            try:
                recorded = self._ledger.begin(found, plan, key, instead_of=earlier)
            except OrderChanged:
                continue
            return self._deliver(order, recorded)
        raise StillRunning("The order keeps changing. No mail was sent; try again.", retry_after=1)

    def preview(self, order_id: str, caller: Caller, request: InvoiceRequest, *, document: bool) -> Preview:
        """Computes what the same request would mail now. Nothing is sent or stored.

        Args:
            order_id: Which order.
            caller: The admin.
            request: The request.
            document: Return what the document says, not the mail.

        Raises:
            OrderNotFound: The order does not exist.
            StateConflict: A rule of `lifecycle` forbids it.
            InvoiceOutdated: The buyer changed since the invoice was issued, and the request does not say what to do.
            EInvoiceIncomplete: The shop requires e-invoices, and the order lacks data for one.
            Invalid: The payment status contradicts the order's figures, or neither the order nor the shop names an
                address that a copy should go to.
        """
        found = self._ledger.read_for_invoice(order_id, None, again=False)
        refuse_invoice(found.order, resend=bool(request.resend))
        draft = draft_mailing(found.order, caller, request, self._shop, self._ledger.now())
        plan = self._plan(found.order, draft, request)(found.series)
        mailing = plan.mailing
        invoice = plan.issue.documents[-1] if plan.issue else self._ledger.document(order_id, mailing.number)
        if plan.issue and plan.issue.after != plan.issue.before:
            # Another order may take the number before this one is issued.
            mailing = mailing.model_copy(update={"document": DRAFT})
        content = (
            invoice_content(invoice, invoice.order_as_issued(found.order), self._shop)
            if document and not plan.issue
            else invoice_content(mailing, self._order_as_mailed(found.order, mailing), self._shop)
        )
        return Preview(content, invoice.e_invoice, invoice.missing)

    def _plan(self, order: Order, draft: Mailing, request: InvoiceRequest) -> Callable[[Series], Plan]:
        """Decides which document the mail brings, and what has to be issued for it.

        Raises:
            InvoiceOutdated, EInvoiceIncomplete: See `send`.
        """
        by, now, current = draft.requested_by, draft.started, order.invoice
        if current is None and order.invoice_count:
            adopted = adopt_invoice(order, self._ledger.mailings(order.order_id))
            if adopted:
                invoice, own = adopted
                archived = frozenset({invoice.number}) if own.archived else frozenset()
                mailing = draft.brings(invoice.head)
                return lambda series: Plan(
                    mailing,
                    Issue(series, series, (invoice,)),
                    current_invoice(invoice, order),
                    frozenset({own.n}),
                    archived,
                )
        if current is None:
            content = issued_content(order, draft, self._shop)

            def first(series: Series) -> Plan:
                issue = issue_invoice(series, order, by, now, **content)
                invoice = issue.documents[-1]
                return Plan(draft.brings(invoice.head), issue, current_invoice(invoice, order))

            return first
        if current.buyer == buyer_digest(order.customer_summary) or request.as_issued:
            return lambda _: Plan(draft.brings(current, current.credit_note))
        outdated = self._ledger.document(order.order_id, current.number)
        if not request.reissue:
            raise _outdated_error(order, outdated)
        content = issued_content(order, draft, self._shop)

        def again(series: Series) -> Plan:
            issue = reissue_invoice(series, order, outdated, by, now, **content)
            *credit_notes, invoice = issue.documents
            # An invoice that becomes void did not bring the credit note for the one before it.
            credited = credit_notes[0].head if credit_notes else current.credit_note
            return Plan(draft.brings(invoice.head, credited), issue, current_invoice(invoice, order, credited))

        return again

    def _deliver(self, order: Order, plan: Plan) -> Mailing:
        """Archives what is new, mails it and records the outcome."""
        mailing = plan.mailing
        issued = {document.number: document for document in (plan.issue.documents if plan.issue else ())}
        known = order.archived | plan.archived
        archived: list[str] = []
        try:
            pdfs = {}
            for number in mailing.numbers:
                if number in known:
                    pdfs[number] = self._archive.get(order.order_id, number)
                else:
                    document = issued.get(number) or self._ledger.document(order.order_id, number)
                    pdfs[number] = file_document(self._archive, document, order, self._shop)
                    archived.append(number)
            content = invoice_content(mailing, self._order_as_mailed(order, mailing), self._shop)
            message = render_mail(content, mailing, self._shop, pdfs)
        except Exception as error:
            self._record(
                mailing, Outcome.FAILED, archived, reason=getattr(error, "reason", None) or type(error).__name__
            )
            raise
        tags = {"order_id": mailing.order_id, "invoice": mailing.number, "mailing": str(mailing.n)}
        try:
            message_id = self._mailer.send(message, tags)
        except MailUnknown as error:
            self._record(mailing, Outcome.UNKNOWN, archived, reason=error.reason)
            raise
        except DomainError as error:
            self._record(mailing, Outcome.FAILED, archived, reason=error.reason)
            raise
        self._record(mailing, Outcome.SENT, archived, message_id=message_id)
        return mailing

    def _order_as_mailed(self, order: Order, mailing: Mailing) -> Order:
        """Returns the order that the mail shows: with today's figures, and the buyer that its invoice names."""
        current = order.invoice
        if current and current.number == mailing.number and current.buyer != buyer_digest(order.customer_summary):
            issued = self._ledger.document(order.order_id, current.number).order_as_issued(order)
            return order.model_copy(update={"customer_summary": issued.customer_summary})
        return order

    def _has_left(self, mailing: Mailing) -> bool:
        """Whether the mail of an earlier request with the same key left; False if it certainly did not.

        Raises:
            StillRunning: It is being sent.
            MailUnknown: It may have left.
        """
        match mailing_state(mailing):
            case MailingState.FAILED:
                return False
            case MailingState.SENDING if (
                rest := (mailing.started + MAIL_LEASE - self._ledger.now()).total_seconds()
            ) > 0:
                raise StillRunning("The same request is being processed.", retry_after=int(rest) + 1)
            case MailingState.SENDING | MailingState.UNKNOWN:
                raise MailUnknown(
                    "This request was made before, and it is not known whether its mail left. It will not be retried "
                    "automatically."
                )
        return True

    def _record(
        self,
        mailing: Mailing,
        outcome: Outcome,
        archived: Sequence[str],
        *,
        message_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Records the outcome.

        If the record cannot be written it stays `sending`, which claims nothing, and the caller still learns the
        outcome of the mail.
        """
        count(f"Invoices{outcome.capitalize()}")
        logger.info("invoice", order_id=mailing.order_id, invoice=mailing.number, outcome=outcome, reason=reason)
        known = {"outcome": outcome, "ended": self._ledger.now(), "message_id": message_id, "reason": reason}
        try:
            self._ledger.end(mailing.model_copy(update=known), archived)
        except DomainError as error:
            count("InvoicesNotRecorded")
            logger.error("outcome not recorded", invoice=mailing.number, outcome=outcome, error=type(error).__name__)


def draft_mailing(order: Order, caller: Caller, request: InvoiceRequest, shop: Shop, now: datetime) -> Mailing:
    """Makes the order's next mailing, as a request asks for it. It does not say yet which document it brings.

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
    return Mailing.next_for(
        order,
        now,
        caller.id,
        order.customer_summary.email or "",
        payment_status=status,
        payment_method_options=options or (),
        notes=request.notes,
        cc=_copies(order, request, shop),
        subject=request.subject,
        # None if neither has a catalogue: then the document's language counts.
        language=find_language(order.language, request.language),
    )


def issued_content(order: Order, draft: Mailing, shop: Shop) -> dict[str, Any]:
    """Returns what a new invoice says besides the order: attributes of `Document`.

    Raises:
        EInvoiceIncomplete: The shop requires e-invoices, and the order lacks data for one.
    """
    seller, due = shop.seller(), shop.payment_due(order, draft.started)
    content = draft.printed | {"seller": seller, "payment_due": due, "missing": missing(order, seller)}
    content["language"] = choose_language(draft.language, shop.language)
    if shop.e_invoices is EInvoices.OFF:
        return content
    unfit = refuse_e_invoice(order, seller, due, settled=draft.payment_status in SETTLED)
    if unfit and shop.e_invoices is EInvoices.REQUIRED:
        raise EInvoiceIncomplete(unfit)
    xml = xml_format(order, seller)
    unfit_xml = refuse_xml(order, seller, xml) if xml else ()
    formats = {} if unfit else {"e_invoice": PROFILE, "xml": None if unfit_xml else xml}
    return content | formats | {"missing": tuple(dict.fromkeys((*content["missing"], *unfit, *unfit_xml)))}


def _outdated_error(order: Order, invoice: Document) -> InvoiceOutdated:
    before = buyer_details(invoice.order_as_issued(order).customer_summary)
    now = buyer_details(order.customer_summary)
    changed = [f"customer_summary.{name}" for name in {**before, **now} if before.get(name) != now.get(name)]
    return InvoiceOutdated(
        f'The buyer changed since invoice {invoice.number} was issued. Send "reissue": true to replace it by a credit '
        'note and a new invoice, or "as_issued": true to send it unchanged.',
        invoice=invoice.number,
        changed=changed,
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
