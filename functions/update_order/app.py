"""PATCH /admin/orders/{order_id} and POST /admin/orders/{order_id}/comments/{comment_id}/redact."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Body, Path

from orders import views
from orders.comments import CommentStore
from orders.errors import CommentNotFound, OrderNotFound, Outdated, StateConflict, StillRunning
from orders.etags import IfMatch, etag, expected_versions
from orders.http import Api, OrderIdInPath, answers, check_same_order, get_caller
from orders.identity import Caller
from orders.requests import OrderPatch, RedactRequest
from orders.responses import AdminOrderRecord
from orders.store import OrderStore, VersionMismatch
from orders.table import Table, get_table
from orders.telemetry import count

app = Api(get_table)
handler = app.resolve

CommentId = Annotated[int, Path(ge=0, lt=2**53, description="The id of the comment.", examples=[1795424400000000])]


@app.patch(
    "/admin/orders/<order_id>",
    operation_id="updateOrder",
    summary="Change an order",
    tags=["Admin"],
    responses=answers(
        200,
        "The order as it is now.",
        OrderNotFound,
        StateConflict,
        StillRunning,
        Outdated,
        headers={"ETag": "The order's version."},
    ),
)
def update_order(
    order_id: OrderIdInPath,
    patch: Annotated[OrderPatch, Body()],
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    if_match: IfMatch = None,
) -> Response[AdminOrderRecord]:
    """Changes an order with a JSON Merge Patch (RFC 7396), sent as JSON or as `application/merge-patch+json`.

    With `If-Match` or `version`, only that version is changed; otherwise the latest one. A cancelled order refuses
    shipments and payments.
    """
    try:
        order = OrderStore(table).change(order_id, caller, patch, _versions(if_match, patch))
    except VersionMismatch as mismatch:
        current = views.order_for_staff(mismatch.order).model_dump(mode="json")
        raise Outdated(mismatch.order.version, current) from None
    headers = {"ETag": etag(order.version)}
    return Response(200, content_type="application/json", body=views.order_for_staff(order), headers=headers)


@app.post(
    "/admin/orders/<order_id>/comments/<comment_id>/redact",
    operation_id="redactComment",
    summary="Redact a comment",
    tags=["Admin"],
    status_code=204,
    responses=answers(
        204,
        "The comment is redacted, by this or an earlier request.",
        CommentNotFound,
        StillRunning,
        content={},
    ),
)
def redact_comment(
    order_id: OrderIdInPath,
    comment_id: CommentId,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    request: Annotated[RedactRequest | None, Body()] = None,
) -> Response[None]:
    """Deletes the content of a comment permanently. Redacting it again succeeds.

    The customer no longer sees the comment. The staff sees who wrote it, who redacted it, and when.
    """
    check_same_order(order_id, request.order_id if request else None, "order_id")
    if CommentStore(table).redact(order_id, comment_id, caller):
        count("CommentsRedacted")
    return Response(204)


def _versions(if_match: str | None, patch: OrderPatch) -> set[int] | None:
    """Returns the versions that the change may be based on; None means any."""
    versions = expected_versions(if_match)
    if patch.version is None:
        return versions
    return {patch.version} if versions is None else versions & {patch.version}
