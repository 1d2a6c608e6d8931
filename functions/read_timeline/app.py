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
    summary="Get the timeline of an order",
    tags=["Admin"],
    responses=answers(200, "A page of the timeline.", OrderNotFound),
)
def get_timeline(
    order_id: OrderIdInPath,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    limit: Limit = 20,
    after: Cursor = None,
) -> TimelinePage:
    """Lists who created, changed, commented, invoiced or cancelled the order, and SES's reports, oldest first."""
    question = ("timeline", caller.role, caller.id, order_id)
    steps, more = read_timeline(table, order_id, decode_cursor(after, question), limit)
    return TimelinePage(timeline=tuple(map(views.timeline_entry, steps)), next_cursor=encode_cursor(more, question))
