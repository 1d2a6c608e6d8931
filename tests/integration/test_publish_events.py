"""From the table's stream to the event bus: what other systems receive, and what they do not."""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import pytest
from harness import ROOT, TEMPLATE, Service, invoke, load
from moto.events.models import EventPattern

from orders import aws
from orders.models import CustomerSummary
from publish_events.events import Event

# All tests run in one worker, which makes the records once.
pytestmark = pytest.mark.xdist_group("publish_events")

[PIPE] = TEMPLATE.of_type("AWS::Pipes::Pipe").values()
PATTERNS = [EventPattern.load(each["Pattern"]) for each in PIPE["SourceParameters"]["FilterCriteria"]["Filters"]]
SCHEMAS = {path.name: json.loads(path.read_text()) for path in (ROOT / "docs" / "events").glob("*.json")}

SECRET = "Geheim"
"""Part of every text that a person wrote or that identifies a person."""

PERSON: dict[str, Any] = {name: f"{SECRET} {name}" for name in CustomerSummary.model_fields} | {
    "email": f"{SECRET}@example.com",
    "billing_email": f"{SECRET}@billing.example.com",
    "peppol_id": f"0192:{SECRET}",
    "state": {"name": f"{SECRET} state", "code": f"{SECRET} code"},
    "country": {"name": f"{SECRET} country", "code": "DE"},
}
ORDER = {
    "order_id": "3001",
    "customer_id": "alice",
    "created": "2019-05-01T10:00:00Z",
    "currency_code": "KWD",
    "customer_summary": PERSON,
    "order_line_details": [{"item_id": 1, "product_name": f"{SECRET} product", "quantity": 1, "price": "12.5"}],
}
STAFF = {"sub": "ada", "name": f"{SECRET} Ada", "cognito:groups": "[admins]"}
ADMIN, CUSTOMER = "/admin/orders/3001", "/orders/3001"
COMMENT = {"content": f"{SECRET} content"}
REASON = {"reason": f"{SECRET} reason"}


def report(service: Service, kind: str, second: int, **more: Any) -> None:
    service.report(kind, "3001", 1, f"2026-11-23T09:00:{second:02}.000Z", **more)


def delete_everything(_service: Service, written: list[Any]) -> None:
    for record in written:
        aws.dynamodb().delete_item(TableName="OrdersTable", Key=record["dynamodb"]["Keys"])


STORY: list[tuple[str, Callable[[Service, list[Any]], Any], list[str]]] = [
    # what happens, how, and the events that it causes
    ("an order is created", lambda s, _: s.post("/admin/orders", ORDER, STAFF, idempotency_key="k"), ["OrderCreated"]),
    ("the same again", lambda s, _: s.post("/admin/orders", ORDER, STAFF, idempotency_key="k"), []),
    ("it is paid in part", lambda s, _: s.patch(ADMIN, {"payment_status": "partial", "paid": "2.5"}, STAFF), []),
    ("the customer moves", lambda s, _: s.patch(ADMIN, {"customer_summary": {"city": SECRET}}, STAFF), []),
    (
        "the customer comments",
        lambda s, _: s.post(f"{CUSTOMER}/comments", COMMENT | {"flagged": True}, idempotency_key="k"),
        ["CommentAdded"],
    ),
    ("the staff comments", lambda s, _: s.post(f"{ADMIN}/comments", COMMENT, STAFF), ["CommentAdded"]),
    (
        "the staff comments internally",
        lambda s, _: s.post(f"{ADMIN}/comments", COMMENT | {"flagged": True}, STAFF),
        ["CommentAdded"],
    ),
    ("the customer is notified", lambda s, written: s.notify(written), []),
    (
        "an invoice is mailed",
        lambda s, _: s.post(f"{ADMIN}/send-invoice", {"notes": SECRET}, STAFF),
        ["InvoiceStatusChanged", "InvoiceIssued", "InvoiceStatusChanged"],
    ),
    ("SES reports that it accepted it", lambda s, _: report(s, "Send", 1), []),
    ("it bounces", lambda s, _: report(s, "Bounce", 2, bounceType="Transient"), ["InvoiceStatusChanged"]),
    ("it is delivered", lambda s, _: report(s, "Delivery", 3), ["InvoiceStatusChanged"]),
    ("the same again", lambda s, _: report(s, "Delivery", 3), []),
    ("an older report of it", lambda s, _: report(s, "Delivery", 1), []),
    ("it hard-bounces", lambda s, _: report(s, "Bounce", 4, bounceType="Permanent"), ["InvoiceStatusChanged"]),
    ("the customer cancels", lambda s, _: s.post(f"{CUSTOMER}/cancel", REASON), ["OrderCancelled", "CreditNoteIssued"]),
    ("the same again", lambda s, _: s.post(f"{ADMIN}/cancel", REASON, STAFF), []),
    ("the money goes back", lambda s, _: s.patch(ADMIN, {"payment_status": "refunded"}, STAFF), []),
    (
        "the customer withdraws",
        lambda s, _: s.post(f"{CUSTOMER}/withdraw", {"name": f"{SECRET} name", "confirm": True}),
        ["WithdrawalDeclared"],
    ),
    ("the same again", lambda s, _: s.post(f"{CUSTOMER}/withdraw", {"confirm": True}), []),
    (
        "a guest withdraws from it too",
        lambda s, _: s.post(
            "/withdrawals",
            {"order_id": "3001", "name": f"{SECRET} guest", "email": f"{SECRET}@example.com", "confirm": True},
        ),
        [],
    ),
    (
        "a comment is redacted",
        lambda s, _: s.post(f"{ADMIN}/comments/1795424402500000/redact", None, STAFF),
        ["CommentRedacted"],
    ),
    ("the same again", lambda s, _: s.post(f"{ADMIN}/comments/1795424402500000/redact", None, STAFF), []),
    ("keys expire, and all other items are deleted", delete_everything, []),
]


