"""Sending an invoice is interrupted at each step: mails sent, state on record, and what repeating the key does."""

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from harness import ProcessCrash, Service, break_at

PATH = "/admin/orders/1002/send-invoice"

STEPS = ["BatchGetItem", "TransactWriteItems 1", "PutObject", "SendEmail", "TransactWriteItems 2"]
"""The steps of sending an invoice, in order."""


def story(service: Service) -> list[tuple[int, int]]:
    """Returns the answers to the repeated key, at once and half a minute later, each with the number of mails."""
    told = []
    for _ in range(2):
        answer = service.post(PATH, idempotency_key="k")
        told.append((answer.status, len(service.mails)))
        service.clock.sleep(31)
    return told


def states(service: Service) -> list[str]:
    return [mailing["state"] for invoice in service.documents("1002") for mailing in invoice["mailings"]]


NOTHING_HAPPENED: Any = ([], [(200, 1), (200, 1)])
BEGUN: Any = (["sending"], [(409, 0), (504, 0)])
MAILED: Any = (["sending"], [(409, 1), (504, 1)])
RECORDED: Any = (["sent"], [(200, 1), (200, 1)])


@pytest.mark.slow
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
def test_process_crash(service: Service, moment: str, step: str, then: Any) -> None:
    repair = break_at(step, moment, ProcessCrash())
    with pytest.raises(ProcessCrash):
        service.post(PATH, idempotency_key="k")
    repair()
    ledger, answers = then
    assert states(service) == ledger
    assert story(service) == answers
    # Nothing stays blocked: SES reports are recorded, another request sends another mail, the order can be cancelled.
    if ledger == ["sending"]:
        service.report("Send", "1002", 1)
        assert states(service) == ["sent"]
    assert service.post(PATH, {"notes": "another"}).status == 200
    # Whatever was interrupted, the order has one invoice, and each mail brought the same PDF.
    [invoice] = service.documents("1002")
    assert (invoice["number"], invoice["archived"]) == ("INV-2026-00001", True)
    assert len({next(mail.iter_attachments()).get_content() for mail in service.mails}) == 1
    assert service.post("/admin/orders/1002/cancel").status == 204
    assert [each["number"] for each in service.documents("1002")] == ["INV-2026-00001", "INV-2026-00002"]


@pytest.mark.parametrize(
    ("step", "status", "then"),
    [
        ("BatchGetItem", 503, NOTHING_HAPPENED),
        # The attempt began and was not continued, so all that is known is that the mail may have left.
        ("TransactWriteItems 1", 503, BEGUN),
        # Stored or not, no mail left without a record.
        ("PutObject", 503, (["failed"], [(200, 1), (200, 1)])),
        ("SendEmail", 504, (["unknown"], [(504, 1), (504, 1)])),
        # SES accepted the mail: the caller is told, and the record was written.
        ("TransactWriteItems 2", 200, RECORDED),
    ],
)
def test_aws_answer_is_lost(service: Service, step: str, status: int, then: Any) -> None:
    repair = break_at(step, "after", ReadTimeoutError(endpoint_url="https://aws"))
    assert service.post(PATH, idempotency_key="k").status == status
    repair()
    ledger, answers = then
    assert states(service) == ledger
    assert story(service) == answers


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_interrupted_request_never_sends_two_mails(service: Service, step: str, moment: str) -> None:
    repair = break_at(step, moment, ProcessCrash())
    with pytest.raises(ProcessCrash):
        service.post(PATH)
    repair()
    for _ in range(5):
        service.post(PATH)
        service.clock.sleep(5)
    assert len(service.mails) <= 1
