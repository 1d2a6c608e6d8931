"""Domain errors: every failure that callers see. `orders.http` maps them to responses."""

from collections.abc import Sequence
from typing import Any, ClassVar


class DomainError(Exception):
    """An operation did not succeed, for a reason that the caller may know.

    Attributes:
        detail: What happened and what to do next. Holds no text that a person wrote.
        retry_after: Seconds after which the same request may succeed, or None.
        reason: Error code or type from AWS or the network, for our own records. Not part of the answer.
        facts: Further facts for the caller.
    """

    default_detail: ClassVar[str] = "The error is logged under this request_id."

    def __init__(
        self,
        detail: str | None = None,
        *,
        retry_after: int | None = None,
        reason: str | None = None,
        **facts: Any,
    ) -> None:
        self.detail = detail or self.default_detail
        self.retry_after = retry_after
        self.reason = reason
        self.facts = facts
        super().__init__(self.detail)


class MalformedBody(DomainError):
    """The body is not JSON (RFC 8259)."""

    default_detail = "Send one JSON object, encoded in UTF-8."


class Unauthenticated(DomainError):
    """The authorizer passed no claims that identify the caller."""

    default_detail = "Send an access token: Authorization: Bearer <JWT>."


class Forbidden(DomainError):
    """The caller is known but not allowed to do this."""

    default_detail = "This route requires the group admins or the scope orders/admin."


class RouteNotFound(DomainError):
    """The API has no such route."""

    default_detail = "This route does not exist. The API is described in openapi.json."


class OrderNotFound(DomainError):
    """The order does not exist or belongs to another customer; callers cannot tell which."""

    default_detail = "You have no order with this id."


class InvoiceNotFound(DomainError):
    """The order has no such invoice, or its PDF was not archived."""

    default_detail = "The order has no invoice with this number."


class CommentNotFound(DomainError):
    """The order has no such comment."""

    default_detail = "The order has no comment with this id."


class StateConflict(DomainError):
    """The state of the order forbids the operation. The facts include the order's statuses."""


class InvoiceOutdated(DomainError):
    """The buyer changed since the invoice was issued. The facts are its number and the changed fields."""


class EInvoiceIncomplete(DomainError):
    """The shop requires e-invoices, and the order lacks data for one.

    Args:
        lacking: Paths of fields, each with `: reason` if it is set but unfit.
    """

    default_detail = "This shop only sends e-invoices. No mail was sent. See errors for what is missing."

    def __init__(self, lacking: Sequence[str]) -> None:
        found = [each.partition(": ") for each in lacking]
        super().__init__(errors=[{"field": field, "message": reason or "is missing"} for field, _, reason in found])


class StillRunning(DomainError):
    """Another operation must end first. The same request may succeed after `retry_after` seconds."""


class OrderExists(DomainError):
    """Another order has this id."""

    default_detail = "Nothing was changed."


class Outdated(DomainError):
    """The order changed since the version that the request is based on.

    Args:
        version: The order's current version.
        current: The order as it is now, as the caller may see it; left out if it was not read.
    """

    default_detail = "Nothing was changed. Read the order again, and retry with its ETag if that is still right."

    def __init__(self, version: int, current: dict[str, Any] | None = None) -> None:
        self.version = version
        super().__init__(
            "Nothing was changed. Check the order as it is now, in the member current, and retry with its version."
            if current
            else None
        )
        if current:
            self.facts["current"] = current


class TooLarge(DomainError):
    """The request is larger than any valid request."""


class UnsupportedMediaType(DomainError):
    """The body is declared as something other than JSON."""

    default_detail = "Send the header Content-Type: application/json."


class UnsupportedEncoding(DomainError):
    """The body is compressed or otherwise encoded (RFC 9110, section 8.4)."""

    default_detail = "Send the body without a Content-Encoding."


class Invalid(DomainError):
    """Fields of the request are invalid.

    Args:
        errors: Pairs of field and message; the field is a path such as `payment_settings.foo`.
    """

    default_detail = "Nothing was changed. See errors for each field."

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__(errors=[{"field": field, "message": message} for field, message in errors])


class KeyReused(DomainError):
    """The Idempotency-Key was used before with another body."""

    default_detail = "This key was already used with a different body. Use a new key for a new request."


class InternalError(DomainError):
    """A fault of ours: a bug, or a deployment that lacks a permission."""


class Unavailable(DomainError):
    """AWS throttles or did not answer in time. Safe to repeat with the same Idempotency-Key."""

    default_detail = (
        "AWS is throttling or slow to respond. "
        "Retry the request, with the same Idempotency-Key if it creates something."
    )

    def __init__(self, detail: str | None = None, *, retry_after: int = 2, reason: str | None = None) -> None:
        super().__init__(detail, retry_after=retry_after, reason=reason)


class TooManyRequests(DomainError):
    """The callers of a public route used up a limit. The same request may succeed after `retry_after` seconds."""

    default_detail = (
        "Too many requests named this order or this e-mail address, or came from your network. Nothing was recorded. "
        "Try again later, or contact the shop."
    )


class MailRefused(DomainError):
    """The mail service refused the mail or could not be reached: the mail was not sent."""


class MailUnknown(DomainError):
    """The mail service may or may not have accepted the mail. It is never retried automatically."""
