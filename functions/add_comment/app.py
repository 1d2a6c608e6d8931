"""POST /orders/{order_id}/comments and POST /admin/orders/{order_id}/comments."""

from typing import Annotated

from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Body

from orders.comment_views import Comments, comment_for_customer
from orders.comments import CommentStore
from orders.errors import OrderNotFound, StillRunning
from orders.http import Api, IdempotencyKey, OrderIdInPath, answers, check_same_order, get_caller
from orders.identity import Caller
from orders.keys import RequestKey
from orders.requests import AdminCommentRequest, CommentRequest
from orders.table import Table, get_table
from orders.telemetry import count

app = Api(get_table)
handler = app.resolve


@app.post(
    "/orders/<order_id>/comments",
    operation_id="addComment",
    summary="Comment on my order",
    tags=["Customer"],
    status_code=201,
    responses=answers(201, "The new comment.", OrderNotFound, StillRunning),
)
def comment_as_customer(
    order_id: OrderIdInPath,
    request: Annotated[CommentRequest, Body()],
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    key: IdempotencyKey = None,
) -> Comments:
    """Adds a comment that the customer and the staff can read. `flagged` asks the staff for attention."""
    return _add(order_id, request, caller, table, key)


@app.post(
    "/admin/orders/<order_id>/comments",
    operation_id="addCommentAsAdmin",
    summary="Comment on an order",
    tags=["Admin"],
    status_code=201,
    responses=answers(201, "The new comment.", OrderNotFound, StillRunning),
)
def comment_as_admin(
    order_id: OrderIdInPath,
    request: Annotated[AdminCommentRequest, Body()],
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    key: IdempotencyKey = None,
) -> Comments:
    """Adds a staff comment. A flagged comment is internal unless `is_visible_to_customer` says otherwise."""
    return _add(order_id, request, caller, table, key)


def _add(order_id: str, request: CommentRequest, caller: Caller, table: Table, key: str | None) -> Comments:
    check_same_order(order_id, request.id, "id")
    comment, new = CommentStore(table).add(
        order_id,
        caller,
        request.content,
        flagged=bool(request.flagged),
        visible=request.visible_to_customer(),
        key=RequestKey.of("add-comment", caller, request, key),
    )
    if new:
        count("CommentsAdded")
    return Comments(comments=(comment_for_customer(comment),))
