"""POST /admin/orders/{order_id}/send-invoice and POST /admin/orders/{order_id}/invoice-preview."""

import base64
from typing import Annotated

from aws_lambda_powertools.event_handler import Request, Response
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Body
from pydantic import Field

from orders.archive import PDF, Archive, get_archive
from orders.errors import (
    EInvoiceIncomplete,
    InvoiceOutdated,
    MailRefused,
    MailUnknown,
    OrderNotFound,
    Outdated,
    StateConflict,
    StillRunning,
)
from orders.etags import IfMatch, expected_versions
from orders.http import Api, IdempotencyKey, OrderIdInPath, answers, check_same_order, get_caller, order_path
from orders.identity import Caller
from orders.ledger import Ledger
from orders.mailing.mail import Mailer, get_mailer
from orders.mailing.shop import Shop, get_shop
from orders.negotiation import preferred_type
from orders.printing.pdf import render_pdf
from orders.requests import InvoiceRequest
from orders.table import Table, get_table
from orders.types import Model
from send_invoice.mail import render_html
from send_invoice.sending import InvoiceSender


class InvoiceSent(Model):
    """The answer to send-invoice: SES accepted the mail."""

    status: Annotated[str, Field(pattern="^success$", examples=["success"])] = "success"


HTML = "text/html"

app = Api(get_table, get_archive, get_mailer, get_shop)
handler = app.resolve


def get_sender(
    table: Annotated[Table, Depends(get_table)],
    archive: Annotated[Archive, Depends(get_archive)],
    mailer: Annotated[Mailer, Depends(get_mailer)],
    shop: Annotated[Shop, Depends(get_shop)],
) -> InvoiceSender:
    """For `Depends`: the invoice sender of this function."""
    return InvoiceSender(Ledger(table), archive, mailer, shop)


def wants_pdf(request: Request) -> bool:
    """For `Depends`: whether the caller prefers a PDF to a page."""
    return preferred_type(request.headers.get("accept", ""), HTML, PDF) == PDF


@app.post(
    "/admin/orders/<order_id>/send-invoice",
    operation_id="sendInvoice",
    summary="Mail the invoice to the customer",
    tags=["Admin"],
    responses=answers(
        200,
        "SES accepted the mail.",
        OrderNotFound,
        StateConflict,
        InvoiceOutdated,
        EInvoiceIncomplete,
        StillRunning,
        Outdated,
        MailRefused,
        MailUnknown,
        headers={"Location": "Where the invoice can be read."},
    ),
)
def send_invoice(
    order_id: OrderIdInPath,
    who: Annotated[Caller, Depends(get_caller)],
    sender: Annotated[InvoiceSender, Depends(get_sender)],
    request: Annotated[InvoiceRequest | None, Body()] = None,
    key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Response[InvoiceSent]:
    """Mails the order's invoice to the address on the order. A success means that SES accepted the mail.

    The first time, this issues the invoice: it gets its number, and its content is final. Later, the same document is
    mailed again. Repeating the request within 30 seconds, or with the same Idempotency-Key, mails nothing again.
    """
    request = request or InvoiceRequest()
    check_same_order(order_id, request.order_id, "order_id")
    invoice = sender.send(order_id, who, request, key, expected_versions(if_match))
    return Response(
        200,
        content_type="application/json",
        body=InvoiceSent(),
        headers={"Location": f"{order_path(order_id)}/invoices/{invoice.number}"},
    )


@app.post(
    "/admin/orders/<order_id>/invoice-preview",
    operation_id="previewInvoice",
    summary="Preview an invoice",
    tags=["Admin"],
    responses=answers(
        200,
        "The invoice, as a page or (with `Accept: application/pdf`) as the PDF.",
        OrderNotFound,
        StateConflict,
        InvoiceOutdated,
        EInvoiceIncomplete,
        headers={
            "E-Invoice": "The profile of the e-invoice in the PDF, such as `EN 16931`, or `none`.",
            "Invoice-Missing": (
                "What the invoice lacks to be legally complete or an e-invoice, if anything: `seller.vat_id, …`."
            ),
        },
        content={
            HTML: {"type": "string", "examples": ["<!doctype html>…"]},
            PDF: {"type": "string", "format": "binary"},
        },
    ),
)
def preview_invoice(
    order_id: OrderIdInPath,
    who: Annotated[Caller, Depends(get_caller)],
    sender: Annotated[InvoiceSender, Depends(get_sender)],
    pdf: Annotated[bool, Depends(wants_pdf)],
    request: Annotated[InvoiceRequest | None, Body()] = None,
) -> Response[str]:
    """Shows the invoice that the same body would mail now. Nothing is sent or stored."""
    request = request or InvoiceRequest()
    check_same_order(order_id, request.order_id, "order_id")
    content, e_invoice, missing = sender.preview(order_id, who, request, document=pdf)
    headers = {"E-Invoice": e_invoice or "none", **({"Invoice-Missing": ", ".join(missing)} if missing else {})}
    if not pdf:
        return Response(200, content_type="text/html; charset=utf-8", body=render_html(content), headers=headers)
    # Powertools' validation would read bytes as text.
    answer = Response(200, content_type=PDF, body=base64.b64encode(render_pdf(content)).decode(), headers=headers)
    answer.base64_encoded = True
    return answer
