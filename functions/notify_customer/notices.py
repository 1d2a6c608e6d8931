"""The mails that tell a customer what the shop did. Pure functions of their arguments."""

from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from orders.identity import Role
from orders.mailing.formatting import Formats
from orders.mailing.letters import formats_for, imprint, letter, one_line, templates
from orders.mailing.shop import Shop
from orders.models import Order, OrderHeader, PaymentStatus
from orders.stream import CommentAdded, Happening, OrderCancelled

_templates = templates(Path(__file__).parent / "templates")


@dataclass(frozen=True, slots=True)
class Notice:
    """What a customer is told of.

    Attributes:
        kind: `comment` or `cancellation`: the name of its templates, and of the shop's switch.
        id: Tells it from all others about the same order, and stays the same however often it is read.
        order_id: Which order it is about.
        happening: What happened.
    """

    kind: str
    id: str
    order_id: str
    happening: CommentAdded | OrderCancelled


def notice_of(happening: Happening | None) -> Notice | None:
    """What the customer is to be told of a happening: what the staff wrote to them, and that their order is cancelled.

    Never what is internal, nor what the customer wrote.
    """
    match happening:
        case CommentAdded(order_id, comment) if comment.is_visible_to_customer and comment.is_admin:
            return Notice("comment", f"COMMENT#{comment.id:016}", order_id, happening)
        case OrderCancelled(order):
            return Notice("cancellation", "CANCELLED", order.order_id, happening)
    return None


def render(notice: Notice, order: Order, shop: Shop) -> EmailMessage:
    """Writes the mail.

    Args:
        notice: What it tells.
        order: The order as it is now, with an e-mail address.
        shop: Who sends it.
    """
    name = one_line(order.customer_summary.first_name)
    said: dict[str, Any] = {
        "order_id": order.order_id,
        "greeting": f"Hello {name}," if name else "Hello,",
        "shop": imprint(shop),
    }
    match notice.happening:
        case CommentAdded(_, comment):
            subject, date = f"A message about your order {order.order_id} at {said['shop']['name']}", comment.created
            said |= {"content": comment.content.strip("\r\n")}
        case OrderCancelled(cancelled):
            subject = f"Your order {order.order_id} at {said['shop']['name']} is cancelled"
            date = cancelled.cancelled_at or cancelled.created
            formats = formats_for(order, shop)
            said |= {
                "by_customer": cancelled.cancelled_as == Role.CUSTOMER,
                "date": formats.date(date),
                "reason": (cancelled.cancel_reason or "").strip("\r\n"),
                **_money(cancelled, formats),
            }
    return letter(
        shop,
        order.customer_summary.email or "",
        subject,
        date,
        text=_templates.get_template(f"{notice.kind}.txt").render(said),
        html=_templates.get_template(f"{notice.kind}.html").render(said),
    )


def _money(order: OrderHeader, formats: Formats) -> dict[str, Any]:
    """What is said of the money: the amount if it is still with the shop, or that there never was any.

    Neither where figures and status differ: whoever has paid must not read that they have not.
    """
    kept = order.paid if order.payment_status is not PaymentStatus.REFUNDED else None
    return {
        "paid": formats.money(kept) if kept else None,
        "never_paid": not order.paid and order.payment_status is PaymentStatus.UNPAID,
    }
