"""No call of AWS may outlast the function that makes it: what a dead function was doing, nobody knows."""

from typing import Any

from harness import TEMPLATE

from orders import aws
from orders.ledger import MAIL_LEASE

GATEWAY = 30
"""Seconds that API Gateway waits for an answer.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
"""


def longest(config: Any) -> float:
    """Seconds that a call can take: each attempt, and the pause before each repetition (a second at most)."""
    attempts = config.retries["total_max_attempts"]
    total: float = attempts * (config.connect_timeout + config.read_timeout) + (attempts - 1)
    return total


def timeout(function: str) -> float:
    return TEMPLATE.functions[function].timeout


def test_every_function_answers_before_the_gateway_hangs_up() -> None:
    assert all(timeout(route.function) < GATEWAY for route in TEMPLATE.routes)


def test_a_cancellation_and_a_comment_end_in_time() -> None:
    assert longest(aws.DYNAMODB) < timeout("CancelOrderFunction")
    assert 2 * longest(aws.DYNAMODB) < timeout("AddCommentFunction")


def test_an_invoice_is_recorded_before_its_function_ends() -> None:
    assert 3 * longest(aws.DYNAMODB) + longest(aws.SES) < timeout("SendInvoiceFunction")


def test_a_batch_of_notices_ends_in_time() -> None:
    [stream] = [stream for stream in TEMPLATE.streams if stream.function == "NotifyCustomerFunction"]
    # For each: the order is read, the notice begun, mailed and ended. Lambda allows ten seconds more for a cold start.
    assert stream.batch_size * (3 * longest(aws.DYNAMODB) + longest(aws.SES)) < timeout(stream.function)


def test_a_mailing_holds_the_order_for_as_long_as_its_function_can_live() -> None:
    assert MAIL_LEASE.total_seconds() >= timeout("SendInvoiceFunction")


def test_a_mail_is_tried_once() -> None:
    assert longest(aws.SES) == aws.SES.connect_timeout + aws.SES.read_timeout  # type: ignore[attr-defined]
