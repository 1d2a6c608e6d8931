"""What the service has mailed, as moto's SES keeps it."""

import email
import email.policy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from email.message import EmailMessage, Message
from email.utils import getaddresses
from typing import Any

from local.template import ACCOUNT

TAGS_HEADER = "X-SES-MESSAGE-TAGS"


@dataclass(frozen=True)
class Attachment:
    """A file in a mail."""

    filename: str
    content_type: str
    content: bytes

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content)


@dataclass(frozen=True)
class Mail:
    """A mail. `to` is whom SES delivers to: a bare address, or several with commas."""

    to: str
    sender: str
    subject: str
    html: str | None
    text: str | None
    tags: dict[str, str]
    attachments: tuple[Attachment, ...]

    def to_json(self) -> dict[str, Any]:
        """The mail without the content of its attachments."""
        found = asdict(self)
        found["from"] = found.pop("sender")
        found["attachments"] = [
            {"filename": file.filename, "content_type": file.content_type, "size": file.size}
            for file in self.attachments
        ]
        return found


class Outbox:
    """All mails that moto's SES has taken in a region."""

    def __init__(self, region: str) -> None:
        self._region = region

    def mails(self) -> list[Mail]:
        """All mails, oldest first."""
        return [_read(message) for message in list(self._sent())]

    def clear(self) -> None:
        """Forgets them all."""
        self._sent().clear()

    def _sent(self) -> list[Any]:
        from moto.backends import get_backend  # noqa: PLC0415 - not before moto is wanted, it is slow

        sent: list[Any] = get_backend("ses")[ACCOUNT][self._region].sent_messages
        return sent


def read_raw(raw: str, recipients: Sequence[str]) -> Mail:
    """Reads a mail as it goes over the wire."""
    message = email.message_from_bytes(raw.encode(), _class=EmailMessage, policy=email.policy.default)
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    return Mail(
        to=", ".join(dict.fromkeys(address for _, address in getaddresses(recipients))),
        sender=str(message["From"] or ""),
        subject=str(message["Subject"] or ""),
        html=html.get_content() if html else None,
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
        return read_raw(message.raw_data, message.destinations)
    # Moto keeps this much of a mail that was not sent raw, whether its body is HTML or not.
    return Mail(
        to=", ".join(address for addresses in message.destinations.values() for address in addresses),
        sender=message.source,
        subject=getattr(message, "subject", ""),
        html=None,
        text=getattr(message, "body", ""),
        tags={},
        attachments=(),
    )


def _content(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _tags(header: str) -> dict[str, str]:
    """`order_id=1002, invoice=INV-1002-1`, as SES reads it."""
    pairs = (pair.partition("=") for pair in header.split(",") if "=" in pair)
    return {name.strip(): value.strip() for name, _, value in pairs}
