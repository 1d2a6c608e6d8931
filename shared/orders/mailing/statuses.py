"""The statuses of an order as mails and documents print them."""

from orders.mailing.words import Words
from orders.models import OrderStatus, PaymentStatus, ShippingStatus


def order_status_text(status: OrderStatus, words: Words) -> str:
    """Returns an order status as it is printed."""
    return {
        OrderStatus.DRAFT: words.pgettext("order status", "Draft"),
        OrderStatus.IN_PROGRESS: words.pgettext("order status", "In progress"),
        OrderStatus.PAUSED: words.pgettext("order status", "Paused"),
        OrderStatus.REOPENED: words.pgettext("order status", "Reopened"),
        OrderStatus.COMPLETED: words.pgettext("order status", "Completed"),
        OrderStatus.CANCELLED: words.pgettext("order status", "Cancelled"),
    }[status]


def shipping_text(status: ShippingStatus, words: Words) -> str:
    """Returns a shipping status as it is printed."""
    return {
        ShippingStatus.AWAITING: words.pgettext("shipping status", "Awaiting shipment"),
        ShippingStatus.PARTIAL: words.pgettext("shipping status", "Partly shipped"),
        ShippingStatus.SHIPPED: words.pgettext("shipping status", "Shipped"),
        ShippingStatus.DELIVERED: words.pgettext("shipping status", "Delivered"),
    }[status]


def payment_text(status: PaymentStatus, words: Words) -> str:
    """Returns a payment status as it is printed."""
    return {
        PaymentStatus.UNPAID: words.pgettext("payment status", "Unpaid"),
        PaymentStatus.PENDING: words.pgettext("payment status", "Payment pending"),
        PaymentStatus.PARTIAL: words.pgettext("payment status", "Partly paid"),
        PaymentStatus.PAID: words.pgettext("payment status", "Paid"),
        PaymentStatus.PARTIALLY_REFUNDED: words.pgettext("payment status", "Partly refunded"),
        PaymentStatus.REFUNDED: words.pgettext("payment status", "Refunded"),
    }[status]