@dataclass
class Step:
    """A write, its stream records and the events that it should cause."""

    what: str
    records: list[Any]
    types: list[str]


@pytest.fixture
def steps(request: pytest.FixtureRequest) -> list[Step]:
    """Returns every kind of write of the service with its stream records. They are made once, because it takes long."""
    if not _happened:
        _happened.extend(tell(request.getfixturevalue("service")))
    return deepcopy(_happened)


_happened: list[Step] = []


def tell(service: Service) -> Iterator[Step]:
    service.skip_records()
    written = list[Any]()
    for what, do, types in STORY:
        service.clock.sleep(0.5)
        answer = do(service, written)
        assert getattr(answer, "status", 200) < 300, what
        records = service.records()
        written += records
        yield Step(what, records, types)


def passes(record: Any) -> bool:
    """Whether the pipe's filter lets a record through."""
    return any(pattern.matches_event(record) for pattern in PATTERNS)


def published(records: list[Any]) -> list[dict[str, Any]]:
    """Returns the events that the pipe publishes for some records."""
    events: list[dict[str, Any]] = invoke("PublishEventsFunction", [record for record in records if passes(record)])
    return events


def kinds(records: list[Any]) -> set[str]:
    """Returns the kinds of items that records belong to."""
    return {record["dynamodb"]["Keys"]["sk"]["S"].partition("#")[0] for record in records}


# The filter


@pytest.mark.parametrize(
    ("pattern", "event", "matches"),
    [
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
        ({"state": ["running"]}, {"state": "running"}, True),
        ({"state": ["running", "stopped"]}, {"state": "stopped"}, True),
        ({"state": ["running"]}, {"state": "stopped"}, False),
        ({"state": ["running"]}, {}, False),
        ({"state": ["running"], "zone": ["a"]}, {"state": "running", "zone": "a", "more": 1}, True),
        ({"state": ["running"], "zone": ["a"]}, {"state": "running", "zone": "b"}, False),
        ({"detail": {"state": ["running"]}}, {"detail": {"state": "running"}}, True),
        ({"detail": {"state": ["running"]}}, {"state": "running"}, False),
        ({"time": [{"prefix": "2017-10-02"}]}, {"time": "2017-10-02T18:43:48Z"}, True),
        ({"time": [{"prefix": "2017-10-02"}]}, {"time": "2017-10-03T18:43:48Z"}, False),
        ({"state": ["running", {"prefix": "stop"}]}, {"state": "stopped"}, True),
        ({"state": [{"anything-but": ["stopped", "overloaded"]}]}, {"state": "running"}, True),
        ({"state": [{"anything-but": ["stopped", "overloaded"]}]}, {"state": "overloaded"}, False),
        ({"state": [{"anything-but": ["stopped"]}]}, {}, False),
        ({"detail": {"count": [{"exists": True}]}}, {"detail": {"count": 1}}, True),
        ({"detail": {"count": [{"exists": True}]}}, {"detail": {"state": "running"}}, False),
        ({"detail": {"count": [{"exists": False}]}}, {"detail": {"state": "running"}}, True),
        ({"detail": {"count": [{"exists": False}]}}, {"detail": {"count": 1}}, False),
        # A pattern matches only leaf values, and this one is not a leaf.
        ({"detail": {"count": [{"exists": False}]}}, {"detail": {"count": {"of": 1}}}, True),
        ({"detail": {"count": [{"exists": False}]}}, {"state": "running"}, True),
    ],
)
def test_library_matches_patterns_as_eventbridge_does(pattern: Any, event: Any, matches: bool) -> None:
    assert EventPattern.load(json.dumps(pattern)).matches_event(event) is matches


