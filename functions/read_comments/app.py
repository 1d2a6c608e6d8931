"""GET /orders/{order_id}/comments and GET /admin/orders/{order_id}/comments."""

from typing import Annotated

from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Query

from orders.comment_views import CommentPage, StaffCommentPage, comment_for_customer, comment_for_staff
from orders.comments import CommentStore
from orders.cursors import decode_cursor, encode_cursor
from orders.errors import OrderNotFound
from orders.http import Api, Cursor, Limit, OrderIdInPath, answers, get_caller
from orders.identity import Caller
from orders.table import Table, get_table

app = Api(get_table)
handler = app.resolve


@app.get(
    "/orders/<order_id>/comments",
    operation_id="listOwnComments",
    summary="List the comments on my order",
    tags=["Customer"],
    responses=answers(200, "A page of comments.", OrderNotFound),
)
def list_for_customer(
    order_id: OrderIdInPath,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    limit: Limit = 20,
    after: Cursor = None,
) -> CommentPage:
    """Lists the comments that the customer may read, oldest first."""
    question = ("comments", caller.role, caller.id, order_id)
    comments, more = CommentStore(table).page(order_id, caller, decode_cursor(after, question), limit)
    return CommentPage(comments=tuple(map(comment_for_customer, comments)), next_cursor=encode_cursor(more, question))


@app.get(
    "/admin/orders/<order_id>/comments",
    operation_id="listComments",
    summary="List the comments on an order",
    tags=["Admin"],
    responses=answers(200, "A page of comments.", OrderNotFound),
)
def list_for_staff(
    order_id: OrderIdInPath,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    limit: Limit = 20,
    after: Cursor = None,
    flagged: Annotated[
        bool | None, Query(description="Only flagged comments, or only comments that are not flagged.")
    ] = None,
) -> StaffCommentPage:
    """Lists all comments, oldest first. With a filter, a page may be short or empty without being the last."""
    question = ("comments", caller.role, caller.id, order_id, flagged)
    comments, more = CommentStore(table).page(order_id, caller, decode_cursor(after, question), limit, flagged=flagged)
    return StaffCommentPage(comments=tuple(map(comment_for_staff, comments)), next_cursor=encode_cursor(more, question))
