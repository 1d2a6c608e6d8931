"""Domain events: what a record of the table's stream means. Needs no client of AWS.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orders.invoices import Document, Mailing, MailingState
from orders.items import from_attributes, select_fields
from orders.keys import COMMENT, DOCUMENT, HEADER, INTERNAL, INVOICE, WITHDRAWAL, parse_order_id, parse_sk
from orders.lifecycle import mailing_state
from orders.models import OrderHeader, OrderStatus, StoredComment, Withdrawal


@dataclass(frozen=True, slots=True)
class OrderCreation:
    """An order was created."""

    order: OrderHeader


@dataclass(frozen=True, slots=True)
class OrderCancellation:
    """An order was cancelled."""

    order: OrderHeader


@dataclass(frozen=True, slots=True)
class CommentAddition:
    """A comment was added to an order. Internal ones are not `is_visible_to_customer`."""

    order_id: str
    comment: StoredComment


@dataclass(frozen=True, slots=True)
class CommentRedaction:
    """A comment was redacted."""

    order_id: str
    comment: StoredComment


@dataclass(frozen=True, slots=True)
class WithdrawalDeclaration:
    """A customer withdrew from the contract of an order."""

    order_id: str
    customer_id: str
    withdrawal: Withdrawal


@dataclass(frozen=True, slots=True)
class DocumentIssue:
    """An invoice or a credit note was issued."""

    document: Document


@dataclass(frozen=True, slots=True)
class MailingTransition:
    """The state of a mailing changed. `before` is None if the mailing is new."""

    mailing: Mailing
    before: MailingState | None


DomainEvent = (
    OrderCreation
    | OrderCancellation
    | CommentAddition
    | CommentRedaction
    | WithdrawalDeclaration
    | DocumentIssue
    | MailingTransition
)


def parse_record(record: Mapping[str, Any]) -> DomainEvent | None:
    """Parses a record of the table's stream.

    Returns:
        The domain event; None for records that are the service's own bookkeeping, such as idempotency keys.

    Raises:
        KeyError, ValueError: It is not a record of this table.
    """
    images = record["dynamodb"]
    key, new, old = (from_attributes(images.get(name) or {}) for name in ("Keys", "NewImage", "OldImage"))
    if not new:
        return None
    match parse_sk(str(key["sk"])):
        case [kind] if kind == HEADER:
            order = OrderHeader.model_validate(select_fields(new, OrderHeader))
            if not old:
                return OrderCreation(order)
            if order.order_status is OrderStatus.CANCELLED and old["order_status"] != OrderStatus.CANCELLED:
                return OrderCancellation(order)
        case [*_] if key["sk"] == WITHDRAWAL and not old:
            declared = Withdrawal.model_validate(new["withdrawal"])
            return WithdrawalDeclaration(parse_order_id(str(key["pk"])), new["customer_id"], declared)
        case [kind, _] if kind in {COMMENT, INTERNAL} and (not old or "redacted_at" in new.keys() - old.keys()):
            comment = StoredComment.model_validate(select_fields(new, StoredComment))
            # Checked twice: a comment with the key of an internal one is internal, whatever its attribute says.
            visible = comment.is_visible_to_customer and kind == COMMENT
            order_id = parse_order_id(str(key["pk"]))
            comment = comment.model_copy(update={"is_visible_to_customer": visible})
            return CommentRedaction(order_id, comment) if old else CommentAddition(order_id, comment)
        case [kind, _] if kind == DOCUMENT and not old:
            document = Document.model_validate(select_fields(new, Document))
            # An invoice of version 0.1 was issued long before.
            return None if document.adopted else DocumentIssue(document)
        case [kind, _] if kind == INVOICE:
            mailing = Mailing.model_validate(select_fields(new, Mailing))
            before = mailing_state(Mailing.model_validate(select_fields(old, Mailing))) if old else None
            if mailing_state(mailing) != before:
                return MailingTransition(mailing, before)
    return None
