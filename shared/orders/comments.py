"""Comments on orders: adds and lists them."""

import uuid
from datetime import timedelta

from orders.identity import Caller
from orders.items import select_fields
from orders.keys import COMMENT, EPOCH, INTERNAL, RequestKey, comment_sk, item_key, microseconds
from orders.models import StoredComment
from orders.store import check_order_access
from orders.table import ConditionFailed, Table, range_query


class CommentStore:
    """Comments in the table. Each method first makes one call that checks whose order it is.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def page(
        self, order_id: str, caller: Caller, after: str | None, limit: int, *, flagged: bool | None = None
    ) -> tuple[list[StoredComment], str | None]:
        """Lists the comments that the caller may read, oldest first.

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
        queries = [range_query(order_id, kind, after or "0", filters) for kind in kinds]
        items, more = self._table.page(queries, lambda item: str(item["sk"]).partition("#")[2], after, limit)
        return [StoredComment.model_validate(select_fields(item, StoredComment)) for item in items], more

    def add(
        self, order_id: str, caller: Caller, content: str, *, flagged: bool, visible: bool, key: RequestKey | None
    ) -> tuple[StoredComment, bool]:
        """Adds a comment, in one write.

        Returns:
            The comment, and True if this call added it, False if an earlier request with the same key did.

        Raises:
            OrderNotFound: The order does not exist, or it belongs to another customer.
            KeyReused: The key came with another comment before.
        """
        check_order_access(self._table, order_id, caller)
        # The id is the time. Where two comments share a microsecond, the second one takes the next id. Ids of visible
        # comments are even and ids of internal ones odd, so that neither tells anything about the other.
        comment_id = microseconds(self._table.now()) // 2 * 2 + (not visible)
        # Distinguishes our own write, repeated by botocore after a lost answer, from another request's write.
        nonce = uuid.uuid4().hex
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
                comment.model_dump() | {"nonce": nonce},
                condition="attribute_not_exists(pk)",
            )
            try:
                if key:
                    marker = self._table.put_request_key(item_key(order_id, key.sk), key, comment=comment_id)
                    self._table.transact(put, marker)
                else:
                    self._table.write(put)
                return comment, True
            except ConditionFailed as failed:
                if key and (earlier := failed.items.get(1)):
                    key.check(earlier)
                    return self._get(order_id, int(earlier["comment"])), False
                if (existing := failed.items[0]) and existing["nonce"] == nonce:
                    return comment, True
                comment_id += 2

    def _get(self, order_id: str, comment_id: int) -> StoredComment:
        item = self._table.get(order_id, comment_sk(comment_id)) or {}
        return StoredComment.model_validate(select_fields(item, StoredComment))
