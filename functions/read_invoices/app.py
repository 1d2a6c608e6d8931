"""GET /admin/orders/{order_id}/invoices and GET /admin/orders/{order_id}/invoices/{number}."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Request, Response
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Path

from orders import views
from orders.archive import PDF, get_archive
from orders.errors import InvoiceNotFound, OrderNotFound
from orders.http import Api, OrderIdInPath, answers, success
from orders.ledger import Ledger
from orders.models import parse_invoice_number
from orders.responses import InvoiceRecord, Invoices
from orders.table import Table, get_table

app = Api(get_table)
handler = app.resolve


@app.get(
    "/admin/orders/<order_id>/invoices",
    operation_id="listInvoices",
    summary="List the invoices of an order",
    tags=["Admin"],
    responses=answers(200, "All invoices of the order.", OrderNotFound),
)
def list_invoices(order_id: OrderIdInPath, table: Annotated[Table, Depends(get_table)]) -> Invoices:
    """Lists every mailing of the order's invoice, including failed ones, newest last."""
    return Invoices(invoices=tuple(map(views.invoice_for_staff, Ledger(table).invoices(order_id))))


@app.get(
    "/admin/orders/<order_id>/invoices/<number>",
    operation_id="getInvoice",
    summary="Get an invoice or its PDF",
    tags=["Admin"],
    responses=answers(200, "The invoice.", InvoiceNotFound)
    | {
        303: success(
            "With `Accept: application/pdf`.",
            headers={"Location": "The URL of the PDF, valid for 5 minutes."},
            content={},
        )
    },
)
def get_invoice(
    order_id: OrderIdInPath,
    number: Annotated[str, Path(description="The invoice's number.", examples=["INV-1001-1"], max_length=80)],
    table: Annotated[Table, Depends(get_table)],
    request: Request,
) -> Response[InvoiceRecord | None]:
    """Returns one invoice, or with `Accept: application/pdf` a redirect to its PDF that is valid for 5 minutes."""
    n = parse_invoice_number(order_id, number)
    if n is None:
        raise InvoiceNotFound
    invoice = Ledger(table).invoice(order_id, n)
    if PDF not in request.headers.get("accept", ""):
        return Response(200, content_type="application/json", body=views.invoice_for_staff(invoice))
    if not invoice.archived:
        raise InvoiceNotFound("The PDF of this invoice was not archived, because the mailing failed before.")
    # The S3 client is only made here, because the other answers do not need it.
    return Response(303, headers={"Location": get_archive().link(invoice), "Cache-Control": "no-store"})
