"""A table that version 0.1 wrote is read, listed, resent and credited, and no invoice gets another number.

`tests/table_0_1.json` holds the items of six orders that version 0.1 stored, as DynamoDB returned them.
"""

import json

import pytest
from harness import BOB, ROOT, Service

from orders import aws

ITEMS = json.loads((ROOT / "tests" / "table_0_1.json").read_text(encoding="utf-8"))


@pytest.fixture
def old(service: Service) -> Service:
    """The service on the table of version 0.1, with the PDFs that it archived."""
    for item in ITEMS:
        aws.dynamodb().put_item(TableName="OrdersTable", Item=item)
        if item.get("archived", {}).get("BOOL"):
            number = f"INV-{item['order_id']['S']}-{item['n']['N']}"
            key = f"orders/{item['order_id']['S']}/{number}.pdf"
            aws.s3().put_object(Bucket="InvoicesBucket", Key=key, Body=b"%PDF-" + number.encode())
    service.skip_records()
    return service


def attached(service: Service) -> dict[str | None, bytes]:
    """Returns the PDFs of the last mail."""
    return {each.get_filename(): each.get_content() for each in service.mails[-1].iter_attachments()}


def numbers(service: Service, order_id: str) -> list[str]:
    return [each["number"] for each in service.documents(order_id)]


@pytest.mark.parametrize(
    ("order_id", "states"),
    [
        ("old-never", []),
        ("old-once", [["sent"]]),
        ("old-thrice", [["sent"]] * 3),
        ("old-refused", [["failed"]]),
        ("old-unknown", [["unknown"]]),
        ("old-cancelled", [["delivered"]]),
    ],
)
def test_each_mailing_is_an_invoice_with_its_number(old: Service, order_id: str, states: list[list[str]]) -> None:
    documents = old.documents(order_id)
    assert [each["number"] for each in documents] == [f"INV-{order_id}-{n + 1}" for n in range(len(states))]
    assert [[mailing["state"] for mailing in each["mailings"]] for each in documents] == states
    assert {(each["type"], each["grand_total"], each["due"]) for each in documents} <= {("invoice", "26.75", "26.75")}
    left = [each["number"] for each in documents if each["mailings"][0]["state"] in {"sent", "delivered"}]
    mine = old.get(f"/orders/{order_id}/invoices", BOB).json["invoices"]
    assert [each["number"] for each in mine] == left
    for number in left:
        assert old.get(f"/admin/orders/{order_id}/invoices/{number}", accept="application/pdf").status == 303
    assert old.get(f"/admin/orders/{order_id}").json["order_id"] == order_id
    assert len(old.get(f"/admin/orders/{order_id}/timeline?limit=100").json["timeline"]) >= 1 + len(states)


@pytest.mark.parametrize(
    ("order_id", "number"),
    [("old-once", "INV-old-once-1"), ("old-thrice", "INV-old-thrice-3"), ("old-unknown", "INV-old-unknown-1")],
)
def test_an_invoice_is_resent_under_its_number(old: Service, order_id: str, number: str) -> None:
    before = numbers(old, order_id)
    for notes in "xy":
        sent = old.post(f"/admin/orders/{order_id}/send-invoice", {"notes": notes})
        assert (sent.status, sent.headers["location"]) == (200, f"/admin/orders/{order_id}/invoices/{number}")
        assert f"Invoice {number} " in old.mails[-1]["Subject"]
        assert attached(old) == {f"{number}.pdf": b"%PDF-" + number.encode()}
    assert numbers(old, order_id) == before
    assert len(old.documents(order_id)[-1]["mailings"]) == 3
    # No number of the new series was taken.
    assert old.post("/admin/orders/1002/send-invoice").status == 200
    assert numbers(old, "1002") == ["INV-2026-00001"]


def test_an_order_whose_mails_all_failed_gets_an_invoice(old: Service) -> None:
    assert old.post("/admin/orders/old-refused/send-invoice").status == 200
    assert numbers(old, "old-refused") == ["INV-old-refused-1", "INV-2026-00001"]


@pytest.mark.parametrize(
    ("order_id", "corrects"),
    [
        ("old-never", None),
        ("old-refused", None),
        ("old-once", "INV-old-once-1"),
        ("old-thrice", "INV-old-thrice-3"),
        ("old-unknown", "INV-old-unknown-1"),
    ],
)
@pytest.mark.parametrize("resent", [False, True], ids=["as it is", "resent"])
def test_cancelling_credits_the_last_invoice(old: Service, order_id: str, corrects: str | None, resent: bool) -> None:
    if resent:
        assert old.post(f"/admin/orders/{order_id}/send-invoice").status == 200
        corrects = corrects or "INV-2026-00001"
    old.skip_records()
    assert old.post(f"/admin/orders/{order_id}/cancel").status == 204
    assert old.notify(old.records()) == []
    credit_notes = [each for each in old.documents(order_id) if each["type"] == "credit_note"]
    assert [each["corrects"] for each in credit_notes] == ([corrects] if corrects else [])
    assert list(attached(old)) == [f"{each['number']}.pdf" for each in credit_notes]


def test_an_order_that_was_cancelled_stays_as_it_is(old: Service) -> None:
    assert old.post("/admin/orders/old-cancelled/cancel").status == 204
    assert numbers(old, "old-cancelled") == ["INV-old-cancelled-1"]
    assert old.post("/admin/orders/old-cancelled/send-invoice").status == 409


def test_reports_on_old_mails_are_recorded(old: Service) -> None:
    # Version 0.1 tagged its mails with the number alone.
    old.report("Delivery", "old-thrice", "INV-old-thrice-2")
    states = [each["mailings"][0]["state"] for each in old.documents("old-thrice")]
    assert states == ["sent", "delivered", "sent"]
