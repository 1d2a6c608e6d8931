"""The invoice mail: its content as plain text and as HTML, with the PDF attached."""

from email.message import EmailMessage
from pathlib import Path
from typing import Any

from orders.mailing.letters import letter, templates
from orders.mailing.shop import Shop
from send_invoice.content import Content

_templates = templates(Path(__file__).parent / "templates")
_html = _templates.get_template("invoice.html")
_text = _templates.get_template("invoice.txt")


def render_mail(content: Content, shop: Shop) -> EmailMessage:
    """Writes the mail, without the PDF.

    Args:
        content: What the invoice says.
        shop: The sender.

    Returns:
        The mail, to the invoice's recipient, with the copies that were asked for. It is plain ASCII once serialised.
    """
    return letter(
        shop,
        content.recipient,
        content.subject,
        content.issued,
        text=_text.render(_variables(content)),
        html=render_html(content),
        cc=content.cc,
    )


def render_html(content: Content) -> str:
    """Writes the HTML part of the mail, which is also the page of a preview."""
    return _html.render(_variables(content))


def attach_pdf(message: EmailMessage, number: str, pdf: bytes) -> None:
    """Attaches an invoice's PDF to its mail."""
    message.add_attachment(pdf, maintype="application", subtype="pdf", filename=f"{number}.pdf")


def _variables(content: Content) -> dict[str, Any]:
    return {name: getattr(content, name) for name in Content.__slots__}
