"""Notices to the staff: mails about what a customer did. Pure functions of their arguments."""

from email.message import EmailMessage
from typing import Any

from notify_customer.notices import TEMPLATES, Notice, comment_notice_id, recipient_of
from orders.identity import Role
from orders.mailing.addresses import one_line, person_name
from orders.mailing.formatting import Formats
from orders.mailing.letters import Imprint, formats_for, letter, render_bodies
from orders.mailing.shop import Shop
from orders.mailing.statuses import order_status_text, payment_text, shipping_text
from orders.models import Order, OrderHeader, PaymentStatus, WithdrawalRole
from orders.stream import CommentAddition, DomainEvent, OrderCancellation, WithdrawalDeclaration
from orders.types import email_problem


def staff_notice_of(event: DomainEvent | None) -> Notice | None:
    """Returns the notice to the staff for an event: for a customer's flagged comment, cancellation or withdrawal."""
    match event:
        case CommentAddition(order_id, comment) if comment.flagged and not comment.is_admin:
            return Notice("staff_comment", f"STAFF#{comment_notice_id(comment)}", order_id, event)
        case OrderCancellation(order) if order.cancelled_as == Role.CUSTOMER:
            return Notice("staff_cancellation", "STAFF#CANCELLED", order.order_id, event)
        case WithdrawalDeclaration(order_id):
            return Notice("staff_withdrawal", "STAFF#WITHDRAWN", order_id, event)
    return None


def render_for_staff(notice: Notice, order: Order, shop: Shop) -> EmailMessage:
    """Renders the mail. Replies to it go to the customer.

    Args:
        notice: The notice.
        order: The order as it is now.
        shop: The sender, with an address of the staff.
    """
    customer, formats = order.customer_summary, formats_for(order, shop)
    words = formats.words
    _ = words.gettext
    name = person_name(customer) or one_line(customer.company_name)
    address = recipient_of(notice, order)
    address = address if address and not email_problem(address) else None
    values: dict[str, Any] = {
        "order_id": order.order_id,
        "customer": name or _("The customer"),
        "reply_to": address,
        # Without what only customers need: the links to their page and to the support.
        "shop": Imprint(
            name=one_line(shop.name), address=[], tax_id="", support_contact="", support_link="", footer=[]
        ),
        "order_page": "",
    }
    match notice.event:
        case CommentAddition(comment=comment):
            subject = _("Order %(order)s: a customer flagged a comment", order=order.order_id)
            date = comment.created
            values |= {"content": comment.content.strip("\r\n")}
        case OrderCancellation(cancelled):
            subject = _("Order %(order)s: cancelled by the customer", order=order.order_id)
            date = cancelled.cancelled_at or cancelled.created
            values |= {
                "reason": (cancelled.cancel_reason or "").strip("\r\n"),
                "reason_code": cancelled.cancel_reason_code,
                "credit_note": cancelled.credit_note,
                **_money(cancelled, formats),
            }
        case WithdrawalDeclaration(withdrawal=withdrawal):
            subject = _("Order %(order)s: withdrawal from the contract", order=order.order_id)
            date = withdrawal.declared_at
            values |= {
                "guest": withdrawal.declared_as is WithdrawalRole.GUEST,
                "name": one_line(withdrawal.name),
                "name_on_order": name,
                "email": withdrawal.email,
                "submitted": formats.date_and_time(date),
                "order_status": order_status_text(order.order_status, words),
                "shipping_status": shipping_text(order.shipping_status, words),
                "payment_status": payment_text(order.payment_status, words),
                **_money(order, formats),
            }
    values["date"] = formats.date(date)
    text, html = render_bodies(TEMPLATES, notice.kind, words, values)
    staff = shop.staff_email or ""
    return letter(shop, staff, subject, date, language=words.language, text=text, html=html, reply_to=address)


def _money(order: OrderHeader, formats: Formats) -> dict[str, Any]:
    """Returns what was paid and what has to go back, both None if nothing was, and whether a payment is pending."""
    return {
        "paid": formats.money(order.paid) if order.paid else None,
        "refund_due": formats.money(order.paid - order.refunded) if order.paid else None,
        "pending": order.payment_status is PaymentStatus.PENDING,
    }
