"""POST /orders/{order_id}/cancel and POST /admin/orders/{order_id}/cancel."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Body

from orders import cancellation
from orders.errors import OrderNotFound, StateConflict, StillRunning
from orders.http import Api, OrderIdInPath, answers, get_caller
from orders.identity import Caller
from orders.requests import CancelRequest
from orders.table import Table, get_table
from orders.telemetry import count

app = Api(get_table)
handler = app.resolve

CANCELLED = answers(
    204,
    "The order is cancelled, by this or an earlier request.",
    OrderNotFound,
    StateConflict,
    StillRunning,
    content={},
)


@app.post(
    "/admin/orders/<order_id>/cancel",
    operation_id="cancelOrderAsAdmin",
    summary="Cancel an order",
    tags=["Admin"],
    status_code=204,
    responses=CANCELLED,
)
@app.post(
    "/orders/<order_id>/cancel",
    operation_id="cancelOrder",
    summary="Cancel my order",
    tags=["Customer"],
    status_code=204,
    responses=CANCELLED,
)
def cancel(
    order_id: OrderIdInPath,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    request: Annotated[CancelRequest | None, Body()] = None,
) -> Response[None]:
    """Cancels an order permanently: it can no longer be invoiced, shipped or paid. Cancelling it again succeeds.

    If it was invoiced, a credit note is issued; the invoice becomes void instead if it was never mailed.
    """
    if cancellation.cancel(table, order_id, caller, request.reason if request else None):
        count("OrdersCancelled")
    return Response(204)
