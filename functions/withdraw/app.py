"""POST /orders/{order_id}/withdraw and POST /withdrawals: the withdrawal function of Directive 2011/83/EU, Article 11a.

Both take two steps: the first shows the statement, the second confirms it. Nothing is kept between them, because each
request has the whole statement.
"""

from typing import Annotated

from aws_lambda_powertools.event_handler import Request
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Body

from orders.errors import OrderNotFound, StillRunning, TooManyRequests
from orders.http import Api, OrderIdInPath, answers, check_same_order, get_caller
from orders.identity import Caller
from orders.store import OrderStore
from orders.table import Table, get_table
from orders.telemetry import count
from withdraw import bodies, declaring

app = Api(get_table, public={"POST /withdrawals"})
handler = app.resolve


def get_source(request: Request) -> str:
    """For `Depends`: the IP address that the request came from, as API Gateway saw it."""
    return str(request.resolved_event.raw_event["requestContext"]["http"]["sourceIp"])


@app.post(
    "/orders/<order_id>/withdraw",
    operation_id="withdraw",
    summary="Withdraw from my contract",
    tags=["Customer"],
    responses=answers(200, "The statement, and when it was declared.", OrderNotFound, StillRunning),
)
def withdraw(
    order_id: OrderIdInPath,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    request: Annotated[bodies.WithdrawalRequest | None, Body()] = None,
) -> bodies.WithdrawalAnswer:
    """Shows the statement by which the customer withdraws from the contract; with `confirm`, declares it.

    Possible in every state of the order, and it changes none of it: the shop decides what follows. Declared once; a
    repetition returns the first declaration. The customer gets an acknowledgement of receipt by e-mail.
    """
    request = request or bodies.WithdrawalRequest()
    check_same_order(order_id, request.order_id, "order_id")
    order = OrderStore(table).get(order_id, caller)
    withdrawal, declared = order.withdrawal, order.withdrawal is not None
    if withdrawal is None:
        withdrawal = declaring.customers_withdrawal(table, order, caller, request)
        if request.confirm:
            withdrawal, new = declaring.declare_as_customer(table, order, withdrawal)
            declared = True
            if new:
                count("WithdrawalsDeclared")
    return bodies.WithdrawalAnswer(
        order_id=order_id,
        statement=bodies.statement(order_id),
        name=withdrawal.name,
        email=withdrawal.email,
        confirmed=declared,
        next=bodies.RECEIVED if declared else bodies.NOT_CONFIRMED,
        declared_at=withdrawal.declared_at if declared else None,
    )


@app.post(
    "/withdrawals",
    operation_id="withdrawAsGuest",
    summary="Withdraw from a contract without signing in",
    tags=["Guest"],
    responses=answers(200, "The statement, whether or not it matches an order.", StillRunning, TooManyRequests),
)
def withdraw_as_guest(
    request: Annotated[bodies.GuestWithdrawalRequest, Body()],
    table: Annotated[Table, Depends(get_table)],
    source: Annotated[str, Depends(get_source)],
) -> bodies.GuestWithdrawalAnswer:
    """Shows the statement by which a guest withdraws from the contract; with `confirm`, declares it.

    The answer is the same whether or not the order exists and has this e-mail address. Only the mailbox of the order's
    address learns that it does. Needs no token. The number of confirmed requests for one order, with one address and
    from one network is limited.
    """
    if request.confirm:
        try:
            new = declaring.declare_as_guest(table, request, source)
        except TooManyRequests:
            count("WithdrawalsLimited")
            raise
        count("WithdrawalsDeclared" if new else "WithdrawalsNotRecorded")
    return bodies.GuestWithdrawalAnswer(
        order_id=request.order_id,
        statement=bodies.statement(request.order_id),
        name=request.name,
        email=request.email,
        confirmed=bool(request.confirm),
        next=bodies.RECEIVED_IF_FOUND if request.confirm else bodies.NOT_CONFIRMED,
    )
