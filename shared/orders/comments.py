"""Comments on orders: adds, lists and redacts them."""

from datetime import timedelta

from orders.errors import CommentNotFound
from orders.identity import Caller
from orders.items import Item, select_fields
from orders.keys import COMMENT, EPOCH, INTERNAL, RequestKey, comment_sk, item_key, microseconds, redaction_sk
from orders.models import Redaction, StoredComment
from orders.store import check_order_access
from orders.table import ConditionFailed, Table, range_query

AFTER_REDACTED = 100
"""How many comments a customer's page reads at once when redacted ones have to be replaced."""


class CommentStore:
    """Comments in the table.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def page(
        self, order_id: str, caller: Caller, after: str | None, limit: int, *, flagged: bool | None = None
    ) -> tuple[list[StoredComment], str | None]:
        """Lists the comments that the caller may read, oldest first: one call that checks the order, then a query.

        Redacted comments are left out for customers. Further queries replace them, so that no page shows by its length
        that there were any.

        Args:
            order_id: Which order.
            caller: The reader.
            after: The place of the last comment of the previous page; None for the first page.
            limit: The largest number of comments.
            flagged: Only flagged comments, or only others; None means all.

        Returns:
            The comments, and the place to continue from, or None if there are no more.

        Raises:
            OrderNotFound: The order does not exist, or it belongs to another customer.
        """
        check_order_access(self._table, order_id, caller)
        kinds = [COMMENT, INTERNAL] if caller.is_admin else [COMMENT]
        filters = {} if flagged is None else {"flagged": flagged}
        found: list[Item] = []
        more, size = after, limit + 1
        while True:
            queries = [range_query(order_id, kind, more or "0", filters) for kind in kinds]
            items, more = self._table.page(queries, _place, more, size)
            shown = [item for item in items if caller.is_admin or "redacted_at" not in item]
            found += shown
            if more is None or len(found) > limit or len(shown) == len(items):
                break
            size = AFTER_REDACTED
        if len(found) > limit:
            found, more = found[:limit], _place(found[limit - 1])
        return [StoredComment.model_validate(select_fields(item, StoredComment)) for item in found], more

    def add(
        self, order_id: str, caller: Caller, content: str, *, flagged: bool, visible: bool, key: RequestKey
    ) -> tuple[StoredComment, bool]:
        """Adds a comment: one call that checks the order, then one that writes the comment and the request's key.

        Returns:
            The comment, and True if this call added it, False if an earlier request with the same key did. It is then
            as that request added it, even if it was redacted since.

        Raises:
            OrderNotFound: The order does not exist, or it belongs to another customer.
            KeyReused: The key came with another comment before.
        """
        check_order_access(self._table, order_id, caller)
        # The id is the time. Where two comments share a microsecond, the second one takes the next id. Ids of visible
        # comments are even and ids of internal ones odd, so that neither tells anything about the other.
        comment_id = microseconds(self._table.now()) // 2 * 2 + (not visible)
        while True:
            comment = StoredComment(
                id=comment_id,
                content=content,
                admin_name=caller.name if caller.is_admin else None,
                is_visible_to_customer=visible,
                is_admin=caller.is_admin,
                created=EPOCH + timedelta(microseconds=comment_id),
                flagged=flagged,
                author=caller.id,
            )
            put = self._table.put_action(
                item_key(order_id, comment_sk(comment_id)),
                comment.model_dump(exclude={"redacted_at", "redacted_by"}),
                condition="attribute_not_exists(pk)",
            )
            try:
                self._table.transact(
                    put, self._table.put_request_key(item_key(order_id, key.sk), key, comment=comment_id)
                )
                return comment, True
            except ConditionFailed as failed:
                if earlier := failed.items.get(1):
                    key.check(earlier)
                    item = self._table.get(order_id, comment_sk(int(earlier["comment"]))) or {}
                    item |= {"content": content}
                    return StoredComment.model_validate(select_fields(item, StoredComment)), False
                comment_id += 2

    def is_redacted(self, order_id: str, comment_id: int) -> bool:
        """Returns whether a comment is redacted now, in one call."""
        item = self._table.get(order_id, comment_sk(comment_id), projection="redacted_at")
        return bool(item and "redacted_at" in item)

    def redact(self, order_id: str, comment_id: int, caller: Caller) -> bool:
        """Removes the content of a comment for good, and records who did it and when: one call.

        Returns:
            True if this call redacted it, False if it was redacted already and nothing changed.

        Raises:
            CommentNotFound: It does not exist.
        """
        redaction = Redaction(comment_id=comment_id, at=self._table.now(), by=caller.id, name=caller.name)
        comment = self._table.update_action(
            item_key(order_id, comment_sk(comment_id)),
            "SET content = :nothing, redacted_at = :at, redacted_by = :by",
            condition="attribute_exists(pk) AND attribute_not_exists(redacted_at)",
            values={":nothing": "", ":at": redaction.at, ":by": redaction.by},
        )
        record = self._table.put_action(
            item_key(order_id, redaction_sk(redaction.at, comment_id)), redaction.model_dump()
        )
        try:
            self._table.transact(comment, record)
        except ConditionFailed as failed:
            if failed.items[0] is None:
                raise CommentNotFound from failed
            return False
        return True


def _place(item: Item) -> str:
    """Returns where a comment sorts: its id, in 16 digits."""
    return str(item["sk"]).partition("#")[2]
