"""No AWS call may outlast its function: the outcome of a call by a terminated function would be unknown."""

from typing import Any

from harness import TEMPLATE

from orders import aws
from orders.ledger import MAIL_LEASE

GATEWAY = 30
"""Seconds that API Gateway waits for an answer.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
"""


def longest(config: Any) -> float:
    """Returns the longest duration of a call in seconds: all attempts, and pauses of up to a second between them."""
    attempts = config.retries["total_max_attempts"]
    total: float = attempts * (config.connect_timeout + config.read_timeout) + (attempts - 1)
    return total


def timeout(function: str) -> float:
    return TEMPLATE.functions[function].timeout


def test_every_function_answers_before_the_gateway_times_out() -> None:
    assert all(timeout(route.function) < GATEWAY for route in TEMPLATE.routes)


def test_cancellation_and_comment_end_in_time() -> None:
    assert longest(aws.DYNAMODB) < timeout("CancelOrderFunction")
    assert 2 * longest(aws.DYNAMODB) < timeout("AddCommentFunction")


def test_invoice_is_recorded_before_its_function_ends() -> None:
    assert 3 * longest(aws.DYNAMODB) + longest(aws.SES) < timeout("SendInvoiceFunction")


def test_batch_of_notices_ends_in_time() -> None:
    [stream] = [stream for stream in TEMPLATE.streams if stream.function == "NotifyCustomerFunction"]
    # Each notice reads order and comment, records the start, mails, and records the end. A cold start has 10 s more.
    assert stream.batch_size * (4 * longest(aws.DYNAMODB) + longest(aws.SES)) < timeout(stream.function)


def test_mailing_locks_the_order_for_the_functions_timeout() -> None:
    assert MAIL_LEASE.total_seconds() >= timeout("SendInvoiceFunction")


def test_mail_is_attempted_once() -> None:
    assert longest(aws.SES) == aws.SES.connect_timeout + aws.SES.read_timeout  # type: ignore[attr-defined]
