"""PATCH /admin/orders/{order_id}."""

import re
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Body, Header

from orders import views
from orders.errors import OrderNotFound, Outdated, StateConflict, StillRunning
from orders.http import Api, Condition, OrderIdInPath, answers, caller, entity_tags, etag
from orders.identity import Caller
from orders.models import OrderPatch
from orders.records import AdminOrderRecord
from orders.store import Stale, Store, get_store

app = Api()
handler = app.resolve


@app.patch(
    "/admin/orders/<order_id>",
    operation_id="updateOrder",
    summary="Change an order's states, what is paid, or whom it is for",
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
    who: Annotated[Caller, Depends(caller)],
    store: Annotated[Store, Depends(get_store)],
    if_match: Annotated[
        Condition | None, Header(alias="If-Match", description="The ETag of the order that the change was made for.")
    ] = None,
) -> Response[AdminOrderRecord]:
    """Changes an order by a JSON Merge Patch (RFC 7396), also as `application/merge-patch+json`.

    With `If-Match` or `version` it changes only that version; without them, whichever is the latest. A cancelled order
    refuses shipments and payments.
    """
    try:
        order = store.change(order_id, who, patch, _versions(if_match, patch))
    except Stale as stale:
        current = views.for_staff(stale.order).model_dump(mode="json")
        raise Outdated(current=current, headers={"ETag": etag(stale.order.version)}) from None
    headers = {"ETag": etag(order.version)}
    return Response(200, content_type="application/json", body=views.for_staff(order), headers=headers)


def _versions(if_match: str | None, patch: OrderPatch) -> set[int] | None:
    """The versions that the change was made for; None means any."""
    asked = None if patch.version is None else {patch.version}
    tags = None if if_match is None else entity_tags(if_match, "If-Match", weak=False)
    if tags is None:
        return asked
    # Only what `etag` writes: "01" is another tag, and 5,000 digits are no number that Python reads.
    versions = {int(tag) for tag in tags if re.fullmatch("[1-9][0-9]{0,15}", tag)}
    return versions if asked is None else versions & asked
