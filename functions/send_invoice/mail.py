"""The invoice mail: its content as plain text and as HTML, with the PDF attached."""

import base64
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from orders.invoices import Mailing
from orders.mailing.letters import letter, render_bodies, templates
from orders.mailing.shop import Shop
from orders.mailing.style import logo_for_mail
from orders.printing.content import Content

TEMPLATES = templates(Path(__file__).parent / "templates")
"""The templates of the invoice mail."""


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
    text, html = _bodies(content, "cid:logo" if logo else "")
    message = letter(
        shop,
        mailing.recipient,
        mailing.subject or content.subject,
        mailing.started,
        language=content.words.language,
        text=text,
        html=html,
        cc=mailing.cc,
        logo=logo,
    )
    for number, pdf in pdfs.items():
        message.add_attachment(pdf, maintype="application", subtype="pdf", filename=f"{number}.pdf")
    return message


def render_html(content: Content) -> str:
    """Writes the HTML part of the mail as a page on its own, for a preview."""
    logo = logo_for_mail()
    _, html = _bodies(content, f"data:image/png;base64,{base64.b64encode(logo).decode()}" if logo else "")
    return html


def _bodies(content: Content, logo: str) -> tuple[str, str]:
    variables: dict[str, Any] = {name: getattr(content, name) for name in Content.__slots__}
    return render_bodies(TEMPLATES, "invoice", content.words, variables | {"logo": logo})
