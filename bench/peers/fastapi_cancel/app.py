"""Cancels an order, written with FastAPI, Mangum and boto3's resource."""

import json
import logging
import os
import re
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import boto3
from botocore.exceptions import ClientError
from fastapi import Depends, FastAPI, HTTPException, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from mangum import Mangum
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger("orders")
logger.setLevel(logging.INFO)

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])
app = FastAPI(title="Orders", docs_url=None, redoc_url=None, openapi_url=None)

OPEN = ["draft", "in_progress", "paused", "reopened"]
SHIPPING = {"customer": ["awaiting_shipment"], "admin": ["awaiting_shipment", "partial"]}


def printable(text: str) -> str:
    """Refuses control characters."""
    if re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text):
        raise ValueError("must not contain control characters")
    return text


class CancelRequest(BaseModel):
    """The body of a cancellation."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[StrictStr, Field(max_length=500), AfterValidator(printable)] | None = None


class Caller(BaseModel):
    """The identity of a caller."""

    id: str
    role: str


def caller(request: Request) -> Caller:
    """Reads the claims that API Gateway has verified."""
    context = request.scope["aws.event"].get("requestContext", {})
    claims = context.get("authorizer", {}).get("jwt", {}).get("claims", {})
    if not claims.get("sub"):
        raise HTTPException(401, "The token is missing or invalid.")
    if not request.url.path.startswith("/admin/"):
        return Caller(id=claims["sub"], role="customer")
    groups = claims.get("cognito:groups", "")
    if "admins" not in groups.strip("[]").split(" ") and "orders/admin" not in claims.get("scope", "").split(" "):
        raise HTTPException(403, "This is for admins.")
    return Caller(id=claims["sub"], role="admin")


@app.exception_handler(HTTPException)
def problem(request: Request, error: HTTPException) -> JSONResponse:
    """Answers an error with a problem document (RFC 9457)."""
    body = {"type": "about:blank", "title": error.detail, "status": error.status_code, "instance": request.url.path}
    return JSONResponse(body, error.status_code, media_type="application/problem+json")


@app.exception_handler(RequestValidationError)
def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """Names the invalid fields."""
    fields = [{"field": ".".join(map(str, each["loc"][1:])), "message": each["msg"]} for each in error.errors()]
    body = {"type": "about:blank", "title": "Not valid", "status": 422, "errors": fields}
    return JSONResponse(body, 422, media_type="application/problem+json")


@app.post("/orders/{order_id}/cancel", status_code=204)
@app.post("/admin/orders/{order_id}/cancel", status_code=204)
def cancel(
    order_id: Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")],
    who: Annotated[Caller, Depends(caller)],
    request: CancelRequest | None = None,
) -> Response:
    """Cancels an order, unless a rule forbids it."""
    values: dict[str, Any] = {
        ":cancelled": "cancelled",
        ":one": 1,
        ":at": datetime.now(UTC).isoformat(),
        ":by": who.id,
        ":as": who.role,
        ":reason": request.reason if request else None,
        ":now": int(time.time()),
        **{f":o{n}": status for n, status in enumerate(OPEN)},
        **{f":s{n}": status for n, status in enumerate(SHIPPING[who.role])},
    }
    condition = (
        f"order_status IN ({', '.join(f':o{n}' for n in range(len(OPEN)))})"
        f" AND shipping_status IN ({', '.join(f':s{n}' for n in range(len(SHIPPING[who.role])))})"
        " AND (attribute_not_exists(mailing) OR mailing_until < :now)"
    )
    if who.role == "customer":
        condition += " AND customer_id = :by"
    try:
        table.update_item(
            Key={"pk": f"ORDER#{order_id}", "sk": "ORDER"},
            UpdateExpression="SET order_status = :cancelled, version = version + :one,"
            " status_before_cancel = order_status, refund_due = paid, cancelled_at = :at, cancelled_by = :by,"
            " cancelled_as = :as, cancel_reason = :reason",
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        item = error.response.get("Item")
        if not item or (who.role == "customer" and item["customer_id"]["S"] != who.id):
            raise HTTPException(404, "There is no such order.") from error
        if item["order_status"]["S"] != "cancelled":
            raise HTTPException(409, "The order can no longer be cancelled.") from error
    logger.info(json.dumps({"message": "cancelled", "order_id": order_id}))
    return Response(status_code=204)


handler = Mangum(app, lifespan="off")
