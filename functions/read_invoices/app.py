"""GET …/invoices and GET …/invoices/{number}, for customers and admins."""

from typing import Annotated, TypeVar

from aws_lambda_powertools.event_handler import Request, Response
from aws_lambda_powertools.event_handler.depends import Depends
from aws_lambda_powertools.event_handler.openapi.params import Path
from pydantic import BaseModel

from orders import views
from orders.archive import PDF, XML, get_archive
from orders.errors import InvoiceNotFound, OrderNotFound
from orders.http import JSON, Api, OrderIdInPath, answers, get_caller, success
from orders.identity import Caller
from orders.invoices import FiledDocument
from orders.ledger import Ledger
from orders.lifecycle import LEFT, mailing_state
from orders.negotiation import preferred_type
from orders.responses import DocumentRecord, Documents, OwnDocument, OwnDocuments
from orders.table import Table, get_table

app = Api(get_table)
handler = app.resolve

Number = Annotated[str, Path(description="The document's number.", examples=["INV-2026-00017"], max_length=80)]
ONE = answers(200, "The document.", OrderNotFound, InvoiceNotFound) | {
    303: success(
        "With `Accept: application/pdf` or `Accept: application/xml`.",
        headers={"Location": "The URL of the PDF or the XML file, valid for 5 minutes."},
        content={},
    )
}


@app.get(
    "/orders/<order_id>/invoices",
    operation_id="listOwnInvoices",
    summary="List the invoices of my order",
    tags=["Customer"],
    responses=answers(200, "The invoices and credit notes that were mailed.", OrderNotFound),
)
def list_own(
    order_id: OrderIdInPath,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
) -> OwnDocuments:
    """Lists the invoices and credit notes of one of the caller's orders that were mailed, newest last."""
    return OwnDocuments(invoices=tuple(map(views.document_for_customer, _mailed(table, order_id, caller))))


@app.get(
    "/orders/<order_id>/invoices/<number>",
    operation_id="getOwnInvoice",
    summary="Get my invoice, its PDF or XML",
    tags=["Customer"],
    responses=ONE,
)
def get_own(
    order_id: OrderIdInPath,
    number: Number,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    request: Request,
) -> Response[OwnDocument | None]:
    """Returns an invoice or credit note that was mailed, or a redirect to its PDF or, if it has one, its XML file."""
    filed = _find(_mailed(table, order_id, caller), number)
    return _answer(filed, views.document_for_customer(filed), request)


@app.get(
    "/admin/orders/<order_id>/invoices",
    operation_id="listInvoices",
    summary="List the invoices of an order",
    tags=["Admin"],
    responses=answers(200, "All invoices and credit notes of the order.", OrderNotFound),
)
def list_all(
    order_id: OrderIdInPath,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
) -> Documents:
    """Lists the order's invoices and credit notes with all their mailings, including failed ones, newest last."""
    return Documents(invoices=tuple(map(views.document_for_staff, Ledger(table).filed(order_id, caller))))


@app.get(
    "/admin/orders/<order_id>/invoices/<number>",
    operation_id="getInvoice",
    summary="Get an invoice, its PDF or XML",
    tags=["Admin"],
    responses=ONE,
)
def get_any(
    order_id: OrderIdInPath,
    number: Number,
    caller: Annotated[Caller, Depends(get_caller)],
    table: Annotated[Table, Depends(get_table)],
    request: Request,
) -> Response[DocumentRecord | None]:
    """Returns an invoice or credit note, or a redirect to its PDF or, if it has one, its XML file."""
    filed = _find(Ledger(table).filed(order_id, caller), number)
    return _answer(filed, views.document_for_staff(filed), request)


_R = TypeVar("_R", bound=BaseModel)


def _mailed(table: Table, order_id: str, caller: Caller) -> list[FiledDocument]:
    """Returns the documents that certainly left: a customer does not see the staff's failed attempts."""
    filed = Ledger(table).filed(order_id, caller)
    return [each for each in filed if any(mailing_state(mailing) in LEFT for mailing in each.mailings)]


def _find(filed: list[FiledDocument], number: str) -> FiledDocument:
    for each in filed:
        if each.document.number == number:
            return each
    raise InvoiceNotFound


def _answer(filed: FiledDocument, record: _R, request: Request) -> Response[_R | None]:
    document = filed.document
    kind = preferred_type(request.headers.get("accept", ""), JSON, PDF, XML)
    if kind == JSON:
        return Response(200, content_type="application/json", body=record)
    if kind == XML and not document.xml:
        raise InvoiceNotFound("This document has no XML file. Its PDF may contain an e-invoice: see e_invoice.")
    if not filed.archived:
        raise InvoiceNotFound("This document was not archived, because the mailing failed before.")
    # The S3 client is only made here, because the other answers do not need it.
    link = get_archive().link(document.order_id, document.number, kind)
    return Response(303, headers={"Location": link, "Cache-Control": "no-store"})
