"""Views: which parts of orders and documents each role may see. Fields not named here leave by no route."""

from decimal import Decimal
from typing import Any

from orders.comment_views import comment_for_staff
from orders.history import Change, TimelineEvent, TimelineStep
from orders.identity import Role
from orders.invoices import DeliveryEvent, Document, FiledDocument, Mailing, Outcome
from orders.lifecycle import mailing_state, refusals
from orders.models import Order, OrderHeader, OrderLine, Redaction, StoredComment, Withdrawal
from orders.money import amount_due, amount_text, quantity_text
from orders.responses import (
    AdminOrderRecord,
    AvailableAction,
    DeliveryReport,
    DocumentRecord,
    ListedOrder,
    MailingRecord,
    OrderLineRecord,
    OrderRecord,
    OwnDocument,
    TimelineEntry,
    WithdrawalRecord,
)

_AS_STORED = (
    "order_id",
    "customer_id",
    "order_status",
    "payment_status",
    "shipping_status",
    "currency_code",
    "prices_include_tax",
    "created",
    "version",
    "cancelled_at",
    "cancel_reason",
    "tax_exemption_reason",
    "delivered_on",
    "delivery_country",
    "payment_due",
    "purchase_order_number",
    "buyer_reference",
    "language",
    "customer_summary",
)
_RATES = ("shipping_tax_rate", "handling_tax_rate", "surcharge_tax_rate")
_AMOUNTS = (
    "sub_total",
    "shipping_cost",
    "shipping_tax",
    "handling_cost",
    "handling_tax",
    "total_surcharge",
    "surcharge_tax",
    "total_discount",
    "total_tax",
    "rounding",
    "grand_total",
    "paid",
    "refunded",
    "due",
)


def order_for_customer(order: Order) -> OrderRecord:
    """Returns an order as its customer sees it: without the staff's ids."""
    return OrderRecord(**_common(order, Role.CUSTOMER))


def order_for_staff(order: Order) -> AdminOrderRecord:
    """Returns an order as the staff sees it."""
    return AdminOrderRecord(
        **_common(order, Role.ADMIN),
        created_by=order.created_by,
        cancelled_by=order.cancelled_by,
        cancelled_as=order.cancelled_as,
        cancel_reason_code=order.cancel_reason_code,
        cancel_staff_note=order.cancel_staff_note,
        cancel_notify_customer=order.cancel_notify_customer is not False if order.cancelled_at else None,
        cancel_restock=order.cancel_restock,
        cancel_refund=order.cancel_refund,
        status_before_cancel=order.status_before_cancel,
        refund_due=None if order.refund_due is None else amount_text(order.refund_due, order.currency_code),
    )


def listed_order(order: OrderHeader) -> ListedOrder:
    """Returns an order as a list shows it."""
    return ListedOrder(
        **{name: getattr(order, name) for name in ListedOrder.model_fields.keys() & set(_AS_STORED)},
        **{name: amount_text(getattr(order, name), order.currency_code) for name in ("grand_total", "paid", "due")},
        updated=order.last_change,
    )


def document_for_customer(filed: FiledDocument) -> OwnDocument:
    """Returns an invoice or a credit note as its customer sees it: without mailings."""
    return OwnDocument(**_document(filed.document))


def document_for_staff(filed: FiledDocument) -> DocumentRecord:
    """Returns an invoice or a credit note as the staff sees it."""
    document = filed.document
    return DocumentRecord(
        **_document(document),
        requested_by=document.requested_by,
        corrected_by=filed.corrected_by,
        voided=document.voided,
        archived=filed.archived,
        missing=document.missing,
        mailings=tuple(map(_mailing, filed.mailings)),
    )


def _document(document: Document) -> dict[str, Any]:
    currency, total = document.order["currency_code"], Decimal(document.order["grand_total"])
    paid = Decimal(document.order["paid"])
    return {
        **dict(document.head),
        "currency_code": currency,
        "grand_total": amount_text(total, currency),
        "paid": amount_text(paid, currency),
        "due": amount_text(Decimal(0) if document.corrects else amount_due(total, paid), currency),
        "payment_status": document.payment_status,
        "e_invoice": document.e_invoice,
        "xml": document.xml,
    }


