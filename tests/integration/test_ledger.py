"""The recorded state, the answer and the number of mails, for each behaviour of SES."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from harness import Service
from ses_endpoint import Ses, closed_port, ses_endpoint, use_ses

from orders import aws
from orders.mailing.mail import get_mailer

PATH = "/admin/orders/1002/send-invoice"


def _client_error(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "in table OrdersTable"}}
    return ClientError(answer | {"ResponseMetadata": {"HTTPStatusCode": status}}, "Operation")


OUTCOMES = [
    # behaviour of SES         answer, ledger,  mails, repeated key: answer, mails in total
    ("ok", 200, "sent", 1, 200, 1),
    ("400", 502, "failed", 0, 200, 1),
    ("403", 502, "failed", 0, 200, 1),
    ("404", 502, "failed", 0, 200, 1),
    ("429", 503, "failed", 0, 200, 1),
    ("quota", 503, "failed", 0, 200, 1),
    ("500", 504, "unknown", 0, 504, 0),
    ("503", 504, "unknown", 0, 504, 0),
    ("500 after accepting it", 504, "unknown", 1, 504, 1),
    pytest.param("hangs", 504, "unknown", 0, 504, 0, marks=pytest.mark.slow),
    pytest.param("hangs after accepting it", 504, "unknown", 1, 504, 1, marks=pytest.mark.slow),
    ("drops", 504, "unknown", 0, 504, 0),
    ("drops after accepting it", 504, "unknown", 1, 504, 1),
    ("garbles", 504, "unknown", 1, 504, 1),
]


@pytest.mark.parametrize("key", [{"idempotency_key": "k"}, {}], ids=["with a key", "double click"])
@pytest.mark.parametrize(("behaviour", "status", "state", "mails", "then", "in_all"), OUTCOMES)
def test_answer_and_record_tell_every_outcome(
    service: Service,
    ses: Ses,
    behaviour: str,
    status: int,
    state: str,
    mails: int,
    then: int,
    in_all: int,
    key: dict[str, str],
) -> None:
    ses.behaviour = behaviour
    answer = service.post(PATH, **key)
    assert answer.status == status
    assert ses.requests == 1
    assert ses.accepted == mails
    [invoice] = service.invoices("1002")
    assert invoice["outcome"] == state
    assert "mailing" not in service.order("1002")
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert "bob@" not in (answer.text or "")
        assert invoice["reason"]
    if status == 503:
        assert int(answer.headers["retry-after"]) > 0

    ses.behaviour = "ok"
    again = service.post(PATH, **key)
    assert again.status == then
    assert ses.accepted == in_all
    assert [each["outcome"] for each in service.invoices("1002")][:1] == [state]


def test_unreachable_ses_is_a_retryable_failure(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    use_ses(f"http://127.0.0.1:{closed_port()}", monkeypatch)
    answer = service.post(PATH, idempotency_key="k")
    assert answer.status == 502
    assert answer.json["type"] == "urn:problem:orders:mail-refused"
    assert [invoice["outcome"] for invoice in service.invoices("1002")] == ["failed"]
    with ses_endpoint() as ses:
        use_ses(ses.url, monkeypatch)
        again = service.post(PATH, idempotency_key="k")
        assert (again.status, ses.accepted) == (200, 1)
        # Each attempt has its own record. The number is that of the invoice.
        assert again.headers["location"].endswith("INV-2026-00001")
        assert [invoice["outcome"] for invoice in service.invoices("1002")] == ["failed", "sent"]
        assert service.post(PATH, idempotency_key="k").headers == again.headers
        assert ses.accepted == 1


def test_connections_that_ses_may_have_closed_are_not_reused(service: Service, ses: Ses) -> None:
    for n in range(3):
        assert service.post(PATH, idempotency_key=str(n)).status == 200
    assert ses.connections == 3


def test_process_crashes_after_sending(service: Service, ses: Ses) -> None:
    class ProcessCrash(BaseException):
        pass

    def die(**_: object) -> None:
        raise ProcessCrash

    aws.ses().meta.events.register("after-call.sesv2.SendEmail", die)
    get_mailer.cache_clear()
    with pytest.raises(ProcessCrash):
        service.post(PATH, idempotency_key="k")
    assert [invoice["outcome"] for invoice in service.invoices("1002")] == ["sending"]
    aws.ses.cache_clear()
    get_mailer.cache_clear()

    # At first another process may still be working on it …
    answer = service.post(PATH, idempotency_key="k")
    assert answer.status == 409
    assert answer.json["type"] == "urn:problem:orders:still-running"
    assert int(answer.headers["retry-after"]) > 0
    # … then that is ruled out, and the outcome of the mail is unknown.
    service.clock.sleep(int(answer.headers["retry-after"]))
    answer = service.post(PATH, idempotency_key="k")
    assert answer.status == 504
    assert answer.json["type"] == "urn:problem:orders:mail-unknown"
    assert ses.accepted == 1
    # The crashed process does not block the order.
    assert service.post("/admin/orders/1002/cancel").status == 204


def test_accepted_mail_is_a_success_even_if_recording_it_fails(service: Service, ses: Ses) -> None:
    def fail(**_: object) -> None:
        raise _client_error("InternalServerError", 500)

    aws.ses().meta.events.register(
        "after-call.sesv2.SendEmail",
        lambda **_: aws.dynamodb().meta.events.register("before-call.dynamodb.TransactWriteItems", fail),
    )
    assert service.post(PATH, idempotency_key="k").status == 200
    aws.dynamodb().meta.events.unregister("before-call.dynamodb.TransactWriteItems", fail)
    # The record makes no false claim, and the mail is not sent again.
    assert [invoice["outcome"] for invoice in service.invoices("1002")] == ["sending"]
    service.clock.sleep(31)
    assert service.post(PATH, idempotency_key="k").status == 504
    assert ses.accepted == 1


def test_cancellation_waits_for_a_mail_in_progress(service: Service, ses: Ses) -> None:
    answers = []

    def cancel_meanwhile(**_: object) -> None:
        answers.append(service.post("/admin/orders/1002/cancel"))

    aws.ses().meta.events.register("before-call.sesv2.SendEmail", cancel_meanwhile)
    assert service.post(PATH).status == 200
    [refused] = answers
    assert refused.status == 409
    assert refused.json["type"] == "urn:problem:orders:still-running"
    assert int(refused.headers["retry-after"]) > 0
    assert service.order("1002")["order_status"] == "in_progress"
    assert service.post("/admin/orders/1002/cancel").status == 204


@pytest.mark.parametrize("operation", ["BatchGetItem", "TransactWriteItems"])
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (EndpointConnectionError(endpoint_url="https://dynamodb"), 503),
        (ReadTimeoutError(endpoint_url="https://dynamodb"), 503),
        (_client_error("ThrottlingException", 400), 503),
        (_client_error("InternalServerError", 500), 503),
        (_client_error("AccessDeniedException", 400), 500),
        (_client_error("ResourceNotFoundException", 400), 500),
    ],
    ids=lambda fault: getattr(fault, "code", type(fault).__name__),
)
def test_nothing_is_mailed_without_dynamodb(
    service: Service, ses: Ses, operation: str, fault: Exception, status: int
) -> None:
    def fail(**_: object) -> None:
        raise fault

    aws.dynamodb().meta.events.register(f"before-call.dynamodb.{operation}", fail)
    answer = service.post(PATH, idempotency_key="k")
    assert (answer.status, ses.requests) == (status, 0)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "dynamodb" not in (answer.text or "").lower()
    aws.dynamodb().meta.events.unregister(f"before-call.dynamodb.{operation}", fail)
    assert service.post(PATH, idempotency_key="k").status == 200
    assert ses.accepted == 1


def test_cancellation_by_another_system_prevents_sending(service: Service, ses: Ses) -> None:
    """Another system cancels directly in the table between our read and our write, without raising the version."""

    def cancel_elsewhere(**_: object) -> None:
        aws.dynamodb().meta.events.unregister("before-call.dynamodb.TransactWriteItems", cancel_elsewhere)
        aws.dynamodb().update_item(
            TableName="OrdersTable",
            Key={"pk": {"S": "ORDER#1002"}, "sk": {"S": "ORDER"}},
            UpdateExpression="SET order_status = :cancelled",
            ExpressionAttributeValues={":cancelled": {"S": "cancelled"}},
        )

    aws.dynamodb().meta.events.register("before-call.dynamodb.TransactWriteItems", cancel_elsewhere)
    answer = service.post(PATH)
    assert (answer.status, answer.json["order_status"]) == (409, "cancelled")
    assert ses.requests == 0
