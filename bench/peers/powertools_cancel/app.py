"""Cancels an order, written as in the documentation of Powertools, with boto3's resource."""

import os
import re
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import (
    ForbiddenError,
    NotFoundError,
    ServiceError,
    UnauthorizedError,
)
from aws_lambda_powertools.event_handler.openapi.params import Body, Path
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

logger = Logger()
metrics = Metrics()
app = APIGatewayHttpResolver(enable_validation=True)
table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])

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


def caller() -> tuple[str, str]:
    """Reads the caller and the role from the claims that API Gateway has verified."""
    claims: dict[str, Any] = app.current_event.request_context.authorizer.jwt_claim or {}
    if not claims.get("sub"):
        raise UnauthorizedError("The token is missing or invalid.")
    if not app.current_event.path.startswith("/admin/"):
        return claims["sub"], "customer"
    groups = claims.get("cognito:groups", "")
    if "admins" not in groups.strip("[]").split(" ") and "orders/admin" not in claims.get("scope", "").split(" "):
        raise ForbiddenError("This is for admins.")
    return claims["sub"], "admin"


@app.post("/orders/<order_id>/cancel")
@app.post("/admin/orders/<order_id>/cancel")
def cancel(
    order_id: Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")],
    request: Annotated[CancelRequest | None, Body()] = None,
) -> Response[None]:
    """Cancels an order, unless a rule forbids it."""
    who, role = caller()
    values: dict[str, Any] = {
        ":cancelled": "cancelled",
        ":one": 1,
        ":at": datetime.now(UTC).isoformat(),
        ":by": who,
        ":as": role,
        ":reason": request.reason if request else None,
        ":now": int(time.time()),
        **{f":o{n}": status for n, status in enumerate(OPEN)},
        **{f":s{n}": status for n, status in enumerate(SHIPPING[role])},
    }
    condition = (
        f"order_status IN ({', '.join(f':o{n}' for n in range(len(OPEN)))})"
        f" AND shipping_status IN ({', '.join(f':s{n}' for n in range(len(SHIPPING[role])))})"
        " AND (attribute_not_exists(mailing) OR mailing_until < :now)"
    )
    if role == "customer":
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
        if not item or (role == "customer" and item["customer_id"]["S"] != who):
            raise NotFoundError("There is no such order.") from error
        if item["order_status"]["S"] != "cancelled":
            raise ServiceError(HTTPStatus.CONFLICT, "The order can no longer be cancelled.") from error
    metrics.add_metric(name="OrdersCancelled", unit=MetricUnit.Count, value=1)
    logger.info("cancelled", order_id=order_id)
    return Response(HTTPStatus.NO_CONTENT.value)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handles an event from API Gateway."""
    return app.resolve(event, context)
