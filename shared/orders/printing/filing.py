"""Files documents: typesets each once and archives it."""

from orders.archive import XML, Archive
from orders.invoices import Document
from orders.mailing.shop import Shop
from orders.models import Order
from orders.printing.content import invoice_content
from orders.printing.pdf import render_pdf


def file_document(archive: Archive, document: Document, order: Order, shop: Shop) -> bytes:
    """Archives a document as it was issued: its XML file, if it has one, then its PDF.

    Args:
        archive: Where it is kept.
        document: The document.
        order: Its order as it is now, for the lines.
        shop: The seller.

    Returns:
        The archived PDF.

    Raises:
        Unavailable: It may not be archived. Filing it again is safe.
    """
    content = invoice_content(document, document.order_as_issued(order), shop)
    if content.e_invoice and content.e_invoice.xml:
        # Imported here, because few documents have an XML file.
        from orders.e_invoice.ubl import ubl  # noqa: PLC0415

        archive.put(document.order_id, document.number, ubl(content.e_invoice).encode(), XML)
    # Last: a document counts as archived when its PDF is.
    return archive.put(document.order_id, document.number, render_pdf(content))
