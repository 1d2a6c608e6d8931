"""The timeline lists everything that happened to an order, with actor and time, each event once and in order."""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from harness import ADA, ALICE, ERP, Service, load
from lists import flatten, pages

from orders import aws

TIMELINE = "/admin/orders/1002/timeline"
SEND = "/admin/orders/1002/send-invoice"


def short(entry: dict[str, Any]) -> str:
    """Returns an entry as one line: time, event and actor."""
    who = f" by {entry['role']} {entry['by']} ({entry['name']})" if entry["by"] else ""
    corrects = entry["corrects"] and f"for {entry['corrects']}"
    what = [
        entry["invoice"],
        corrects,
        entry["report"],
        entry["reason"],
        entry["comment"] and entry["comment"]["content"],
    ]
    what += [f"{each['field']}: {each['before']} → {each['after']}" for each in entry["changes"] or ()]
    return f"{entry['at'][11:-8]} {entry['event']}{who}" + "".join(f" {each}" for each in what if each)


def entries(service: Service, path: str = TIMELINE) -> list[str]:
    return [short(entry) for entry in flatten(pages(service, f"{path}?limit=100"))]


def test_timeline_of_a_whole_order(service: Service) -> None:
    line = {"item_id": 1, "product_name": "Brunost", "quantity": 1, "price": 1}
    bob = {"sub": "bob"}
    order = {"order_id": "new", "customer_id": "bob", "currency_code": "JPY", "order_line_details": [line]}

    def minute() -> None:
        service.clock.sleep(60)

    assert service.post("/admin/orders", order | {"customer_summary": {"email": "bob@example.com"}}, ERP).status == 201
    minute()
    service.post("/orders/new/comments", {"content": "¿Cuándo llega? 📦"}, bob)
    minute()
    service.post("/admin/orders/new/comments", {"content": "intern", "flagged": True}, ADA | {"name": "Åda 高橋"})
    minute()
    service.patch("/admin/orders/new", {"paid": 1, "payment_status": "paid", "customer_summary": {"phone": "0831"}})
    minute()
    service.post("/admin/orders/new/send-invoice")
    service.report("Send", "new", 1, "2026-11-23T09:04:01.000Z")
    service.report("Delivery", "new", 1, "2026-11-23T09:04:03.000Z")
    service.report("DeliveryDelay", "new", 1, "2026-11-23T09:04:02.000Z")
    minute()
    service.post("/orders/new/cancel", {"reason": "zu spät"}, bob)
    minute()
    service.patch("/admin/orders/new", {"payment_status": "refunded"}, ERP)
    assert entries(service, "/admin/orders/new/timeline") == [
        "09:00:00 created by admin erp (None)",
        "09:01:00 commented by customer bob (None) ¿Cuándo llega? 📦",
        "09:02:00 commented by admin ada (Åda 高橋) intern",
        "09:03:00 changed by admin ada (Ada Admin) payment_status: unpaid → paid paid: 0 → 1"
        " customer_summary.phone: None → None",
        "09:04:00 invoice_issued by admin ada (None) INV-2026-00001",
        "09:04:00 invoice_begun by admin ada (None) INV-2026-00001",
        "09:04:00 invoice_sent INV-2026-00001",
        "09:04:01 invoice_reported INV-2026-00001 send",
        "09:04:02 invoice_reported INV-2026-00001 delay",
        "09:04:03 invoice_reported INV-2026-00001 delivery",
        "09:05:00 cancelled by customer bob (None) zu spät",
        "09:05:00 credit_note_issued by None bob (None) INV-2026-00002 for INV-2026-00001",
        "09:06:00 changed by admin erp (erp) payment_status: paid → refunded refunded: 0 → 1 refund_due: 1 → 0",
    ]


def test_new_order_has_only_its_creation(service: Service) -> None:
    [created] = service.get(TIMELINE).json["timeline"]
    assert created == {
        "at": "2026-11-20T16:41:07.000000Z",
        "event": "created",
        **dict.fromkeys(
            (
                *("by", "role", "name", "changes", "comment", "comment_id", "invoice", "corrects", "report", "reason"),
                *("reason_code", "staff_note", "restock", "refund"),
            )
        ),
    }


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (ReadTimeoutError(endpoint_url="https://email"), "invoice_unknown INV-2026-00001 ReadTimeoutError"),
        (
            ClientError(
                {"Error": {"Code": "MessageRejected"}, "ResponseMetadata": {"HTTPStatusCode": 400}},  # type: ignore[typeddict-item]
                "SendEmail",
            ),
            "invoice_failed INV-2026-00001 MessageRejected",
        ),
    ],
    ids=["unknown", "failed"],
)
def test_failed_and_unknown_mails_are_listed(service: Service, error: Exception, ends: str) -> None:
    def fail(**_: object) -> None:
        raise error

    aws.ses().meta.events.register("before-call.sesv2.SendEmail", fail)
    service.post(SEND)
    assert entries(service)[1:] == [
        "09:00:00 invoice_issued by admin ada (None) INV-2026-00001",
        "09:00:00 invoice_begun by admin ada (None) INV-2026-00001",
        f"09:00:00 {ends}",
    ]


