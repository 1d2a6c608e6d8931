"""GET /admin/orders/{order_id}/invoices and GET /admin/orders/{order_id}/invoices/{number}."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Request, Response
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Path

from orders.archive import PDF, get_archive
from orders.errors import InvoiceNotFound, OrderNotFound
from orders.http import Api, OrderIdInPath, answers, success
from orders.lifecycle import invoice_state
from orders.models import DeliveryEvent, Invoice, Outcome, amount_text, parse_invoice_number
from orders.records import DeliveryReport, InvoiceRecord, Invoices
from orders.store import Store, get_store

app = Api()
handler = app.resolve


@app.get(
    "/admin/orders/<order_id>/invoices",
    operation_id="listInvoices",
    summary="The invoices of an order, newest last",
    tags=["Admin"],
    responses=answers(200, "All invoices of the order.", OrderNotFound),
)
def list_invoices(order_id: OrderIdInPath, store: Annotated[Store, Depends(get_store)]) -> Invoices:
    """Lists every mailing of the order's invoice, also those that failed."""
    return Invoices(invoices=tuple(_record(invoice) for invoice in store.invoices(order_id)))


@app.get(
    "/admin/orders/<order_id>/invoices/<number>",
    operation_id="getInvoice",
    summary="One invoice, or its PDF as it was mailed",
    tags=["Admin"],
    responses=answers(200, "The invoice.", InvoiceNotFound)
    | {303: success("With `Accept: application/pdf`.", headers={"Location": "Where the PDF can be read."}, content={})},
)
def get_invoice(
    order_id: OrderIdInPath,
    number: Annotated[str, Path(description="The invoice's number.", examples=["INV-1001-1"], max_length=80)],
    store: Annotated[Store, Depends(get_store)],
    request: Request,
) -> Response[InvoiceRecord | None]:
    """Reads one invoice. With `Accept: application/pdf` it redirects to the PDF, by a link that works for 5 minutes."""
    n = parse_invoice_number(order_id, number)
    if n is None:
        raise InvoiceNotFound
    invoice = store.invoice(order_id, n)
    if PDF not in request.headers.get("accept", ""):
        return Response(200, content_type="application/json", body=_record(invoice))
    if not invoice.archived:
        raise InvoiceNotFound("The PDF of this invoice was not archived: it failed before.")
    # Made only here: a link needs a client of S3, which the other answers do not wait for.
    return Response(303, headers={"Location": get_archive().link(invoice), "Cache-Control": "no-store"})


def _record(invoice: Invoice) -> InvoiceRecord:
    sent = invoice.ended if invoice.outcome is Outcome.SENT else invoice.events.get(DeliveryEvent.SEND)
    return InvoiceRecord(
        number=invoice.number,
        state=invoice_state(invoice),
        started=invoice.started,
        sent_at=sent,
        recipient=invoice.recipient,
        requested_by=invoice.requested_by,
        currency_code=invoice.currency_code,
        grand_total=amount_text(invoice.grand_total, invoice.currency_code),
        paid=amount_text(invoice.paid, invoice.currency_code),
        due=amount_text(invoice.due, invoice.currency_code),
        payment_status=invoice.payment_status,
        payment_method_options=invoice.payment_method_options,
        notes=invoice.notes,
        reason=invoice.reason,
        archived=invoice.archived,
        events=tuple(
            DeliveryReport(event=event, at=at) for event, at in sorted(invoice.events.items(), key=lambda each: each[1])
        ),
    )