def _mailing(mailing: Mailing) -> MailingRecord:
    sent = mailing.ended if mailing.outcome is Outcome.SENT else mailing.events.get(DeliveryEvent.SEND)
    same = ("started", "recipient", "requested_by", "payment_status", "payment_method_options", "notes", "cc")
    return MailingRecord(
        **{name: getattr(mailing, name) for name in (*same, "subject", "language", "reason")},
        state=mailing_state(mailing),
        sent_at=sent,
        paid=amount_text(mailing.paid, mailing.currency_code),
        due=amount_text(mailing.due, mailing.currency_code),
        events=tuple(
            DeliveryReport(event=event, at=at) for event, at in sorted(mailing.events.items(), key=lambda each: each[1])
        ),
    )


def timeline_entry(step: TimelineStep) -> TimelineEntry:
    """Returns one step of an order's history as the staff sees it."""
    return TimelineEntry(at=step.at, event=step.event, **_timeline_details(step))


def _timeline_details(step: TimelineStep) -> dict[str, Any]:
    match step.event, step.subject:
        case TimelineEvent.CREATED, OrderHeader() as order:
            return {"by": order.created_by, "role": Role.ADMIN if order.created_by else None}
        case TimelineEvent.CANCELLED, OrderHeader() as order:
            stated = ("reason", "reason_code", "staff_note", "restock", "refund")
            own = {name: getattr(order, f"cancel_{name}") for name in stated}
            return {"by": order.cancelled_by, "role": order.cancelled_as, **own}
        case _, Withdrawal() as withdrawal:
            return {"by": withdrawal.declared_by, "role": withdrawal.declared_as, "name": withdrawal.name}
        case _, StoredComment() as comment:
            return {
                "by": comment.author,
                "role": Role.ADMIN if comment.is_admin else Role.CUSTOMER,
                "name": comment.admin_name,
                "comment": comment_for_staff(comment),
            }
        case _, Change() as change:
            return {"by": change.by, "role": Role.ADMIN, "name": change.name, "changes": change.fields}
        case _, Redaction() as redaction:
            who = {"by": redaction.by, "role": Role.ADMIN, "name": redaction.name}
            return {**who, "comment_id": redaction.comment_id}
        case TimelineEvent.INVOICE_VOIDED, Document() as document:
            return {"invoice": document.number}
        case TimelineEvent.INVOICE_ISSUED, Document() as document:
            return {"by": document.requested_by, "role": Role.ADMIN, "invoice": document.number}
        case _, Document() as document:
            return {"by": document.requested_by, "invoice": document.number, "corrects": document.corrects}
        case TimelineEvent.INVOICE_BEGUN, Mailing() as mailing:
            return {"by": mailing.requested_by, "role": Role.ADMIN, "invoice": mailing.number}
        case TimelineEvent.INVOICE_REPORTED, Mailing() as mailing:
            return {"invoice": mailing.number, "report": step.report}
        case _, Mailing() as mailing:
            return {"invoice": mailing.number, "reason": mailing.reason}
    raise TypeError(f"no view of {step.event} of {type(step.subject).__name__}")


def _common(order: Order, role: Role) -> dict[str, Any]:
    return {
        **{name: getattr(order, name) for name in _AS_STORED},
        "updated": order.last_change,
        **{name: amount_text(getattr(order, name) or Decimal(0), order.currency_code) for name in _AMOUNTS},
        **{name: _rate(getattr(order, name)) for name in _RATES},
        "items_total": quantity_text(order.items_total),
        "order_line_details": tuple(_line(line, order.currency_code) for line in order.order_line_details),
        "available_actions": {
            action: AvailableAction(allowed=reason is None, reason=reason)
            for action, reason in refusals(order, role).items()
        },
        "withdrawal": order.withdrawal and WithdrawalRecord(**order.withdrawal.model_dump(exclude={"declared_by"})),
    }


def _line(line: OrderLine, currency: str) -> OrderLineRecord:
    return OrderLineRecord(
        item_id=line.item_id,
        product_name=line.product_name,
        product_id=line.product_id,
        sku=line.sku,
        quantity=quantity_text(line.quantity),
        price=amount_text(line.price, currency),
        total_amount=amount_text(line.total_amount, currency),
        tax=amount_text(line.tax, currency),
        discount=amount_text(line.discount, currency),
        tax_rate=_rate(line.tax_rate),
        tax_category=line.category,
        unit_code=line.unit_code,
    )


def _rate(rate: Decimal | None) -> str | None:
    return None if rate is None else quantity_text(rate)
