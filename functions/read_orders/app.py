"""GET /orders, GET /orders/{order_id}, and both for admins."""

from typing import Annotated, TypeVar

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel

from orders import views
from orders.cursors import decode_cursor, encode_cursor
from orders.errors import OrderNotFound
from orders.etags import IfNoneMatch, etag, matches
from orders.http import Api, Cursor, Limit, OrderIdInPath, answers, get_caller
from orders.identity import Caller
from orders.lists import OrderFilter, search
from orders.models import OrderStatus, PaymentStatus, ShippingStatus
from orders.responses import AdminOrderRecord, OrderPage, OrderRecord
from orders.store import OrderStore
from orders.table import Table, get_table
from orders.types import CustomerId, EmailAddress, GivenMoment

app = Api(get_table)
handler = app.resolve

Status = Annotated[OrderStatus | None, Query(description="Only orders with this status.")]
Shipping = Annotated[ShippingStatus | None, Query(description="Only orders with this shipping status.")]
From = Annotated[
    GivenMoment | None,
    Query(description="Only orders placed at this time or later.", examples=["2026-11-01T00:00:00Z"]),
]
Before = Annotated[
    GivenMoment | None, Query(description="Only orders placed before this time.", examples=["2026-12-01T00:00:00Z"])
]
ETAG = {"ETag": "The order's version."}
UNCHANGED = {304: "The order has not changed since."}


@app.get(
    "/orders",
    operation_id="listOwnOrders",
    summary="List my orders",
    tags=["Customer"],
    responses=answers(200, "A page of orders."),
)
def list_own(
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    limit: Limit = 20,
    after: Cursor = None,
    order_status: Status = None,
    shipping_status: Shipping = None,
    created_from: From = None,
    created_before: Before = None,
) -> OrderPage:
    """Lists the caller's orders, newest first. With a status, a page may be short or empty without being the last."""
    wanted = OrderFilter(
        customer_id=caller.id,
        order_status=order_status,
        shipping_status=shipping_status,
        created_from=created_from,
        created_before=created_before,
    )
    return _page(caller, table, wanted, after, limit)


@app.get(
    "/admin/orders",
    operation_id="listOrders",
    summary="List orders",
    tags=["Admin"],
    responses=answers(200, "A page of orders."),
)
def list_all(
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    limit: Limit = 20,
    after: Cursor = None,
    customer_id: Annotated[CustomerId | None, Query(description="Only this customer's orders.")] = None,
    email: Annotated[
        EmailAddress | None,
        Query(
            description="Only orders with this e-mail address, in any case.",
            examples=["alice@example.com"],
        ),
    ] = None,
    order_status: Status = None,
    payment_status: Annotated[PaymentStatus | None, Query(description="Only orders with this payment status.")] = None,
    shipping_status: Shipping = None,
    created_from: From = None,
    created_before: Before = None,
    updated_from: Annotated[
        GivenMoment | None,
        Query(
            description="Only orders changed at this time or later. Without `email`, the latest change comes last. To "
            "poll without missing any: read all pages, then ask again from one minute before the latest `updated`.",
            examples=["2026-11-01T00:00:00Z"],
        ),
    ] = None,
) -> OrderPage:
    """Lists orders, newest first, or with `updated_from` by their last change.

    With a status filter or `updated_from`, a page may be short or empty without being the last.
    """
    wanted = OrderFilter(
        customer_id=customer_id,
        email=email,
        order_status=order_status,
        payment_status=payment_status,
        shipping_status=shipping_status,
        created_from=created_from,
        created_before=created_before,
        updated_from=updated_from,
    )
    return _page(caller, table, wanted, after, limit)


@app.get(
    "/orders/<order_id>",
    operation_id="getOwnOrder",
    summary="Get my order",
    tags=["Customer"],
    responses=answers(200, "The order.", OrderNotFound, headers=ETAG, also=UNCHANGED),
)
def get_own(
    order_id: OrderIdInPath,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    if_none_match: IfNoneMatch = None,
) -> Response[OrderRecord | None]:
    """Returns one of the caller's orders as it is now."""
    order = OrderStore(table).get(order_id, caller)
    return _answer(views.order_for_customer(order), order.version, if_none_match)


@app.get(
    "/admin/orders/<order_id>",
    operation_id="getOrder",
    summary="Get an order",
    tags=["Admin"],
    responses=answers(200, "The order.", OrderNotFound, headers=ETAG, also=UNCHANGED),
)
def get_any(
    order_id: OrderIdInPath,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    if_none_match: IfNoneMatch = None,
) -> Response[AdminOrderRecord | None]:
    """Returns an order as it is now."""
    order = OrderStore(table).get(order_id, caller)
    return _answer(views.order_for_staff(order), order.version, if_none_match)


_R = TypeVar("_R", bound=BaseModel)


def _answer(record: _R, version: int, if_none_match: str | None) -> Response[_R | None]:
    headers = {"ETag": etag(version)}
    if if_none_match is not None and matches(if_none_match, version):
        return Response(304, headers=headers)
    return Response(200, content_type="application/json", body=record, headers=headers)


def _page(caller: Caller, table: Table, wanted: OrderFilter, after: str | None, limit: int) -> OrderPage:
    question = ("orders", caller.role, caller.id, wanted)
    orders, more = search(table, wanted, decode_cursor(after, question), limit)
    return OrderPage(orders=tuple(map(views.listed_order, orders)), next_cursor=encode_cursor(more, question))
