"""Notices to customers: mails about a comment, a cancellation or a withdrawal. Pure functions of their arguments."""

from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from orders.identity import Role
from orders.mailing.addresses import one_line
from orders.mailing.formatting import Formats
from orders.mailing.letters import formats_for, imprint, letter, order_page, render_bodies, templates
from orders.mailing.shop import Shop
from orders.mailing.style import logo_for_mail
from orders.mailing.words import find_language
from orders.models import Order, OrderHeader, PaymentStatus, StoredComment
from orders.stream import CommentAddition, DomainEvent, OrderCancellation, WithdrawalDeclaration

TEMPLATES = templates(Path(__file__).parent / "templates")
"""The templates of all notices, also of those to the staff."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to a customer or to the staff.

    Attributes:
        kind: The name of its templates, such as `comment`.
        id: Unique within the order, and the same for every delivery of the same event.
        order_id: The order it is about.
        event: The domain event.
    """

    kind: str
    id: str
    order_id: str
    event: CommentAddition | OrderCancellation | WithdrawalDeclaration


def notice_of(event: DomainEvent | None) -> Notice | None:
    """Returns the notice to the customer: for a staff comment that they may read, a cancellation or a withdrawal.

    Internal comments and the customer's own comments have none.
    """
    match event:
        case CommentAddition(order_id, comment) if comment.is_visible_to_customer and comment.is_admin:
            return Notice("comment", comment_notice_id(comment), order_id, event)
        case OrderCancellation(order):
            return Notice("cancellation", "CANCELLED", order.order_id, event)
        case WithdrawalDeclaration(order_id):
            return Notice("withdrawal", "WITHDRAWN", order_id, event)
    return None


def recipient_of(notice: Notice, order: Order) -> str | None:
    """Returns the address that a notice goes to: the order's, or the one of the withdrawal that it acknowledges."""
    if isinstance(notice.event, WithdrawalDeclaration):
        return notice.event.withdrawal.email
    return order.customer_summary.email


def comment_notice_id(comment: StoredComment) -> str:
    """Returns the id of a notice about a comment."""
    return f"COMMENT#{comment.id:016}"


def render(notice: Notice, order: Order, shop: Shop) -> EmailMessage:
    """Renders the mail.

    Args:
        notice: The notice.
        order: The order as it is now. The notice has a recipient.
        shop: The sender.
    """
    name = one_line(order.customer_summary.first_name)
    logo = logo_for_mail()
    formats = formats_for(order, shop, language_of(order))
    words = formats.words
    _ = words.gettext
    values: dict[str, Any] = {
        "order_id": order.order_id,
        "greeting": _("Hello %(name)s,", name=name) if name else _("Hello,"),
        "shop": imprint(shop, words.language),
        "logo": "cid:logo" if logo else "",
        "order_page": order_page(shop, order.order_id),
    }
    own = {"order": order.order_id, "shop": values["shop"]["name"]}
    match notice.event:
        case CommentAddition(comment=comment):
            subject, date = _("A message about your order %(order)s at %(shop)s", **own), comment.created
            values |= {"content": comment.content.strip("\r\n")}
        case OrderCancellation(cancelled):
            subject = _("Your order %(order)s at %(shop)s is cancelled", **own)
            date = cancelled.cancelled_at or cancelled.created
            values |= {
                "by_customer": cancelled.cancelled_as == Role.CUSTOMER,
                "date": formats.date(date),
                "credit_note": cancelled.credit_note,
                "reason": (cancelled.cancel_reason or "").strip("\r\n"),
                **_money(cancelled, formats),
            }
        case WithdrawalDeclaration(withdrawal=withdrawal):
            subject = _("We received your withdrawal from order %(order)s at %(shop)s", **own)
            date = withdrawal.declared_at
            values |= {
                "name": one_line(withdrawal.name),
                "email": withdrawal.email,
                "submitted": formats.date_and_time(date),
            }
    text, html = render_bodies(TEMPLATES, notice.kind, words, values)
    recipient = recipient_of(notice, order) or ""
    return letter(shop, recipient, subject, date, language=words.language, text=text, html=html, logo=logo)


def language_of(order: Order) -> str | None:
    """Returns the language to write to a customer in: the order's, else that of its invoice; None if neither is set."""
    return find_language(order.language, order.invoice.language if order.invoice else None)


def _money(order: OrderHeader, formats: Formats) -> dict[str, Any]:
    """Returns what the mail says about money: what was paid if the shop still has some of it, or that nothing was.

    Neither if amount and status contradict each other: a customer who paid must not read that they did not.
    """
    kept = order.paid > order.refunded and order.payment_status is not PaymentStatus.REFUNDED
    return {
        "paid": formats.money(order.paid) if kept else None,
        "refunded": formats.money(order.refunded) if order.refunded else None,
        "never_paid": not order.paid and (order.payment_status is PaymentStatus.UNPAID or not order.grand_total),
    }
