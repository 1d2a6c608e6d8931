"""Customer notices: from a DynamoDB stream record to the mail that the customer gets, if any."""

import contextlib
import copy
import io
import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from harness import (
    BOB,
    DYNAMODB_LOCAL,
    ERP,
    EVENTS,
    ROOT,
    TEMPLATE,
    ProcessCrash,
    Service,
    break_at,
    html_of,
    invoke,
    load,
)
from ses_endpoint import Ses, closed_port, ses_endpoint, use_ses

from local.streams import matches_filter
from orders import aws, telemetry

[STREAM] = [stream for stream in TEMPLATE.streams if stream.function == "NotifyCustomerFunction"]

ORDER = {
    "customer_id": "alice",
    "currency_code": "EUR",
    "customer_summary": {"email": "alice@example.com"},
    "order_line_details": [{"item_id": 1, "product_name": "Brunost", "quantity": 1, "price": "12.50"}],
}

Change = Callable[[Service], object]


def comment_on(order_id: str, claims: Any = None, **body: Any) -> Change:
    """Adds a comment to an order, by an admin or by Bob."""
    path = f"{'' if claims == BOB else '/admin'}/orders/{order_id}/comments"
    return lambda service: service.post(path, {"content": "Grüße – 你好", **body}, claims)


def cancel(path: str, **body: Any) -> Change:
    return lambda service: service.post(f"{path}/cancel", body or None)


def notice_of(mail: Any) -> str:
    """Returns the kind and the recipient of a notice, from the tags of its mail."""
    tags = dict(tag.split("=") for tag in mail["X-SES-MESSAGE-TAGS"].split(", "))
    return f"{tags['notice']} to {mail['To']}"


def told(service: Service) -> list[str]:
    """Returns all notices so far: those to customers, then those to the staff."""
    return [notice_of(mail) for mail in (*service.notices, *service.staff_mails)]