def test_filter_uses_only_operators_that_pipes_support() -> None:
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-event-filtering.html
    assert 0 < len(PATTERNS) <= 5
    assert {field for pattern in PATTERNS for field in pattern.get_pattern()} == {"dynamodb"}


def test_filter_passes_all_relevant_records_and_few_others(steps: list[Step]) -> None:
    for step in steps:
        for record in step.records:
            if invoke("PublishEventsFunction", [record]):
                assert passes(record), step.what
            elif passes(record):
                # Invoices are the only records for which the filter cannot decide.
                assert kinds([record]) == {"INVOICE"}, step.what


# The events


def test_every_write_publishes_its_events(steps: list[Step]) -> None:
    for step in steps:
        assert [event["type"] for event in published(step.records)] == step.types, step.what
    # Every item in the table was written and deleted again.
    everything = {"ORDER", "COMMENT", "INTERNAL", "CHANGE", "DOC", "INVOICE", "NOTICE", "KEY", "SERIES", "LIMIT"}
    assert kinds([record for step in steps[:-1] for record in step.records]) == everything
    assert kinds(steps[-1].records) == everything


def test_events_describe_what_happened(steps: list[Step]) -> None:
    happened: dict[str, Any] = {}
    for step in steps:
        happened.setdefault(step.what, published(step.records))
    [created] = [record for record in steps[0].records if passes(record)]
    written = datetime.fromisoformat(happened["an order is created"][0].pop("time")).timestamp()
    assert written == created["dynamodb"]["ApproximateCreationDateTime"]
    about_it = {"schema_version": "1", "order_id": "3001"}
    order = about_it | {
        "customer_id": "alice",
        "shipping_status": "awaiting_shipment",
        "currency_code": "KWD",
        "grand_total": "12.500",
    }
    assert happened["an order is created"] == [
        order
        | {
            "id": "order/3001/created",
            "type": "OrderCreated",
            "created": "2019-05-01T10:00:00.000000Z",
            "order_status": "in_progress",
            "payment_status": "unpaid",
            "paid": "0.000",
            "refunded": "0.000",
            "version": 1,
        }
    ]
    document = about_it | {"currency_code": "KWD", "grand_total": "12.500", "order_version": 3}
    [issued] = [event for event in happened["an invoice is mailed"] if event["type"] == "InvoiceIssued"]
    assert issued == document | {
        "id": "order/3001/document/INV-2026-00001",
        "type": "InvoiceIssued",
        "time": "2026-11-23T09:00:04.500000Z",
        "number": "INV-2026-00001",
    }
    cancelled, credited = happened["the customer cancels"]
    assert credited == document | {
        "id": "order/3001/document/INV-2026-00002",
        "type": "CreditNoteIssued",
        "time": "2026-11-23T09:00:08.000000Z",
        "number": "INV-2026-00002",
        "corrects": "INV-2026-00001",
    }
    assert [cancelled] == [
        order
        | {
            "id": "order/3001/cancelled",
            "type": "OrderCancelled",
            "time": "2026-11-23T09:00:08.000000Z",
            "payment_status": "partial",
            "refund_due": "2.500",
            "cancelled_as": "customer",
            "status_before_cancel": "in_progress",
            # The bounce made a version too.
            "version": 5,
            "reason_code": None,
            "restock": None,
            "refund": None,
        }
    ]
    assert happened["the customer withdraws"] == [
        about_it
        | {
            "id": "order/3001/withdrawal",
            "type": "WithdrawalDeclared",
            "time": "2026-11-23T09:00:09.500000Z",
            "customer_id": "alice",
            "declared_as": "customer",
        }
    ]
    for what, comment_id, time, flags in (
        ("the customer comments", 1795424402500000, "02.500000", (False, True, True)),
        ("the staff comments", 1795424403000000, "03.000000", (True, True, False)),
        ("the staff comments internally", 1795424403500001, "03.500001", (True, False, True)),
    ):
        assert happened[what] == [
            about_it
            | {
                "id": f"order/3001/comment/{comment_id}",
                "type": "CommentAdded",
                "time": f"2026-11-23T09:00:{time}Z",
                "comment_id": comment_id,
            }
            | dict(zip(("is_admin", "is_visible_to_customer", "flagged"), flags, strict=True))
        ]
    assert happened["a comment is redacted"] == [
        about_it
        | {
            "id": "order/3001/comment/1795424402500000/redacted",
            "type": "CommentRedacted",
            "time": "2026-11-23T09:00:11.000000Z",
            "comment_id": 1795424402500000,
            "is_admin": False,
            "is_visible_to_customer": True,
        }
    ]
    invoices = [event for step in steps for event in published(step.records) if event["type"] == "InvoiceStatusChanged"]
    of_all = {"number": "INV-2026-00001", "currency_code": "KWD", "grand_total": "12.500", "due": "10.000"}
    assert all(event.items() >= (about_it | of_all | {"order_version": 3}).items() for event in invoices)
    assert [
        tuple(event[name] for name in ("id", "time", "previous_state", "state", "report")) for event in invoices
    ] == [
        ("order/3001/invoice/1/sending", "2026-11-23T09:00:04.500000Z", None, "sending", None),
        ("order/3001/invoice/1/sent", "2026-11-23T09:00:04.500000Z", "sending", "sent", None),
        ("order/3001/invoice/1/soft_bounce", "2026-11-23T09:00:02.000000Z", "sent", "bounced", "soft_bounce"),
        ("order/3001/invoice/1/delivery", "2026-11-23T09:00:03.000000Z", "bounced", "delivered", "delivery"),
        ("order/3001/invoice/1/hard_bounce", "2026-11-23T09:00:04.000000Z", "delivered", "bounced", "hard_bounce"),
    ]