def everything_at_once(service: Service) -> int:
    """Makes many events in one microsecond. Returns the number of all entries."""
    for n in range(12):
        service.patch("/admin/orders/1002", {"paid": n + 1})
    for n in range(5):
        service.post("/admin/orders/1002/comments", {"content": f"{n}", "flagged": n % 2 == 0})
    for n in range(3):
        service.post(SEND, {"notes": f"{n}"})
    for kind in ("Send", "Delivery", "Complaint"):
        service.report(kind, "1002", 1, "2026-11-23T09:00:00.000Z")
    service.post("/admin/orders/1002/cancel")
    return 1 + 12 + 5 + (1 + 3 * 2) + 3 + (1 + 1)


@pytest.mark.slow
def test_events_of_one_microsecond_are_complete_on_pages_of_any_size(service: Service) -> None:
    count = everything_at_once(service)
    service.clock.sleep(1)
    service.patch("/admin/orders/1002", {"customer_summary": {"city": "Lindau"}})
    whole = service.get(f"{TIMELINE}?limit=100").json["timeline"]
    assert len(whole) == count + 1
    assert [entry["at"] for entry in whole] == sorted(entry["at"] for entry in whole)
    changes = [entry["changes"][-1]["after"] for entry in whole if entry["event"] == "changed"]
    assert changes == [*(f"{n + 1}.00" for n in range(12)), None]
    for limit in (1, 4, 11, count, count + 1):
        found = pages(service, f"{TIMELINE}?limit={limit}")
        assert flatten(found) == whole
        assert {len(page) for page in found[:-1]} <= {limit}


def test_events_added_while_paging_are_listed_once(service: Service) -> None:
    everything_at_once(service)
    before = service.get(f"{TIMELINE}?limit=100").json["timeline"]
    ends_with_a_report = 1 + next(n for n, entry in enumerate(before) if entry["report"] == "delivery")

    def go_on() -> None:
        # SES reports late: one of these reports belongs before the end of the page that was read.
        for kind in ("DeliveryDelay", "Bounce"):
            service.report(kind, "1002", 1, "2026-11-23T09:00:00.000Z", bounceType="Transient")
        service.clock.sleep(1)
        service.patch("/admin/orders/1002", {"paid": 13})

    found = flatten(pages(service, f"{TIMELINE}?limit={ends_with_a_report}", between=go_on))
    # Two mailings of one invoice may have equal entries.
    listed, earlier = (Counter(json.dumps(entry) for entry in each) for each in (found, before))
    assert not earlier - listed
    added = [json.loads(entry) for entry in (listed - earlier).elements()]
    assert [entry["report"] or entry["event"] for entry in added] == ["soft_bounce", "changed"]


def test_long_history_page_by_page(service: Service) -> None:
    for n in range(40):
        service.clock.sleep(timedelta(minutes=1).total_seconds())
        if n % 3:
            service.post("/admin/orders/1002/comments", {"content": f"{n}", "flagged": n % 2 == 0})
        else:
            service.patch("/admin/orders/1002", {"paid": n + 1})
    whole = service.get(f"{TIMELINE}?limit=100").json["timeline"]
    assert len(whole) == 41
    assert len(service.get(TIMELINE).json["timeline"]) == 20
    for limit in (6, 40, 41):
        found = pages(service, f"{TIMELINE}?limit={limit}")
        assert flatten(found) == whole
        assert [len(page) for page in found[:-1]] == [limit] * ((41 - 1) // limit)


def test_only_admins_read_it(service: Service) -> None:
    assert [service.get(TIMELINE, claims).status for claims in ({}, ALICE, ERP)] == [401, 403, 200]
    assert service.get("/admin/orders/9999/timeline").status == 404


def test_invalid_parameters_are_named(service: Service) -> None:
    service.post("/admin/orders/1002/comments", {"content": "x"})
    cursor = service.get(f"{TIMELINE}?limit=1").json["next_cursor"]
    for path, claims, field in (
        (f"{TIMELINE}?limit=0", ADA, "limit"),
        (f"{TIMELINE}?limit=101", ADA, "limit"),
        (f"{TIMELINE}?event=created", ADA, "event"),
        (f"{TIMELINE}?cursor=x", ADA, "cursor"),
        (f"{TIMELINE}?cursor={cursor}", ERP, "cursor"),
        (f"/admin/orders/1001/timeline?cursor={cursor}", ADA, "cursor"),
        (f"/admin/orders/1002/comments?cursor={cursor}", ADA, "cursor"),
    ):
        answer = service.get(path, claims)
        assert answer.status == 422
        assert [error["field"] for error in answer.json["errors"]] == [field]


def test_event_file_works(service: Service) -> None:
    assert service.send(load("get-timeline-as-admin")).status == 200


def test_round_trips(service: Service) -> None:
    everything_at_once(service)
    for query in ("", "?limit=2"):
        service.calls.clear()
        service.get(TIMELINE + query)
        assert service.calls == {"GetItem": 2, "Query": 5}
