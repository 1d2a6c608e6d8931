"""POST /admin/orders."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Body

from orders import views
from orders.errors import OrderExists, StillRunning
from orders.etags import etag
from orders.http import Api, IdempotencyKey, answers, get_caller, order_path
from orders.identity import Caller
from orders.keys import RequestKey
from orders.requests import NewOrder
from orders.responses import AdminOrderRecord
from orders.store import CreateResult, OrderStore
from orders.table import Table, get_table
from orders.telemetry import count

app = Api(get_table)
handler = app.resolve


@app.post(
    "/admin/orders",
    operation_id="createOrder",
    summary="Create an order",
    tags=["Admin"],
    status_code=201,
    responses=answers(
        201,
        "The new order.",
        OrderExists,
        StillRunning,
        headers={"Location": "The URL of the order.", "ETag": "The order's version."},
        also={200: "The same order existed already; this is its current state."},
    ),
)
def create_order(
    request: Annotated[NewOrder, Body()],
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    key: IdempotencyKey = None,
) -> Response[AdminOrderRecord]:
    """Creates an order. Totals that are left out are computed; totals that are given must add up.

    Safe to retry: the same order with the same id changes nothing, and a different order with that id is refused.
    """
    store = OrderStore(table)
    new = request.order(store.now(), caller.id)
    order, result = store.create(new, RequestKey.of("create-order", caller, request, key) if key else None)
    if result is CreateResult.NEW:
        count("OrdersCreated")
    return Response(
        200 if result is CreateResult.EXISTING else 201,
        content_type="application/json",
        body=views.order_for_staff(order),
        headers={"Location": order_path(order.order_id), "ETag": etag(order.version)},
    )
