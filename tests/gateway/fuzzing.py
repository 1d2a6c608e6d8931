"""Hooks for schemathesis: requirements of the API that a schema cannot express."""

from hashlib import sha256
from typing import Any

import schemathesis

TOTALS = ("sub_total", "total_tax", "grand_total", "items_total", "due")


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Any, kwargs: dict[str, Any]) -> None:
    """Makes the parts of valid requests fit together. Requests that must be refused are left unchanged."""
    if case.meta is None or case.meta.generation.mode is not schemathesis.GenerationMode.POSITIVE:
        return
    # A cursor comes from an earlier page, and a condition consists of entity tags: neither is arbitrary text.
    case.query.pop("cursor", None)
    if "email" in case.query:
        # An address has rules that a pattern cannot express.
        case.query["email"] = "alice@example.com"
    for name in ("if-match", "if-none-match"):
        if name in case.headers:
            case.headers[name] = '"1"'
    body = case.body if isinstance(case.body, dict) else {}
    if order_id := case.path_parameters.get("order_id"):
        # An order's id in the body must equal the path's.
        body.update((name, order_id.replace("%2F", "/")) for name in ("id", "order_id") if name in body)
    if case.operation.definition.raw["operationId"] == "createOrder":
        # Without totals, the order adds up.
        for part, names in ((body, TOTALS), *((line, ["total_amount"]) for line in body["order_line_details"])):
            for name in names:
                part.pop(name, None)
    if key := case.headers.get("idempotency-key"):
        # A key belongs to one request.
        case.headers["idempotency-key"] = key[:191] + sha256(f"{case.path_parameters} {body}".encode()).hexdigest()
