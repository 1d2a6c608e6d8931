"""The invoice mail: its content as plain text and as HTML, with the PDF attached."""

import base64
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from orders.invoices import Mailing
from orders.mailing.letters import letter, templates
from orders.mailing.shop import Shop
from orders.mailing.style import logo_for_mail
from orders.printing.content import Content

_templates = templates(Path(__file__).parent / "templates")
_html = _templates.get_template("invoice.html")
_text = _templates.get_template("invoice.txt")


def render_mail(content: Content, mailing: Mailing, shop: Shop, pdfs: Mapping[str, bytes]) -> EmailMessage:
    """Writes the mail.

    Args:
        content: What the invoice says.
        mailing: Where it goes, and its subject.
        shop: The sender.
        pdfs: The PDFs to attach, by the numbers of the documents.

    Returns:
        The mail, to the mailing's recipient, with the copies that were asked for. It is plain ASCII once serialised.
    """
    logo = logo_for_mail()
    message = letter(
        shop,
        mailing.recipient,
        mailing.subject or content.subject,
        mailing.started,
        text=_text.render(_variables(content)),
        html=_html.render(_variables(content), logo="cid:logo" if logo else ""),
        cc=mailing.cc,
        logo=logo,
    )
    for number, pdf in pdfs.items():
        message.add_attachment(pdf, maintype="application", subtype="pdf", filename=f"{number}.pdf")
    return message


def render_html(content: Content) -> str:
    """Writes the HTML part of the mail as a page on its own, for a preview."""
    logo = logo_for_mail()
    return _html.render(
        _variables(content), logo=f"data:image/png;base64,{base64.b64encode(logo).decode()}" if logo else ""
    )


def _variables(content: Content) -> dict[str, Any]:
    return {name: getattr(content, name) for name in Content.__slots__}
