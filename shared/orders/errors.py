"""Everything that can go wrong, each as one problem of RFC 9457. `orders.http` turns them into answers."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

PROBLEM_TYPE = "urn:problem:orders:"
"""What the type URI of every problem begins with. Its slug follows."""


class Problem(Exception):
    """An answer that is not a success.

    Attributes:
        status: The HTTP status code.
        slug: The last part of the problem's type URI. Stable: clients branch on it.
        title: The problem in a few words, the same for each occurrence.
        detail: What happened this time and what to do next. Holds nothing that a person wrote.
        retry_after: Seconds after which the same request may succeed, or None.
        reason: AWS's or the network's word for what happened, for our own records. Not part of the answer.
        headers: Further headers of the answer.
        members: Further members of the problem document.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong on our side"
    default_detail: ClassVar[str] = "The error is logged under this request_id."

    def __init__(
        self,
        detail: str | None = None,
        *,
        retry_after: int | None = None,
        reason: str | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        self.detail = detail or self.default_detail
        self.retry_after = retry_after
        self.reason = reason
        self.headers = headers or {}
        self.members = members
        super().__init__(self.detail)


class MalformedBody(Problem):
    """The body is not JSON (RFC 8259)."""

    status = 400
    slug = "malformed-body"
    title = "The body is not valid JSON"
    default_detail = "Send one JSON object, encoded in UTF-8."


class Unauthenticated(Problem):
    """The authorizer handed over no claims that say who is calling."""

    status = 401
    slug = "unauthenticated"
    title = "Who is calling is not known"
    default_detail = "Send an access token: Authorization: Bearer <JWT>."


class Forbidden(Problem):
    """The caller is known and may not do this."""

    status = 403
    slug = "forbidden"
    title = "Only for admins"
    default_detail = "This needs the group admins or the scope orders/admin."


class NotFound(Problem):
    """No such route."""

    status = 404
    slug = "not-found"
    title = "Nothing here"
    default_detail = "There is no such route. The API is described in openapi.json."


class OrderNotFound(Problem):
    """There is no such order, or it is somebody else's: the two cannot be told apart."""

    status = 404
    slug = "order-not-found"
    title = "No such order"
    default_detail = "You have no order with this id."


class InvoiceNotFound(Problem):
    """The order has no such invoice, or its PDF was not archived."""

    status = 404
    slug = "invoice-not-found"
    title = "No such invoice"
    default_detail = "The order has no invoice with this number."


class StateConflict(Problem):
    """The state of the order forbids it. `members` say the state."""

    status = 409
    slug = "state-conflict"
    title = "The state of the order forbids this"


class StillRunning(Problem):
    """Something that must end first is under way. The same request may succeed after `retry_after` seconds."""

    status = 409
    slug = "still-running"
    title = "Another request for this order is under way"


class Outdated(Problem):
    """The order has changed since the version that the request was made for. The member `current` has it as it is."""

    status = 412
    slug = "outdated"
    title = "The order has changed meanwhile"
    default_detail = "Nothing was changed. Look at the order as it is now, in current, and repeat with its version."


class TooLarge(Problem):
    """The body is larger than any valid request."""

    status = 413
    slug = "body-too-large"
    title = "The body is too large"


class UnsupportedMediaType(Problem):
    """The body is declared as something else than JSON."""

    status = 415
    slug = "unsupported-media-type"
    title = "The body is not declared as JSON"
    default_detail = "Send the header Content-Type: application/json."


class Invalid(Problem):
    """Fields that are not as the contract has them.

    Args:
        errors: One pair (field, message) for each; the field as a path such as `payment_settings.foo`.
    """

    status = 422
    slug = "invalid-input"
    title = "The request is not valid"

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__(
            "Nothing was changed. See errors for each field.",
            errors=[{"field": field, "message": message} for field, message in errors],
        )


class KeyReused(Problem):
    """The Idempotency-Key was used before with another body."""

    status = 422
    slug = "idempotency-key-reused"
    title = "The Idempotency-Key belongs to another request"
    default_detail = "This key came with another body before. Use a new key for a new request."


class InternalError(Problem):
    """A fault of ours: a bug, or a deployment that lacks a permission."""


class Unavailable(Problem):
    """AWS throttles, or did not answer in time. Safe to repeat with the same Idempotency-Key."""

    status = 503
    slug = "unavailable"
    title = "Temporarily unavailable"
    default_detail = (
        "AWS is slow or throttles. Repeat the request, with the same Idempotency-Key if it creates something."
    )

    def __init__(self, detail: str | None = None, *, retry_after: int = 2, reason: str | None = None) -> None:
        super().__init__(detail, retry_after=retry_after, reason=reason)


class MailRefused(Problem):
    """The mail service said no, or could not be reached: the mail did not leave."""

    status = 502
    slug = "mail-refused"
    title = "The mail was not sent"


class MailUnknown(Problem):
    """The mail service did not say whether it took the mail. It is never sent again by itself."""

    status = 504
    slug = "mail-unknown"
    title = "It is not known whether the mail was sent"


class OrderExists(Problem):
    """There is already an order with this id."""

    status = 409
    slug = "order-exists"
    title = "There is already an order with this id"
    default_detail = "Nothing was changed."
