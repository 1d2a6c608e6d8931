"""POST /orders/{order_id}/comments and POST /admin/orders/{order_id}/comments."""

from typing import Annotated

from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Body

from orders.errors import OrderNotFound, StillRunning
from orders.http import Api, IdempotencyKey, OrderIdInPath, answers, caller, same_order
from orders.identity import Caller
from orders.models import AdminCommentRequest, CommentRequest, Comments
from orders.store import Key, Store, get_store
from orders.telemetry import count

app = Api()
handler = app.resolve


@app.post(
    "/orders/<order_id>/comments",
    operation_id="addComment",
    summary="Comment on one's own order",
    tags=["Customer"],
    status_code=201,
    responses=answers(201, "The new comment, alone.", OrderNotFound, StillRunning),
)
def comment_as_customer(
    order_id: OrderIdInPath,
    request: Annotated[CommentRequest, Body()],
    who: Annotated[Caller, Depends(caller)],
    store: Annotated[Store, Depends(get_store)],
    key: IdempotencyKey = None,
) -> Comments:
    """Adds a comment that customer and staff can read. `flagged` asks the staff for attention."""
    return _add(order_id, request, who, store, key)


@app.post(
    "/admin/orders/<order_id>/comments",
    operation_id="addCommentAsAdmin",
    summary="Comment on an order",
    tags=["Admin"],
    status_code=201,
    responses=answers(201, "The new comment, alone.", OrderNotFound, StillRunning),
)
def comment_as_admin(
    order_id: OrderIdInPath,
    request: Annotated[AdminCommentRequest, Body()],
    who: Annotated[Caller, Depends(caller)],
    store: Annotated[Store, Depends(get_store)],
    key: IdempotencyKey = None,
) -> Comments:
    """Adds a comment of the staff. A flagged one is internal, unless `is_visible_to_customer` says otherwise."""
    return _add(order_id, request, who, store, key)


def _add(order_id: str, request: CommentRequest, who: Caller, store: Store, key: str | None) -> Comments:
    same_order(order_id, request.id, "id")
    comment, new = store.add_comment(
        order_id,
        who,
        request.content,
        flagged=bool(request.flagged),
        visible=request.visible_to_customer(),
        key=Key.of("add-comment", who, request, key) if key else None,
    )
    if new:
        count("CommentsAdded")
    return Comments(comments=(comment,))
