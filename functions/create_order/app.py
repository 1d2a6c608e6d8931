"""POST /admin/orders."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Body

from orders import views
from orders.errors import OrderExists, StillRunning
from orders.http import Api, IdempotencyKey, answers, caller, etag
from orders.identity import Caller
from orders.models import NewOrder
from orders.records import AdminOrderRecord
from orders.store import Creation, Key, Store, get_store
from orders.telemetry import count

app = Api()
handler = app.resolve


@app.post(
    "/admin/orders",
    operation_id="createOrder",
    summary="Bring an order",
    tags=["Admin"],
    status_code=201,
    responses=answers(
        201,
        "The order, new.",
        OrderExists,
        StillRunning,
        headers={"Location": "Where the order can be read.", "ETag": "The order's version."},
        also={200: "The order was there already: this is how it is now."},
    ),
)
def create_order(
    request: Annotated[NewOrder, Body()],
    who: Annotated[Caller, Depends(caller)],
    store: Annotated[Store, Depends(get_store)],
    key: IdempotencyKey = None,
) -> Response[AdminOrderRecord]:
    """Brings an order into the service. Totals that are left out are computed; those that are given must add up.

    Repeating is safe: the same order under the same id changes nothing, and another one is refused.
    """
    new = request.order(store.now(), who.id)
    order, creation = store.create(new, Key.of("create-order", who, request, key) if key else None)
    if creation is Creation.NEW:
        count("OrdersCreated")
    return Response(
        200 if creation is Creation.THERE else 201,
        content_type="application/json",
        body=views.for_staff(order),
        headers={"Location": f"/admin/orders/{order.order_id}", "ETag": etag(order.version)},
    )
