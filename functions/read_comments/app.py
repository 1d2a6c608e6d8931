"""GET /orders/{order_id}/comments and GET /admin/orders/{order_id}/comments."""

from typing import Annotated

from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Query

from orders import views
from orders.cursors import cursor, place
from orders.errors import OrderNotFound
from orders.http import Api, Cursor, Limit, OrderIdInPath, answers, caller
from orders.identity import Caller
from orders.records import CommentPage, StaffCommentPage
from orders.store import Store, get_store

app = Api()
handler = app.resolve


@app.get(
    "/orders/<order_id>/comments",
    operation_id="listOwnComments",
    summary="The comments on one's own order, oldest first",
    tags=["Customer"],
    responses=answers(200, "A page of comments.", OrderNotFound),
)
def list_for_customer(
    order_id: OrderIdInPath,
    who: Annotated[Caller, Depends(caller)],
    store: Annotated[Store, Depends(get_store)],
    limit: Limit = 20,
    after: Cursor = None,
) -> CommentPage:
    """Lists what customer and staff wrote to one another."""
    question = ("comments", who.role, who.id, order_id)
    comments, more = store.comments(order_id, who, place(after, question), limit)
    return CommentPage(comments=tuple(map(views.comment_for_customer, comments)), next_cursor=cursor(more, question))


@app.get(
    "/admin/orders/<order_id>/comments",
    operation_id="listComments",
    summary="The comments on an order, internal ones too, oldest first",
    tags=["Admin"],
    responses=answers(200, "A page of comments.", OrderNotFound),
)
def list_for_staff(
    order_id: OrderIdInPath,
    who: Annotated[Caller, Depends(caller)],
    store: Annotated[Store, Depends(get_store)],
    limit: Limit = 20,
    after: Cursor = None,
    flagged: Annotated[
        bool | None, Query(description="Only comments that are flagged for the staff, or only others.")
    ] = None,
) -> StaffCommentPage:
    """Lists all comments. With a filter a page may be short, even empty, and not the last: see `next_cursor`."""
    question = ("comments", who.role, who.id, order_id, flagged)
    comments, more = store.comments(order_id, who, place(after, question), limit, flagged=flagged)
    return StaffCommentPage(comments=tuple(comments), next_cursor=cursor(more, question))
