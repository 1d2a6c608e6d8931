"""Orders to invoice, and ways to look at the documents that come of them."""

from email.message import EmailMessage
from typing import Any

import pypdfium2  # type: ignore[import-untyped]
from botocore.exceptions import ClientError, ReadTimeoutError
from harness import Service

WIDGET = {
    "customer_id": "alice",
    "currency_code": "EUR",
    "customer_summary": {
        "first_name": "Alice",
        "last_name": "Ålesund",
        "company_name": "Ost AS",
        "email": "alice@example.com",
        "phone": "+47 1",
        "address_line_1": "Storgata 1",
        "post_code": "0155",
        "city": "Oslo",
        "country": {"name": "Norge", "code": "NO"},
    },
    "order_line_details": [{"item_id": 1, "product_name": "Widget", "quantity": 1, "price": "100.00"}],
}
"""The base order: one line, and a buyer with name and address."""

REFUSED: Any = ClientError(
    {"Error": {"Code": "MessageRejected"}, "ResponseMetadata": {"HTTPStatusCode": 400}},  # type: ignore[typeddict-item]
    "SendEmail",
)
"""SES refuses a mail: it did not leave."""

NO_ANSWER = ReadTimeoutError(endpoint_url="https://email")
"""SES does not answer: a mail may have left."""


def create(service: Service, order_id: str = "A", **fields: Any) -> str:
    """Creates the base order with other fields, and returns the path of its admin routes."""
    answer = service.post("/admin/orders", {**WIDGET, "order_id": order_id, **fields})
    assert answer.status == 201, answer.text
    return f"/admin/orders/{order_id}"


def send(service: Service, path: str, **body: Any) -> str:
    """Sends the invoice of an order as a new request. Returns the number of the document."""
    service.clock.sleep(31)
    answer = service.post(f"{path}/send-invoice", body)
    assert answer.status == 200, answer.text
    return answer.headers["location"].rpartition("/")[2]


def pdfs(mail: EmailMessage) -> dict[str, bytes]:
    """Returns the attached PDFs by name."""
    return {str(each.get_filename()): each.get_content() for each in mail.iter_attachments()}


def text_of(mail: EmailMessage) -> str:
    """Returns the plain text of a mail."""
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def paper(pdf: bytes) -> str:
    """Returns the text of a PDF."""
    return " ".join(" ".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(pdf)).split())


def summary(service: Service, order_id: str = "A") -> list[str]:
    """Returns one line for each document of an order: its number, what became of it, and the states of its mailings."""
    lines = []
    for each in service.documents(order_id):
        marks = [
            each["corrects"] and f"credits {each['corrects']}",
            each["corrected_by"] and f"credited by {each['corrected_by']}",
            each["voided"] and "void",
            ", ".join(mailing["state"] for mailing in each["mailings"]),
        ]
        lines.append(": ".join(filter(None, [each["number"], *marks])))
    return lines
