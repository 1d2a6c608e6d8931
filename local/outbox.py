"""Reads the mails that moto's SES has accepted."""

import base64
import email
import email.policy
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage, Message
from email.utils import getaddresses
from typing import Any

from local.cloudformation import ACCOUNT

TAGS_HEADER = "X-SES-MESSAGE-TAGS"


@dataclass(frozen=True)
class Attachment:
    """A file in a mail."""

    filename: str
    content_type: str
    content: bytes

    @property
    def size(self) -> int:
        """The size in bytes."""
        return len(self.content)


@dataclass(frozen=True)
class Mail:
    """A mail.

    Attributes:
        id: The message id that SES returned.
        to: The recipients' bare addresses, separated by commas.
        sender: The From header.
        subject: The Subject header.
        html: The HTML body, if there is one.
        text: The plain-text body, if there is one.
        tags: The message tags that SES attaches to its events.
        attachments: The attached files.
    """

    id: str
    to: str
    sender: str
    subject: str
    html: str | None
    text: str | None
    tags: dict[str, str]
    attachments: tuple[Attachment, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the mail without the content of its attachments."""
        return {
            "to": self.to,
            "from": self.sender,
            "subject": self.subject,
            "html": self.html,
            "text": self.text,
            "tags": self.tags,
            "attachments": [
                {"filename": file.filename, "content_type": file.content_type, "size": file.size}
                for file in self.attachments
            ],
        }


class Outbox:
    """All mails that moto's SES has accepted in a region."""

    def __init__(self, region: str) -> None:
        self._region = region

    def mails(self) -> list[Mail]:
        """Returns all mails, oldest first."""
        return [_read(message) for message in list(self._sent())]

    def version(self) -> str:
        """Returns a short text that changes whenever a mail is sent or the outbox is cleared."""
        sent = list(self._sent())
        return f"{len(sent)}-{sent[-1].id}" if sent else "0"

    def clear(self) -> None:
        """Deletes all mails."""
        self._sent().clear()

    def _sent(self) -> list[Any]:
        from moto.backends import get_backend  # noqa: PLC0415 - moto is slow to import

        sent: list[Any] = get_backend("ses")[ACCOUNT][self._region].sent_messages
        return sent


def read_raw(raw: str, recipients: Sequence[str], message_id: str = "") -> Mail:
    """Parses a mail in the format that goes over the wire."""
    message = email.message_from_bytes(raw.encode(), _class=EmailMessage, policy=email.policy.default)
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    return Mail(
        id=message_id,
        to=", ".join(dict.fromkeys(address for _, address in getaddresses(recipients))),
        sender=str(message["From"] or ""),
        subject=str(message["Subject"] or ""),
        html=_with_images(message, html.get_content()) if html else None,
        text=text.get_content() if text else None,
        tags=_tags(str(message[TAGS_HEADER] or "")),
        attachments=tuple(
            Attachment(
                filename=part.get_filename() or "unnamed",
                content_type=part.get_content_type(),
                content=_content(part),
            )
            for part in message.iter_attachments()
        ),
    )


def _read(message: Any) -> Mail:
    if hasattr(message, "raw_data"):
        return read_raw(message.raw_data, message.destinations, message.id)
    # This is all that moto keeps of a mail that was not sent raw. It does not say whether the body is HTML.
    return Mail(
        id=message.id,
        to=", ".join(address for addresses in message.destinations.values() for address in addresses),
        sender=message.source,
        subject=getattr(message, "subject", ""),
        html=None,
        text=getattr(message, "body", ""),
        tags={},
        attachments=(),
    )


def _with_images(message: EmailMessage, html: str) -> str:
    """Puts the images that come with a mail into its HTML, so that the page shows them."""
    for part in message.walk():
        if name := str(part["Content-ID"] or "").strip("<>"):
            data = base64.b64encode(_content(part)).decode()
            html = html.replace(f"cid:{name}", f"data:{part.get_content_type()};base64,{data}")
    return html


def _content(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _tags(header: str) -> dict[str, str]:
    """Parses `order_id=1002, invoice=INV-2026-00001` as SES does."""
    pairs = (pair.partition("=") for pair in header.split(",") if "=" in pair)
    return {name.strip(): value.strip() for name, _, value in pairs}
