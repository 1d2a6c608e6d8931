"""Cancels orders, and withdraws their invoices."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from orders import lifecycle
from orders.errors import OrderNotFound, Outdated, StillRunning
from orders.identity import Caller
from orders.items import Item, select_fields
from orders.keys import HEADER, change_entry, epoch_seconds, item_key
from orders.models import DocumentHead, OrderHeader, OrderStatus
from orders.table import PAUSES, Action, ConditionFailed, Table, WriteConflict


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked for, and by whom. See `cancel`."""

    order_id: str
    caller: Caller
    stated: Mapping[str, Any]
    versions: Collection[int] | None


def cancel(
    table: Table,
    order_id: str,
    caller: Caller,
    stated: Mapping[str, Any] | None = None,
    versions: Collection[int] | None = None,
) -> bool:
    """Cancels an order unless a rule forbids it, and withdraws its invoice. Waits for a mail that is being sent.

    The rule itself is the condition of the write, so nothing can happen between checking and cancelling. An order that
    was never invoiced takes one call. An invoiced one takes two more: a credit note or a void invoice is recorded in
    the same transaction.

    Args:
        table: The table.
        order_id: Which order.
        caller: The customer or the admin who cancels it.
        stated: What the order records of it, such as the reason: fields of `OrderHeader` without `cancel_`.
        versions: The versions of the order that the caller knows; None means any.

    Returns:
        True if this call cancelled it, False if it was cancelled already and nothing changed, whatever the versions.

    Raises:
        OrderNotFound: It does not exist, or it belongs to another customer.
        StateConflict: A rule of `lifecycle` forbids it.
        Outdated: It has another version.
        StillRunning: An invoice is still being mailed, or other requests keep changing the order.
    """
    request = _Request(order_id, caller, stated or {}, versions)
    order: OrderHeader | None = None
    pauses = iter(PAUSES)
    while True:
        try:
            if order is None or not order.invoice_count:
                table.write_once(_header_action(table, request))
            else:
                _cancel_invoiced(table, request, order)
            return True
        except WriteConflict:
            pass
        except ConditionFailed as failed:
            # Otherwise another order took the number.
            if 0 in failed.items:
                known, order = order, _read_refusal(failed.items[0], request)
                if order is None:
                    return False
                if _is_mailing(table, failed.items[0] or {}):
                    # Read again after it: a mail that fails has not left.
                    order = None
                elif known is None and order.invoice_count:
                    continue
        if (pause := next(pauses, None)) is None:
            raise StillRunning(
                "An invoice for this order is being mailed. Nothing was cancelled; try again.", retry_after=10
            )
        table.sleep(pause)


def _read_refusal(item: Item | None, request: _Request) -> OrderHeader | None:
    """Returns the order that DynamoDB refused to cancel, if it may be tried again; None if it is cancelled already.

    Raises:
        OrderNotFound, StateConflict, Outdated: See `cancel`.
    """
    if item is None or not request.caller.may_read(item["customer_id"]):
        raise OrderNotFound
    order = OrderHeader.model_validate(select_fields(item, OrderHeader))
    if order.order_status is OrderStatus.CANCELLED:
        return None
    lifecycle.refuse_cancel(order, request.caller.role)
    if request.versions is not None and order.version not in request.versions:
        raise Outdated(order.version)
    return order


def _is_mailing(table: Table, header: Item) -> bool:
    return "mailing" in header and int(header["mailing_until"]) >= epoch_seconds(table.now())


def _cancel_invoiced(table: Table, request: _Request, order: OrderHeader) -> None:
    """Cancels an order that mailings were made for, and withdraws its invoice in the same transaction.

    Raises:
        ConditionFailed: The order changed since it was read (position 0), or another order took the number.
    """
    # Imported here: most orders that are cancelled have no invoice.
    from orders.withdrawal import withdraw  # noqa: PLC0415

    issue = withdraw(table, order, request.caller)
    # An invoice that becomes void did not bring the credit note for the one before it.
    earlier = order.invoice.credit_note if order.invoice else None
    credit_note = issue.documents[-1].head if issue and issue.documents else earlier
    header = _header_action(table, request, order, credit_note)
    table.transact(header, *(issue.actions(table) if issue else ()))


def _header_action(
    table: Table, request: _Request, order: OrderHeader | None = None, credit_note: DocumentHead | None = None
) -> Action:
    """Returns the action that cancels an order if no mailing is in progress or was made since it was read.

    Without `order`, the order must not have any mailings.
    """
    now, caller = table.now(), request.caller
    shipping = lifecycle.CANCELLABLE_SHIPPING[caller.role]
    orders, shipments = _aliases("o", lifecycle.CANCELLABLE_ORDER), _aliases("s", shipping)
    # The outcome of a mailing decides between a credit note and a void invoice.
    left = f" AND attribute_{'exists' if order.may_have_left else 'not_exists'}(may_have_left)" if order else ""
    # 0 is the version of no order.
    versions = {} if request.versions is None else _aliases("v", request.versions or {0})
    recorded: Item = {f"cancel_{name}": value for name, value in ({"reason": None} | dict(request.stated)).items()}
    recorded |= {"updated": now, **change_entry(request.order_id, now)}
    if credit_note:
        recorded["credit_note"] = credit_note.model_dump(exclude_none=True)
    return table.update_action(
        item_key(request.order_id, HEADER),
        "SET order_status = :cancelled, version = version + :one, status_before_cancel = order_status,"
        " refund_due = paid - if_not_exists(refunded, :none),"
        " cancelled_at = :at, cancelled_by = :by, cancelled_as = :as"
        + "".join(f", {name} = :{name}" for name in recorded),
        condition=f"order_status IN ({', '.join(orders)}) AND shipping_status IN ({', '.join(shipments)})"
        " AND invoice_count = :mailings AND (attribute_not_exists(mailing) OR mailing_until < :now)"
        + left
        + (f" AND version IN ({', '.join(versions)})" if versions else "")
        + ("" if caller.is_admin else " AND customer_id = :by"),
        values={
            ":cancelled": OrderStatus.CANCELLED,
            ":one": 1,
            ":none": 0,
            ":at": now,
            ":by": caller.id,
            ":as": caller.role,
            ":now": epoch_seconds(now),
            ":mailings": order.invoice_count if order else 0,
            **{f":{name}": value for name, value in recorded.items()},
            **versions,
            **orders,
            **shipments,
        },
    )


def _aliases(prefix: str, values: Collection[Any]) -> dict[str, Any]:
    """Names values for an expression: `{":o0": "draft", …}`."""
    return {f":{prefix}{index}": value for index, value in enumerate(sorted(values))}
