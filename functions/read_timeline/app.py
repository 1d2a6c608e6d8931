"""GET /admin/orders/{order_id}/timeline."""

from typing import Annotated

from aws_lambda_powertools.event_handler.depends import Depends

from orders import views
from orders.cursors import decode_cursor, encode_cursor
from orders.errors import OrderNotFound
from orders.http import Api, Cursor, Limit, OrderIdInPath, answers, get_caller
from orders.identity import Caller
from orders.responses import TimelinePage
from orders.table import Table, get_table
from orders.timeline import read_timeline

app = Api(get_table)
handler = app.resolve


@app.get(
    "/admin/orders/<order_id>/timeline",
    operation_id="getTimeline",
    summary="What happened to an order, by whom and when, oldest first",
    tags=["Admin"],
    responses=answers(200, "A page of what happened.", OrderNotFound),
)
def get_timeline(
    order_id: OrderIdInPath,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    limit: Limit = 20,
    after: Cursor = None,
) -> TimelinePage:
    """Lists how the order was created, changed, commented, invoiced (with what SES reports) and cancelled."""
    question = ("timeline", caller.role, caller.id, order_id)
    steps, more = read_timeline(table, order_id, decode_cursor(after, question), limit)
    return TimelinePage(timeline=tuple(map(views.timeline_entry, steps)), next_cursor=encode_cursor(more, question))