CHANGES: dict[str, tuple[Change, list[str]]] = {
    "admin comments": (comment_on("1001"), ["comment to alice@example.com"]),
    "admin comments with a key": (
        lambda service: service.post("/admin/orders/1002/comments", {"content": "x"}, idempotency_key="k"),
        ["comment to bob@example.com"],
    ),
    "machine client comments": (comment_on("1001", ERP), ["comment to alice@example.com"]),
    "admin comments, flagged but visible": (
        comment_on("1001", flagged=True, is_visible_to_customer=True),
        ["comment to alice@example.com"],
    ),
    "admin comments, flagged": (comment_on("1001", flagged=True), []),
    "admin comments internally": (comment_on("1001", is_visible_to_customer=False), []),
    "customer comments": (comment_on("1002", BOB), []),
    "customer comments, flagged": (comment_on("1002", BOB, flagged=True), ["staff_comment to staff@shop.example"]),
    "customer cancels": (
        cancel("/orders/1001"),
        ["cancellation to alice@example.com", "staff_cancellation to staff@shop.example"],
    ),
    "admin cancels": (cancel("/admin/orders/1002", reason="Aus"), ["cancellation to bob@example.com"]),
    "admin cancels a partly shipped order": (
        cancel("/admin/orders/1004"),
        ["cancellation to alice@example.com"],
    ),
    "customer withdraws": (
        lambda service: service.post("/orders/1003/withdraw", {"confirm": True}),
        ["withdrawal to alice@example.com", "staff_withdrawal to staff@shop.example"],
    ),
    "customer looks at the statement of a withdrawal": (lambda service: service.post("/orders/1003/withdraw"), []),
    "guest withdraws": (
        lambda service: service.post("/withdrawals", load("withdraw-as-guest")["body"]),
        ["withdrawal to alice@example.com", "staff_withdrawal to staff@shop.example"],
    ),
    "cancellation is refused": (cancel("/admin/orders/1003"), []),
    "cancelled order is cancelled again": (cancel("/admin/orders/1006"), []),
    "cancelled order is changed": (
        lambda service: service.patch("/admin/orders/1006", {"customer_summary": {"phone": "1"}}),
        [],
    ),
    "order is created": (lambda service: service.post("/admin/orders", {**ORDER, "order_id": "2001"}), []),
    "order is created with a key": (
        lambda service: service.post("/admin/orders", {**ORDER, "order_id": "2001"}, idempotency_key="k"),
        [],
    ),
    "order is created as cancelled": (
        lambda service: service.post("/admin/orders", {**ORDER, "order_id": "2001", "order_status": "cancelled"}),
        [],
    ),
    "order is changed": (
        lambda service: service.patch("/admin/orders/1001", {"paid": "1", "order_status": "paused"}),
        [],
    ),
    "customer data is changed": (
        lambda service: service.patch("/admin/orders/1001", {"customer_summary": {"email": "a@example.org"}}),
        [],
    ),
    "invoice is mailed": (lambda service: service.post("/admin/orders/1001/send-invoice"), []),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_sends_the_right_mail_or_none(service: Service, name: str) -> None:
    change, mails = CHANGES[name]
    service.skip_records()
    change(service)
    records = service.records()
    # The function decides the same without the filter, and the filter passes exactly the records that lead to a mail.
    leading = []
    for record in records:
        before = told(service)
        assert service.notify([record]) == []
        leading.append(told(service) != before)
    assert told(service) == mails
    assert [matches_filter(STREAM, record) for record in records] == leading
    # The function does not trigger itself: its own writes lead to no mail.
    own = service.records()
    assert [record for record in own if matches_filter(STREAM, record)] == []
    assert service.notify(own) == []
    assert told(service) == mails


def test_invoice_records_send_no_mail(service: Service) -> None:
    service.skip_records()
    service.post("/admin/orders/1001/send-invoice")
    for kind in ("Delivery", "Complaint"):
        service.report(kind, "1001", 1)
    service.report("Bounce", "1001", 1, bounceType="Permanent")
    records = service.records()
    assert {"INVOICE#000001", "ORDER"} <= {record["dynamodb"]["Keys"]["sk"]["S"] for record in records}
    assert [record for record in records if matches_filter(STREAM, record)] == []
    assert service.notify(records) == []
    assert service.notices == []


def test_sample_orders_send_no_mail(service: Service) -> None:
    records = service.records()
    assert len(records) > 10
    assert [record for record in records if matches_filter(STREAM, record)] == []
    assert service.notify(records) == []
    assert service.mails == []


RECORDED: dict[str, dict[str, Any]] = json.loads((ROOT / "tests/stream_records.json").read_text("utf-8"))["records"]
"""Stream records of DynamoDB Local, one for each kind of write. Some are about the sample orders."""

TELLING = {
    "an admin's comment": ["A message about your order 1001 at Käsekönig & Töchter"],
    "an admin's flagged but visible comment": ["A message about your order 1001 at Käsekönig & Töchter"],
    "cancelled by the customer": [
        "Your order 1001 at Käsekönig & Töchter is cancelled",
        "Order 1001: cancelled by the customer",
    ],
    "cancelled by an admin": ["Your order 1004 at Käsekönig & Töchter is cancelled"],
}


def test_dynamodb_records_are_parsed(service: Service) -> None:
    for name, record in RECORDED.items():
        customers, staff = len(service.notices), len(service.staff_mails)
        assert service.notify([record]) == [], name
        mails = service.notices[customers:] + service.staff_mails[staff:]
        assert [mail["Subject"] for mail in mails] == TELLING.get(name, []), name
        assert matches_filter(STREAM, record) == (name in TELLING), name


def shape(value: Any) -> Any:
    """Returns the structure of a record: attribute names and types without values."""
    return {name: shape(each) for name, each in value.items()} if isinstance(value, dict) else type(value)


def test_sample_records_match_dynamodb(service: Service) -> None:
    service.skip_records()
    comment_on("1001")(service)
    service.post("/admin/orders/1004/cancel")
    names = ("an admin's comment", "the key of the comment's request", "cancelled by an admin")
    ours = dict(zip(names, service.records(), strict=True))
    for name, record in ours.items():
        assert shape(record) == shape(RECORDED[name])


def test_expired_and_deleted_items_send_no_mail(service: Service) -> None:
    for name in ("the key of the comment's request", "an admin's comment", "cancelled by an admin"):
        record = copy.deepcopy(RECORDED[name])
        images = record["dynamodb"]
        images["OldImage"] = images.pop("NewImage")
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html
        record |= {"eventName": "REMOVE", "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}}
        assert not matches_filter(STREAM, record)
        assert service.notify([record]) == []
    assert service.mails == []


def test_comment_is_mailed_only_if_key_and_flag_make_it_visible(service: Service) -> None:
    yes, no = {"BOOL": True}, {"BOOL": False}
    for name, lies in (
        ("an admin's internal comment", {"is_visible_to_customer": yes}),
        ("an admin's flagged comment", {"is_visible_to_customer": yes, "flagged": no}),
        ("an admin's comment", {"is_visible_to_customer": no}),
        ("a customer's comment", {"is_visible_to_customer": no, "is_admin": yes}),
    ):
        record = copy.deepcopy(RECORDED[name])
        record["dynamodb"]["NewImage"] |= lies
        assert not matches_filter(STREAM, record)
        assert service.notify([record]) == []
    assert service.mails == []


# Content of the mails -------------------------------------------------------------------------------------------------


def mail_of(service: Service, change: Change) -> tuple[str, str]:
    """Returns the plain text and the HTML of the one mail that a change leads to."""
    service.skip_records()
    change(service)
    assert service.notify(service.records()) == []
    [mail] = service.notices
    return text_of(mail), html_of(mail)


def text_of(mail: Any) -> str:
    """Returns the plain text of a mail, with normalised line ends and spaces."""
    return str(mail.get_body(("plain",)).get_content()).replace("\r\n", "\n").replace("\N{NO-BREAK SPACE}", " ")


def test_comment_is_mailed_unchanged(service: Service) -> None:
    content = 'Grüße – 你好\r\n\r\n<b>fett</b> & "so" {{ weiter }}'
    plain, html = mail_of(service, comment_on("1001", content=content))
    assert "Hello Alice,\n" in plain
    assert '\n  Grüße – 你好\n  \n  <b>fett</b> & "so" {{ weiter }}\n' in plain
    assert "Grüße – 你好" in html
    assert "&lt;b&gt;fett&lt;/b&gt; &amp; &#34;so&#34; {{ weiter }}" in html
    assert "<b>" not in html


@pytest.mark.parametrize(
    ("change", "who", "reason", "money"),
    [
        (cancel("/orders/1001"), "You", None, "You have paid nothing for this order, and there is nothing to pay."),
        (
            cancel("/admin/orders/1004", reason="Ausverkauft.\n<i>Leider</i>"),
            "Käsekönig & Töchter",
            ["Ausverkauft.", "<i>Leider</i>"],
            "You have paid 120,00 €. The shop will refund what it owes you.",
        ),
    ],
    ids=["by the customer, unpaid", "by the staff, paid, with a reason"],
)
def test_cancellation_mail_names_who_why_and_the_refund(
    service: Service, change: Change, who: str, reason: list[str] | None, money: str
) -> None:
    plain, html = mail_of(service, change)
    assert f"\n{who} cancelled your order 100" in plain
    assert " on 23 Nov 2026.\n" in plain
    assert f"\nYOUR MONEY\n{money}" in plain
    assert ("REASON" in plain, "Reason" in html) == (bool(reason), bool(reason))
    if reason:
        assert "\nREASON\n" + "".join(f"  {line}\n" for line in reason) in plain
        assert "&lt;i&gt;Leider&lt;/i&gt;" in html


def test_mail_goes_to_the_current_address_of_the_order(service: Service) -> None:
    service.skip_records()
    comment_on("1001")(service)
    service.patch("/admin/orders/1001", {"customer_summary": {"email": "alice@example.org", "first_name": None}})
    service.notify(service.records())
    [mail] = service.notices
    assert mail["To"] == "alice@example.org"
    assert "\nHello,\n" in text_of(mail)


# Suppressed notices ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("switches", "kinds"),
    [
        ({"NOTIFY_COMMENTS": "no"}, ["cancellation"]),
        ({"NOTIFY_CANCELLATIONS": "no"}, ["comment"]),
        ({"NOTIFY_COMMENTS": "no", "NOTIFY_CANCELLATIONS": "no"}, []),
    ],
    ids=str,
)
def test_shop_can_switch_notices_off(
    service: Service, monkeypatch: pytest.MonkeyPatch, switches: dict[str, str], kinds: list[str]
) -> None:
    for name, value in switches.items():
        monkeypatch.setenv(name, value)
    service.skip_records()
    comment_on("1001")(service)
    cancel("/orders/1001")(service)
    assert service.notify(service.records()) == []
    assert [notice_of(mail).split()[0] for mail in service.notices] == kinds
    assert len(service.items("1001", "NOTICE#C")) == len(kinds)


def test_redacted_comment_is_not_mailed(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    record = comment(service)
    comment_id = record["dynamodb"]["NewImage"]["id"]["N"]
    assert service.post(f"/admin/orders/1001/comments/{comment_id}/redact").status == 204
    # The record comes late, and the redaction leads to no mail.
    for late in ([record], service.records()):
        assert service.notify(late) == []
    assert service.mails == []
    assert service.items("1001", "NOTICE#") == []
    assert '"NoticesRedacted":[1.0]' in capsys.readouterr().out


def test_order_without_an_address_sends_no_mail(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.skip_records()
    cancel("/orders/1007")(service)
    assert service.notify(service.records()) == []
    assert service.mails == []
    assert service.items("1007", "NOTICE#CANCELLED") == []
    assert '"NoticesWithoutAddress":[1.0]' in capsys.readouterr().out


def test_failing_address_gets_no_mail_until_it_changes(service: Service) -> None:
    service.skip_records()
    service.post("/admin/orders/1002/send-invoice")
    service.report("Bounce", "1002", 1, bounceType="Permanent")
    comment_on("1002")(service)
    assert service.notify(service.records()) == []
    assert service.notices == []
    service.patch("/admin/orders/1002", {"customer_summary": {"email": "bob@example.org"}})
    cancel("/admin/orders/1002")(service)
    assert service.notify(service.records()) == []
    assert list(map(notice_of, service.notices)) == ["cancellation to bob@example.org"]


# Batches --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def batch(service: Service) -> list[dict[str, Any]]:
    """Records for three notices: a comment on 1001, one on 1002, and the cancellation of 1004."""
    service.skip_records()
    comment_on("1001")(service)
    comment_on("1002")(service)
    cancel("/admin/orders/1004")(service)
    return leading(service)


def leading(service: Service) -> list[dict[str, Any]]:
    """Returns the new records that the filter passes: not the keys of the requests."""
    return [record for record in service.records() if matches_filter(STREAM, record)]


ALL = ["comment to alice@example.com", "comment to bob@example.com", "cancellation to alice@example.com"]


def test_redelivered_batch_sends_no_mail(
    service: Service, batch: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        capsys.readouterr()
        assert service.notify(batch) == []
        assert list(map(notice_of, service.notices)) == ALL
    assert capsys.readouterr().out.count('"NoticesRepeated":[1.0]') == 3


@pytest.mark.parametrize("first", [slice(0, 2), slice(2, 3)], ids=["begin", "end"])
def test_partly_redelivered_batch_sends_no_second_mail(
    service: Service, batch: list[dict[str, Any]], first: slice
) -> None:
    assert service.notify(batch[first]) == []
    assert service.notify(batch) == []
    assert service.notify(batch[::-1]) == []
    assert sorted(map(notice_of, service.notices)) == sorted(ALL)


def test_duplicate_record_in_a_batch_sends_one_mail(service: Service, batch: list[dict[str, Any]]) -> None:
    assert service.notify([batch[0], *batch, batch[2]]) == []
    assert list(map(notice_of, service.notices)) == ALL


def number(record: dict[str, Any]) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


def corrupt(record: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Returns a record with the value at one place replaced, or removed (None)."""
    record = copy.deepcopy(record)
    *places, name = path.split(".")
    found = record["dynamodb"]
    for place in places:
        found = found[place]
    if value is None:
        del found[name]
    else:
        found[name] = value
    return record


CORRUPTIONS = [
    ("NewImage.content", None),
    ("NewImage.content", {"N": "7"}),
    ("NewImage.content", {"S": "Geheim", "N": "7"}),
    ("NewImage.id", {"N": "Geheim"}),
    ("NewImage.created", {"S": "Geheim"}),
    ("NewImage.is_admin", {"S": "Geheim"}),
    ("Keys", None),
    ("Keys.sk", None),
    ("Keys.pk", {"S": "ORDER#9999"}),
    ("Keys.pk", {"S": "ORDER#1001\r\nBcc: eve"}),
    ("Keys.pk", {"S": "1001"}),
]


def test_only_the_malformed_record_is_reported(service: Service, batch: list[dict[str, Any]]) -> None:
    first, second, third = batch
    for path, value in CORRUPTIONS:
        malformed = corrupt(second, path, value)
        for _ in range(2):
            assert service.notify([first, malformed, third]) == [number(second)], (path, value)
            assert list(map(notice_of, service.notices)) == [ALL[0], ALL[2]]
    assert service.notify(batch) == []
    assert list(map(notice_of, service.notices)) == [ALL[0], ALL[2], ALL[1]]


def test_every_record_of_a_malformed_batch_is_reported(service: Service, batch: list[dict[str, Any]]) -> None:
    malformed = [corrupt(record, "Keys", None) for record in batch]
    assert service.notify(malformed) == list(map(number, batch))
    assert service.mails == []


def test_record_of_an_unreadable_order_is_reported(service: Service, batch: list[dict[str, Any]]) -> None:
    aws.dynamodb().delete_item(TableName="OrdersTable", Key={"pk": {"S": "ORDER#1002"}, "sk": {"S": "ORDER#DETAIL"}})
    assert service.notify(batch) == [number(batch[1])]
    assert len(service.notices) == 2
    # No notice was recorded, so it is mailed once the order can be read.
    assert service.items("1002", "NOTICE#") == []


def test_personal_texts_are_not_logged(
    service: Service,
    batch: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = io.StringIO()
    for handler in telemetry.logger.handlers:
        monkeypatch.setattr(handler, "stream", log)
    # Includes the log of Powertools, which a shop may turn on.
    caplog.set_level(logging.DEBUG, "aws_lambda_powertools")
    service.notify(batch + [corrupt(batch[1], path, value) for path, value in CORRUPTIONS])
    logged = log.getvalue() + caplog.text
    assert logged.count('"what":"NoticesSent"') == 3
    assert logged.count('"message":"notice failed"') == len(CORRUPTIONS)
    # The order is named, so that the staff can tell its customer.
    assert '"pk":{"S":"ORDER#1002"}' in logged
    assert '"sk":{"S":"COMMENT#' in logged
    for word in ("Geheim", "Grüße", "Gr\\u00fc", "你好", "Alice", "Bob", "Núñez", "Ada", "example.com"):
        assert word not in logged


# Failures -------------------------------------------------------------------------------------------------------------


def comment(service: Service) -> dict[str, Any]:
    """The stream record of a new admin comment on 1001."""
    service.skip_records()
    # Later than a double click.
    service.clock.sleep(31)
    comment_on("1001")(service)
    [record] = leading(service)
    return record


def ledger(service: Service, record: dict[str, Any]) -> str | None:
    """Returns the record of the notice of a comment."""
    found = service.items("1001", f"NOTICE#{record['dynamodb']['Keys']['sk']['S']}")
    return str(found[0]["outcome"]) if found else None


OUTCOMES = [
    # behaviour of SES         reported, ledger,   mails, next delivery: mails in total
    ("ok", False, "sent", 1, 1),
    ("400", True, "failed", 0, 1),
    ("403", True, "failed", 0, 1),
    ("429", True, "failed", 0, 1),
    ("quota", True, "failed", 0, 1),
    ("500", False, "unknown", 0, 0),
    ("503", False, "unknown", 0, 0),
    ("500 after accepting it", False, "unknown", 1, 1),
    ("hangs", False, "unknown", 0, 0),
    ("hangs after accepting it", False, "unknown", 1, 1),
    ("drops", False, "unknown", 0, 0),
    ("drops after accepting it", False, "unknown", 1, 1),
    ("garbles", False, "unknown", 1, 1),
]


@pytest.mark.slow
def test_only_refused_mails_are_reported_and_retried(
    service: Service, ses: Ses, capsys: pytest.CaptureFixture[str]
) -> None:
    for behaviour, reported, outcome, mails, in_all in OUTCOMES:
        record = comment(service)
        ses.requests, ses.accepted, ses.behaviour = 0, 0, behaviour
        capsys.readouterr()
        failed = service.notify([record])
        assert failed == ([number(record)] if reported else []), behaviour
        assert (ses.requests, ses.accepted, ledger(service, record)) == (1, mails, outcome), behaviour
        assert f'"Notices{outcome.capitalize()}":[1.0]' in capsys.readouterr().out

        ses.behaviour = "ok"
        for _ in range(2):
            assert service.notify([record]) == [], behaviour
        assert (ses.accepted, ledger(service, record)) == (in_all, "sent" if reported else outcome), behaviour


def test_unreachable_ses_is_a_retryable_failure(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    record = comment(service)
    use_ses(f"http://127.0.0.1:{closed_port()}", monkeypatch)
    for _ in range(2):
        assert service.notify([record]) == [number(record)]
        assert ledger(service, record) == "failed"
    with ses_endpoint() as ses:
        use_ses(ses.url, monkeypatch)
        assert service.notify([record]) == []
        assert (ses.accepted, ledger(service, record)) == (1, "sent")


def test_refused_mail_does_not_stop_other_notices(service: Service, ses: Ses, batch: list[dict[str, Any]]) -> None:
    def throttle(request: Any, **_: Any) -> None:
        ses.behaviour = "429" if b"bob@" in request.body else "ok"

    aws.ses().meta.events.register("before-send.sesv2.SendEmail", throttle)
    assert service.notify(batch) == [number(batch[1])]
    assert ses.accepted == 2
    aws.ses().meta.events.unregister("before-send.sesv2.SendEmail", throttle)
    ses.behaviour = "ok"
    # Lambda delivers it again, and all records after it.
    assert service.notify(batch[1:]) == []
    assert ses.accepted == 3


DEATHS: list[tuple[str, str, str | None, str, int]] = [
    #           ledger before and after the next delivery, mails in total
    ("before", "Query", None, "sent", 1),
    ("after", "Query", None, "sent", 1),
    ("before", "GetItem", None, "sent", 1),
    ("before", "PutItem", None, "sent", 1),
    # Between recording the notice and the mail: the mail may have left.
    ("after", "PutItem", "sending", "sending", 0),
    ("before", "SendEmail", "sending", "sending", 0),
    ("after", "SendEmail", "sending", "sending", 1),
    ("before", "UpdateItem", "sending", "sending", 1),
    ("after", "UpdateItem", "sent", "sent", 1),
]


def test_process_crash(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    for moment, step, outcome, then, mails in DEATHS:
        record, before = comment(service), len(service.notices)
        repair = break_at(step, moment, ProcessCrash())
        with pytest.raises(ProcessCrash):
            service.notify([record])
        repair()
        assert ledger(service, record) == outcome, (moment, step)
        capsys.readouterr()
        for _ in range(2):
            assert service.notify([record]) == []
            assert (ledger(service, record), len(service.notices) - before) == (then, mails), (moment, step)
        assert ('"NoticesUnknown":[1.0]' in capsys.readouterr().out) == (then == "sending")


def test_aws_answer_is_lost(service: Service) -> None:
    for step, reported, outcome, mails in (
        ("Query", True, "sent", 1),
        ("GetItem", True, "sent", 1),
        # The notice exists and its owner is unknown: the mail is not sent, so that it is never sent twice.
        ("PutItem", True, "sending", 0),
        ("SendEmail", False, "unknown", 1),
        ("UpdateItem", False, "sent", 1),
    ):
        record, before = comment(service), len(service.notices)
        repair = break_at(step, "after", ReadTimeoutError(endpoint_url="https://aws"))
        assert service.notify([record]) == ([number(record)] if reported else []), step
        repair()
        for _ in range(2):
            assert service.notify([record]) == []
            assert (ledger(service, record), len(service.notices) - before) == (outcome, mails), step


def refused(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "x"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Operation")


@pytest.mark.parametrize(
    ("step", "reported", "outcome"),
    [("Query", True, "sent"), ("GetItem", True, "sent"), ("PutItem", True, "sent"), ("UpdateItem", False, "sending")],
)
def test_dynamodb_refuses(service: Service, step: str, reported: bool, outcome: str) -> None:
    for fault in (
        EndpointConnectionError(endpoint_url="https://aws"),
        refused("ThrottlingException", 400),
        refused("InternalServerError", 500),
        refused("AccessDeniedException", 400),
    ):
        record, before = comment(service), len(service.notices)
        repair = break_at(step, "before", fault)
        assert service.notify([record]) == ([number(record)] if reported else []), fault
        assert len(service.notices) - before == (not reported)
        repair()
        for _ in range(2):
            assert service.notify([record]) == []
            assert (ledger(service, record), len(service.notices) - before) == (outcome, 1), fault


def test_notice_written_by_a_retried_call_is_recognised(service: Service) -> None:
    """botocore retries a call, and the condition of the second attempt fails because of what the first one wrote."""
    record = comment(service)
    lost: list[str | None] = []

    def lose(event_name: str, request: Any, **_: Any) -> None:
        if event_name.endswith("PutItem") and not lost:
            if DYNAMODB_LOCAL:
                URLLib3Session().send(request)
            lost.append(ledger(service, record))
            raise ReadTimeoutError(endpoint_url="https://dynamodb")

    # After moto, which has performed the call by then. With DynamoDB Local it would only have been sent.
    aws.dynamodb().meta.events.register_last("before-send", lose)
    assert service.notify([record]) == []
    assert lost == ["sending"]
    assert (ledger(service, record), len(service.notices)) == ("sent", 1)


def test_interrupted_batch_never_mails_twice(service: Service, batch: list[dict[str, Any]]) -> None:
    for step in ("Query", "GetItem", "PutItem", "SendEmail", "UpdateItem"):
        for moment in ("before", "after"):
            for at in range(1, 4):
                repair = break_at(f"{step} {at}", moment, ProcessCrash())
                with contextlib.suppress(ProcessCrash):
                    service.notify(batch)
                repair()
    service.notify(batch)
    told = Counter(map(notice_of, service.notices))
    assert set(told.values()) <= {1}


def test_round_trips(service: Service) -> None:
    record = comment(service)
    service.calls.clear()
    service.notify([record])
    assert service.calls == {"Query": 1, "GetItem": 1, "PutItem": 1, "SendEmail": 1, "UpdateItem": 1}
    service.calls.clear()
    service.notify([record])
    assert service.calls == {"Query": 1, "GetItem": 1, "PutItem": 1}
    service.calls.clear()
    service.notify(service.records())
    assert service.calls == {}


def test_ses_reports_of_notices_do_not_change_invoices(service: Service) -> None:
    record = comment(service)
    service.notify([record])
    event = load("ses-bounce")
    event["detail"]["mail"]["tags"] = {"order_id": ["1001"], "notice": ["comment"]}
    invoke("RecordDeliveryFunction", event)
    assert service.invoices("1001") == []
    assert ledger(service, record) == "sent"


NOTICES = {
    "notify-customer-comment": ["comment to alice@example.com"],
    "notify-customer-cancellation": ["cancellation to bob@example.com"],
    "notify-customer-withdrawal": ["withdrawal to alice@example.com", "staff_withdrawal to staff@shop.example"],
    "notify-staff-comment": ["staff_comment to staff@shop.example"],
}
"""The event files of this function, and the mails that each leads to."""


@pytest.mark.parametrize("name", NOTICES)
def test_event_files_work(service: Service, name: str) -> None:
    records = load(name)["Records"]
    assert all(matches_filter(STREAM, record) for record in records)
    assert service.notify(records) == []
    assert told(service) == NOTICES[name]


def test_notice_event_files_send_mails_after_all_other_event_files(service: Service) -> None:
    """The documented `sam local invoke` lines run in order, next to a gateway that reads the table's stream as well."""
    for name in EVENTS:
        event = load(name)
        if "routeKey" in event:
            service.send(event)
    service.notify([record for record in service.records() if matches_filter(STREAM, record)])
    before = Counter(told(service))
    for name in NOTICES:
        service.notify(load(name)["Records"])
    assert Counter(told(service)) - before == Counter(mail for mails in NOTICES.values() for mail in mails)


def test_invoice_packages_are_not_loaded() -> None:
    """Nor the models that Powertools has for all AWS events, which it loads if pydantic was imported before it."""
    unwanted = ("typst", "segno", "fontpkg", "justmytype_western_core", "aws_lambda_powertools.utilities.parser")
    program = f"import sys, notify_customer.app; print([name for name in {unwanted} if name in sys.modules])"
    environment = {"PYTHONPATH": f"{ROOT / 'shared'}:{ROOT / 'functions'}", "POWERTOOLS_SERVICE_NAME": "orders"}
    loaded = subprocess.run([sys.executable, "-c", program], env=environment, check=True, stdout=subprocess.PIPE)
    assert loaded.stdout == b"[]\n"
