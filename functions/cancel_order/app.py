"""POST /orders/{order_id}/cancel and POST /admin/orders/{order_id}/cancel."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Body

from cancel_order.bodies import AdminCancelRequest, CancelRequest
from orders import cancellation
from orders.errors import OrderNotFound, Outdated, StateConflict, StillRunning
from orders.etags import IfMatch, expected_versions
from orders.http import Api, OrderIdInPath, answers, get_caller
from orders.identity import Caller
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
    Outdated,
    content={},
)


@app.post(
    "/orders/<order_id>/cancel",
    operation_id="cancelOrder",
    summary="Cancel my order",
    tags=["Customer"],
    status_code=204,
    responses=CANCELLED,
)
def cancel_as_customer(
    order_id: OrderIdInPath,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    request: Annotated[CancelRequest | None, Body()] = None,
    if_match: IfMatch = None,
) -> Response[None]:
    """Cancels an order permanently: it can no longer be invoiced, shipped or paid. Cancelling it again succeeds.

    If it was invoiced, a credit note is issued; the invoice becomes void instead if it was never mailed.
    """
    return _cancel(order_id, caller, table, request, if_match)


@app.post(
    "/admin/orders/<order_id>/cancel",
    operation_id="cancelOrderAsAdmin",
    summary="Cancel an order",
    tags=["Admin"],
    status_code=204,
    responses=CANCELLED,
)
def cancel_as_admin(
    order_id: OrderIdInPath,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    request: Annotated[AdminCancelRequest | None, Body()] = None,
    if_match: IfMatch = None,
) -> Response[None]:
    """Cancels an order permanently: it can no longer be invoiced, shipped or paid. Cancelling it again succeeds.

    If it was invoiced, a credit note is issued; the invoice becomes void instead if it was never mailed. `restock` and
    `refund` are recorded and published for other systems: nothing is restocked or refunded here.
    """
    return _cancel(order_id, caller, table, request, if_match)


def _cancel(
    order_id: str, caller: Caller, table: Table, request: CancelRequest | None, if_match: str | None
) -> Response[None]:
    stated = request.stated() if request else {}
    if cancellation.cancel(table, order_id, caller, stated, expected_versions(if_match)):
        count("OrdersCancelled")
    return Response(204)
