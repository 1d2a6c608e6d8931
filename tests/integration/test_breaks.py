"""Wherever sending an invoice breaks off: how many mails left, what the record says, what the same key does next."""

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from harness import Death, Service, break_at

PATH = "/admin/orders/1002/send-invoice"

STEPS = ["BatchGetItem", "TransactWriteItems 1", "PutObject", "SendEmail", "TransactWriteItems 2"]
"""What sending does, one after the other."""


def story(service: Service) -> list[tuple[int, int]]:
    """What the same key is answered at once and half a minute later, and how many mails there are each time."""
    told = []
    for _ in range(2):
        answer = service.post(PATH, idempotency_key="k")
        told.append((answer.status, len(service.mails)))
        service.clock.sleep(31)
    return told


def states(service: Service) -> list[str]:
    return [invoice["state"] for invoice in service.get("/admin/orders/1002/invoices").json["invoices"]]


NOTHING_HAPPENED: Any = ([], [(200, 1), (200, 1)])
BEGUN: Any = (["sending"], [(409, 0), (504, 0)])
MAILED: Any = (["sending"], [(409, 1), (504, 1)])
RECORDED: Any = (["sent"], [(200, 1), (200, 1)])


@pytest.mark.parametrize(
    ("moment", "step", "then"),
    [
        ("before", "BatchGetItem", NOTHING_HAPPENED),
        ("after", "BatchGetItem", NOTHING_HAPPENED),
        ("before", "TransactWriteItems 1", NOTHING_HAPPENED),
        ("after", "TransactWriteItems 1", BEGUN),
        ("before", "PutObject", BEGUN),
        ("after", "PutObject", BEGUN),
        ("before", "SendEmail", BEGUN),
        ("after", "SendEmail", MAILED),
        ("before", "TransactWriteItems 2", MAILED),
        ("after", "TransactWriteItems 2", RECORDED),
    ],
)
def test_the_process_dies(service: Service, moment: str, step: str, then: Any) -> None:
    mend = break_at(step, moment, Death())
    with pytest.raises(Death):
        service.post(PATH, idempotency_key="k")
    mend()
    ledger, answers = then
    assert states(service) == ledger
    assert story(service) == answers
    # It holds nobody up: SES tells what it took, another request is another mail, the order can be cancelled.
    if ledger == ["sending"]:
        service.report("Send", "1002", "INV-1002-1")
        assert states(service) == ["sent"]
    assert service.post(PATH, {"notes": "another"}).status == 200
    assert service.post("/admin/orders/1002/cancel").status == 204


@pytest.mark.parametrize(
    ("step", "status", "then"),
    [
        ("BatchGetItem", 503, NOTHING_HAPPENED),
        # It began, and nobody went on: what is known is that it may have left.
        ("TransactWriteItems 1", 503, BEGUN),
        # Stored or not, nothing was mailed without knowing.
        ("PutObject", 503, (["failed"], [(200, 1), (200, 1)])),
        ("SendEmail", 504, (["unknown"], [(504, 1), (504, 1)])),
        # SES took it: the caller is told, and the record was written.
        ("TransactWriteItems 2", 200, RECORDED),
    ],
)
def test_aws_does_it_and_its_answer_is_lost(service: Service, step: str, status: int, then: Any) -> None:
    mend = break_at(step, "after", ReadTimeoutError(endpoint_url="https://aws"))
    assert service.post(PATH, idempotency_key="k").status == status
    mend()
    ledger, answers = then
    assert states(service) == ledger
    assert story(service) == answers


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_no_break_makes_two_mails_of_one_request(service: Service, step: str, moment: str) -> None:
    mend = break_at(step, moment, Death())
    with pytest.raises(Death):
        service.post(PATH)
    mend()
    for _ in range(5):
        service.post(PATH)
        service.clock.sleep(5)
    assert len(service.mails) <= 1