def test_redelivered_records_keep_their_event_id_and_others_get_new_ones(steps: list[Step]) -> None:
    records = [record for step in steps for record in step.records]
    once, again = published(records), published(records)
    assert once == again
    assert len({event["id"] for event in once}) == len(once) == sum(len(step.types) for step in steps)


def test_events_contain_no_personal_data(steps: list[Step]) -> None:
    records = [record for step in steps for record in step.records]
    assert kinds([record for record in records if passes(record) and SECRET in json.dumps(record)]) == {
        *("ORDER", "COMMENT", "INTERNAL", "DOC", "INVOICE")
    }
    # Also for records that the filter drops.
    told = json.dumps(invoke("PublishEventsFunction", records), ensure_ascii=False)
    assert SECRET.lower() not in told.lower()
    assert "@" not in told


# Their schemas


def validator(schema: dict[str, Any]) -> Any:
    """Returns a validator of a valid schema."""
    # Takes a second to import: too long for each worker that collects this file.
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_every_event_has_a_schema() -> None:
    assert SCHEMAS.keys() == {f"{event.__name__}.v1.json" for event in get_args(Event)}
    for name, schema in SCHEMAS.items():
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["title"] == name.removesuffix(".v1.json")
        assert schema["description"]
        # Fields that are added later must not make consumers reject an event.
        assert "additionalProperties" not in schema
        [example] = schema["examples"]
        assert example.keys() == schema["properties"].keys() == set(schema["required"])
        validator(schema).validate(example)


def test_events_match_their_schemas(steps: list[Step]) -> None:
    for step in steps:
        for event in published(step.records):
            schema = SCHEMAS[f"{event['type']}.v{event['schema_version']}.json"]
            validator(schema).validate(event)
            assert event.keys() == schema["properties"].keys()
            # Includes the schema of the envelope.
            assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.[0-9]{6}Z", event["time"])


# Unreadable records


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record.pop("dynamodb"),
        lambda record: record["dynamodb"]["NewImage"].pop("created"),
        lambda record: record["dynamodb"]["NewImage"].update(created={"S": SECRET}),
        lambda record: record["dynamodb"]["NewImage"].update(created={"WHAT": SECRET}),
    ],
)
def test_unreadable_record_does_not_stop_others(
    steps: list[Step], spoil: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    records = [record for step in steps for record in step.records if passes(record)]
    bad = next(record for record in records if kinds([record]) == {"COMMENT"})
    good = [record for record in records if record is not bad]
    spoil(bad)
    caplog.clear()
    events, left = halve(records)
    assert events == invoke("PublishEventsFunction", good)
    assert left == [bad]
    # Lambda logs the error that is raised.
    with pytest.raises((KeyError, ValueError)) as raised:
        invoke("PublishEventsFunction", left)
    assert SECRET not in str(raised.value)
    assert caplog.records
    for log in map(vars, caplog.records):
        assert log["event_id"] == bad["eventID"]
        assert SECRET not in str(log)


def halve(records: list[Any]) -> tuple[list[Any], list[Any]]:
    """Splits a batch like `AUTOMATIC_BISECT`. Returns the events of working halves and the records that fail."""
    try:
        return invoke("PublishEventsFunction", records), []
    except Exception:
        if len(records) == 1:
            return [], records
        middle = len(records) // 2
        halves = halve(records[:middle]), halve(records[middle:])
        return [event for events, _ in halves for event in events], [record for _, left in halves for record in left]


def test_irrelevant_records_are_not_published() -> None:
    assert invoke("PublishEventsFunction", []) == []


# Manual invocation


def test_event_file_produces_the_documented_examples() -> None:
    examples = [SCHEMAS[f"{event.__name__}.v1.json"]["examples"][0] for event in get_args(Event)]
    assert published(load("publish-events")) == examples
