"""POST /admin/orders/{order_id}/send-invoice."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Body

from orders.http import Api, IdempotencyKey, OrderIdInPath, answers, caller, same_order
from orders.identity import Caller
from orders.models import InvoiceRequest, InvoiceSent
from orders.store import Store, get_store
from send_invoice.mail import Mailer, get_mailer
from send_invoice.sending import send
from send_invoice.shop import Shop, get_shop

app = Api()
handler = app.resolve


@app.post(
    "/admin/orders/<order_id>/send-invoice",
    operation_id="sendInvoice",
    summary="Mail the invoice to the customer",
    tags=["Admin"],
    responses=answers(
        200, "SES accepted the mail.", 403, 409, 502, 504, headers={"Location": "Where the invoice can be read."}
    ),
)
def send_invoice(
    order_id: OrderIdInPath,
    who: Annotated[Caller, Depends(caller)],
    store: Annotated[Store, Depends(get_store)],
    mailer: Annotated[Mailer, Depends(get_mailer)],
    shop: Annotated[Shop, Depends(get_shop)],
    request: Annotated[InvoiceRequest | None, Body()] = None,
    key: IdempotencyKey = None,
) -> Response[InvoiceSent]:
    """Mails the order's invoice to the address on the order. A success means that SES accepted the mail.

    Repeating the request within 30 seconds, or with the same Idempotency-Key, mails nothing again.
    """
    request = request or InvoiceRequest()
    same_order(order_id, request.order_id, "order_id")
    invoice = send(store, mailer, shop, order_id, who, request, key)
    return Response(
        200,
        content_type="application/json",
        body=InvoiceSent(),
        headers={"Location": f"/admin/orders/{order_id}/invoices/{invoice.number}"},
    )
