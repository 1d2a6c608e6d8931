"""Records withdrawals: who declares what, which order a guest means, and how often a guest may try."""

from ipaddress import ip_address, ip_network
from typing import NamedTuple

from orders.errors import Invalid, TooManyRequests
from orders.identity import Caller
from orders.keys import DETAIL, HEADER, WITHDRAWAL, change_entry, epoch_seconds, item_key, limit_key
from orders.mailing.addresses import one_line, person_name
from orders.models import Order, Withdrawal, WithdrawalRole
from orders.table import ConditionFailed, Table
from orders.types import email_problem
from withdraw.bodies import GuestWithdrawalRequest, WithdrawalRequest

WINDOW = 3600
"""Seconds for which a guest's attempts are counted together."""

MOST_ATTEMPTS = {"order": 20, "email": 20, "source": 60}
"""How often guests may confirm a withdrawal within a window: for one order, one e-mail address, and from one source."""

NEW = "attribute_not_exists(pk)"
NEVER = "attribute_exists(pk) AND attribute_not_exists(pk)"


class Recorded(NamedTuple):
    """A withdrawal in the table, and whether this call recorded it."""

    withdrawal: Withdrawal
    new: bool


def customers_withdrawal(table: Table, order: Order, caller: Caller, request: WithdrawalRequest) -> Withdrawal:
    """Returns the withdrawal that a customer's statement declares now.

    Raises:
        Invalid: The order has no name or no e-mail address and the request neither, or the request has another address.
    """
    customer, email = order.customer_summary, order.customer_summary.email
    name = request.name or person_name(customer) or one_line(customer.company_name)
    if not name:
        raise Invalid([("name", "must be given, because the order has no name")])
    if email is None or email_problem(email):
        if request.email is None:
            raise Invalid([("email", "must be given, because the order has no e-mail address for the receipt")])
        email = request.email
    elif request.email and not _same_address(email, request.email):
        # Otherwise a stolen token would be enough to send the receipt where the customer does not see it.
        raise Invalid([("email", "must be left out or equal the order's e-mail address: the receipt goes there")])
    return Withdrawal(
        declared_at=table.now(), declared_as=WithdrawalRole.CUSTOMER, declared_by=caller.id, name=name, email=email
    )


def declare_as_customer(table: Table, order: Order, withdrawal: Withdrawal) -> Recorded:
    """Records a customer's withdrawal in one call, unless the order has one: then that one is returned."""
    return _record(table, order.order_id, order.customer_id, withdrawal) or Recorded(withdrawal, new=False)


def declare_as_guest(table: Table, request: GuestWithdrawalRequest, source: str) -> bool:
    """Records a guest's withdrawal if order number and e-mail address belong together.

    It makes the same three calls in every case, so that neither answer nor time tells whether they do: it counts the
    attempt, reads the order's address, and writes under a condition that fails if the address is another one.

    Args:
        table: The table.
        request: The confirmed statement.
        source: The caller's IP address.

    Returns:
        True if this call recorded it. For metrics only.

    Raises:
        TooManyRequests: The order, the e-mail address or the source was named too often.
    """
    _count_attempt(table, order=request.order_id, email=request.email.lower(), source=_network(source))
    detail = table.get(request.order_id, DETAIL, projection="customer_id, customer_summary.email") or {}
    known = detail.get("customer_summary", {}).get("email") or ""
    withdrawal = Withdrawal(
        declared_at=table.now(), declared_as=WithdrawalRole.GUEST, name=request.name, email=known or request.email
    )
    matches = _same_address(known, request.email)
    # DynamoDB refuses an empty value even where the condition keeps it from being written.
    customer_id = detail.get("customer_id") or "none"
    recorded = _record(table, request.order_id, customer_id, withdrawal, condition=NEW if matches else NEVER)
    return recorded is not None and recorded.new


def _record(
    table: Table, order_id: str, customer_id: str, withdrawal: Withdrawal, *, condition: str = NEW
) -> Recorded | None:
    """Records a withdrawal and raises the order's version, so that clients which know the order read it again.

    Returns:
        The withdrawal, or an earlier one; None if there is none and the condition did not hold.
    """
    put = table.put_action(
        item_key(order_id, WITHDRAWAL),
        {
            "customer_id": customer_id,
            "withdrawal": withdrawal.model_dump(exclude_none=True),
            **change_entry(order_id, withdrawal.declared_at),
        },
        condition,
    )
    raised = table.update_action(
        item_key(order_id, HEADER),
        "SET version = version + :one, updated = :at",
        "attribute_exists(pk)",
        {":one": 1, ":at": withdrawal.declared_at},
    )
    try:
        table.transact(put, raised)
    except ConditionFailed as failed:
        earlier = failed.items.get(0)
        return Recorded(Withdrawal.model_validate(earlier["withdrawal"]), new=False) if earlier else None
    return Recorded(withdrawal, new=True)


def _count_attempt(table: Table, **named: str) -> None:
    """Counts an attempt for everything that it names, in one call.

    Raises:
        TooManyRequests: The limit of one of them is used up.
    """
    now = epoch_seconds(table.now())
    end = now - now % WINDOW + WINDOW
    actions = [
        table.update_action(
            limit_key(kind, value, str(end)),
            "SET expires_at = :end ADD attempts :one",
            "attribute_not_exists(attempts) OR attempts < :most",
            {":end": end, ":one": 1, ":most": MOST_ATTEMPTS[kind]},
        )
        for kind, value in named.items()
    ]
    try:
        table.transact(*actions)
    except ConditionFailed:
        raise TooManyRequests(retry_after=end - now) from None


def _same_address(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _network(source: str) -> str:
    """Returns what counts as one source: an IPv4 address, or an IPv6 network of the size that a household gets."""
    return source if ip_address(source).version == 4 else str(ip_network(f"{source}/64", strict=False))
