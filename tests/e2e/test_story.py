"""End-to-end tests over HTTP, against a deployed stack or the local gateway.

`BASE_URL` is the address of the API. `CUSTOMER_TOKEN`, `OTHER_CUSTOMER_TOKEN` and `ADMIN_TOKEN` belong to two customers
and an admin, `MACHINE_TOKEN` to a machine client, if there is one. `ORIGIN` is one of the `AllowedOrigins`, if any.
`LOCAL_GATEWAY=1` starts a gateway instead. Every run creates new orders, so it can be repeated on the same stack.
"""

import base64
import gzip
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from process import gateway, http

MAILBOX = "success@simulator.amazonses.com"
"""SES accepts mail to this address even in the sandbox, reports it as delivered and drops it."""

PATIENCE = 20
"""Seconds to wait until lists and SES reports are up to date."""

TOKENS = {"customer": "CUSTOMER_TOKEN", "other": "OTHER_CUSTOMER_TOKEN", "admin": "ADMIN_TOKEN"}

BASE_URL = os.environ.get("BASE_URL")
ORIGIN = os.environ.get("ORIGIN") or ("" if BASE_URL else "https://shop.example")

if not BASE_URL and not os.environ.get("LOCAL_GATEWAY"):
    pytest.skip("BASE_URL is not set; `make e2e` starts a local gateway instead", allow_module_level=True)
if BASE_URL and (missing := [name for name in TOKENS.values() if not os.environ.get(name)]):
    pytest.skip(f"BASE_URL needs {', '.join(missing)} too", allow_module_level=True)


class Answer:
    """The response of the API."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The slug at the end of the problem's type."""
        return str(self.json["type"]).rpartition(":")[2]


class Api:
    """A client of the API."""

    def __init__(self, url: str, tokens: Mapping[str, str]) -> None:
        self.url = url.rstrip("/")
        self.tokens = tokens

    def __call__(self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> Answer:
        """Calls a path: as admin below `/admin`, else as the customer, or with another `token`; "" is none."""
        who = ("admin" if path.startswith("/admin/") else "customer") if token is None else token
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if who:
            sent["Authorization"] = f"Bearer {self.tokens.get(who, who)}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body)
        answer = http.request(method, self.url + path, headers=sent, body=data, redirect=False, timeout=60)
        return Answer(answer.status, answer.headers, answer.data)

    @property
    def customer(self) -> str:
        """The customer's id: the subject of their token."""
        payload = self.tokens["customer"].split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])

    def new_order(self) -> str:
        """Creates an order of the customer's. Returns its path without `/admin`."""
        order_id = f"e2e-{uuid4().hex}"
        answer = self("POST", "/admin/orders", an_order(order_id, self.customer))
        assert answer.status == 201, answer.body
        return f"/orders/{order_id}"


def an_order(order_id: str, customer: str) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "customer_id": customer,
        "currency_code": "EUR",
        "shipping_cost": "4.90",
        "customer_summary": {"first_name": "Éa", "email": MAILBOX, "country": {"name": "Norge", "code": "NO"}},
        "order_line_details": [
            {"item_id": 1, "product_name": "Brunost – 棕色奶酪, 250 g", "quantity": 2, "price": "12.50", "tax": "1.75"}
        ],
    }


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    if BASE_URL:
        machine = {"machine": token} if (token := os.environ.get("MACHINE_TOKEN")) else {}
        yield Api(BASE_URL, {who: os.environ[name] for who, name in TOKENS.items()} | machine)
        return
    with gateway() as running:
        yield Api(running.url, {"customer": running.tokens["alice"], "other": running.tokens["bob"]} | running.tokens)


@pytest.fixture
def order(api: Api) -> str:
    """The path of a new order, without `/admin`."""
    return api.new_order()


def eventually(ask: Callable[[], Any]) -> Any:
    """Repeats a call until its result is true, for `PATIENCE` seconds at most."""
    deadline = time.monotonic() + PATIENCE
    while not (found := ask()) and time.monotonic() < deadline:
        time.sleep(1)
    return found


def test_order_is_created_once(api: Api) -> None:
    order_id = f"e2e-{uuid4().hex}"
    sent = an_order(order_id, api.customer)
    first, again = (api("POST", "/admin/orders", sent) for _ in range(2))
    assert (first.status, again.status) == (201, 200)
    assert first.headers["Location"] == f"/admin/orders/{order_id}"
    assert first.json["grand_total"] == again.json["grand_total"] == "31.65"
    other = api("POST", "/admin/orders", sent | {"currency_code": "NOK"})
    assert (other.status, other.problem) == (409, "order-exists")
    wrong = api("POST", "/admin/orders", sent | {"order_id": f"{order_id}-2", "grand_total": "31.66"})
    assert (wrong.status, wrong.problem) == (422, "invalid-input")


@pytest.mark.parametrize("written", ["e2e/{}", "#e2e {}", "gid://e2e/Order/{}"])
def test_order_of_any_id_is_found_where_its_location_says(api: Api, written: str) -> None:
    order_id = written.format(uuid4().hex)
    created = api("POST", "/admin/orders", an_order(order_id, api.customer))
    assert created.status == 201
    location = created.headers["Location"]
    own = location.removeprefix("/admin")
    assert api("GET", location).json["order_id"] == api("GET", own).json["order_id"] == order_id
    assert api("POST", f"{own}/comments", {"id": order_id, "content": "x"}).status == 201
    sent = api("POST", f"{location}/send-invoice", {})
    assert sent.status == 200
    assert api("GET", sent.headers["Location"], accept="application/pdf").status == 303
    assert api("POST", f"{own}/cancel").status == 204
    assert api("GET", f"{own}%0A").status == 422


def test_head_is_answered_like_get_without_a_body(api: Api, order: str) -> None:
    head, get = api("HEAD", order), api("GET", order)
    assert (head.status, head.headers["ETag"], head.body) == (200, get.headers["ETag"], b"")
    assert api("HEAD", order, if_none_match='"1"').status == 304
    assert api("HEAD", order, token="other").status == 404
    assert api("HEAD", order, token="").status == 401


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ('{"content": "Käse"}'.encode("latin-1"), {}, 400),
        (gzip.compress(b'{"content": "x"}'), {"Content-Encoding": "gzip"}, 415),
        ('\ufeff{"content": "Käse"}'.encode(), {}, 201),
    ],
    ids=["Latin-1", "gzip", "byte order mark"],
)
def test_body_is_read_as_utf_8(api: Api, order: str, body: bytes, headers: dict[str, str], status: int) -> None:
    sent = {"Authorization": f"Bearer {api.tokens['customer']}", "Content-Type": "application/json"}
    answer = http.request("POST", f"{api.url}{order}/comments", headers=sent | headers, body=body, timeout=60)
    assert answer.status == status
    assert [each["content"] for each in api("GET", f"{order}/comments").json["comments"]] == ["Käse"] * (status == 201)


@pytest.mark.skipif(not ORIGIN, reason="ORIGIN is not set")
def test_page_of_an_allowed_origin_may_call(api: Api, order: str) -> None:
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "authorization,if-match"}
    preflight = api("OPTIONS", f"{order}/cancel", token="", origin=ORIGIN, **asked)
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert {"GET", "POST", "PATCH"} <= set(
        preflight.headers["Access-Control-Allow-Methods"].replace(" ", "").split(",")
    )
    read = api("GET", order, origin=ORIGIN)
    assert read.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "etag" in read.headers["Access-Control-Expose-Headers"].lower()
    assert "Access-Control-Allow-Credentials" not in read.headers
    for foreign in (
        api("OPTIONS", order, token="", origin="https://evil.example", **asked),
        api("GET", order, origin="null"),
    ):
        assert "Access-Control-Allow-Origin" not in foreign.headers


def test_customer_and_admin_read_the_order(api: Api, order: str) -> None:
    own, staffs = api("GET", order), api("GET", f"/admin{order}")
    assert (own.status, staffs.status) == (200, 200)
    assert own.headers["ETag"] == staffs.headers["ETag"] == '"1"'
    assert own.json["order_line_details"][0]["product_name"] == "Brunost – 棕色奶酪, 250 g"
    assert "created_by" not in own.json
    assert api("GET", order, if_none_match='"1"').status == 304


def test_customer_and_admin_list_the_order(api: Api, order: str) -> None:
    order_id = order.rpartition("/")[2]

    def listed(path: str) -> bool:
        return order_id in [each["order_id"] for each in api("GET", path).json["orders"]]

    for path in ("/orders", f"/admin/orders?customer_id={api.customer}"):
        # An index is updated a moment after the table. A new order is on the first page.
        assert eventually(partial(listed, path))
    for query in (f"email={MAILBOX.upper()}", "shipping_status=awaiting_shipment"):
        assert eventually(partial(listed, f"/admin/orders?limit=100&{query}"))
    assert eventually(partial(listed, "/orders?shipping_status=awaiting_shipment"))
    page = api("GET", "/orders?limit=1").json
    assert len(page["orders"]) == 1
    unknown = api("GET", "/orders?order_staus=draft")
    assert (unknown.status, unknown.problem) == (422, "invalid-input")


def test_changes_are_listed_by_time(api: Api, order: str) -> None:
    order_id, other = order.rpartition("/")[2], api.new_order().rpartition("/")[2]
    since = api("GET", f"/admin{order}").json["updated"]
    assert api("POST", f"{order}/cancel").status == 204
    now = api("GET", f"/admin{order}").json

    def changed() -> list[str]:
        found, cursor = [], ""
        while cursor is not None:
            page = api("GET", f"/admin/orders?updated_from={since}&limit=2{cursor and f'&cursor={cursor}'}").json
            found += [each for each in page["orders"] if each["order_id"] in {order_id, other}]
            cursor = page["next_cursor"]
        return found if [each["order_id"] for each in found] == [other, order_id] else []

    [_, last] = eventually(changed)
    assert last.items() <= now.items()
    assert last["order_status"] == "cancelled"


def test_internal_comment_is_hidden_from_the_customer(api: Api, order: str) -> None:
    posts = [
        api("POST", f"{order}/comments", {"content": "Bitte klingeln – 你好"}),
        api("POST", f"/admin{order}/comments", {"content": "We will."}),
        api("POST", f"/admin{order}/comments", {"content": "rings twice", "flagged": True}),
    ]
    assert [post.status for post in posts] == [201, 201, 201]
    own, staffs = (api("GET", f"{prefix}{order}/comments").json["comments"] for prefix in ("", "/admin"))
    assert [comment["content"] for comment in own] == ["Bitte klingeln – 你好", "We will."]
    assert [comment["is_visible_to_customer"] for comment in staffs] == [True, True, False]


def test_redacted_comment_is_gone_for_the_customer(api: Api, order: str) -> None:
    [comment] = api("POST", f"{order}/comments", {"content": "Karte 4111 1111 1111 1111"}).json["comments"]
    path = f"/admin{order}/comments/{comment['id']}/redact"
    assert api("POST", path, token="customer").status == 403
    assert [api("POST", path).status for _ in range(2)] == [204, 204]
    assert api("GET", f"{order}/comments").json["comments"] == []
    [trace] = api("GET", f"/admin{order}/comments").json["comments"]
    assert (trace["id"], trace["content"]) == (comment["id"], "")
    assert trace["redacted_by"]
    assert api("GET", f"/admin{order}/timeline").json["timeline"][-1]["event"] == "comment_redacted"
    missing = api("POST", f"/admin{order}/comments/1/redact")
    assert (missing.status, missing.problem) == (404, "comment-not-found")


def test_repeated_comment_is_stored_once(api: Api, order: str) -> None:
    key = uuid4().hex
    first, again = (api("POST", f"{order}/comments", {"content": "once"}, idempotency_key=key) for _ in range(2))
    assert first.json == again.json
    assert len(api("GET", f"{order}/comments").json["comments"]) == 1
    # Without a key, a double click is recognised by its content.
    first, again = (api("POST", f"{order}/comments", {"content": "double"}) for _ in range(2))
    assert first.json == again.json
    assert len(api("GET", f"{order}/comments").json["comments"]) == 2
    other = api("POST", f"{order}/comments", {"content": "twice"}, idempotency_key=key)
    assert (other.status, other.problem) == (422, "idempotency-key-reused")


def test_change_is_made_for_the_given_version(api: Api, order: str) -> None:
    changed = api("PATCH", f"/admin{order}", {"payment_status": "paid", "paid": "31.65"}, if_match='"1"')
    assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
    late = api("PATCH", f"/admin{order}", {"shipping_status": "shipped"}, if_match='"1"')
    assert (late.status, late.problem) == (412, "outdated")
    assert (late.json["current"]["version"], late.json["current"]["shipping_status"]) == (2, "awaiting_shipment")
    wrong = api("PATCH", f"/admin{order}", {"order_status": "reopened"})
    assert (wrong.status, wrong.problem) == (409, "state-conflict")


def test_invoice_is_mailed_recorded_and_archived(api: Api, order: str) -> None:
    preview = api("POST", f"/admin{order}/invoice-preview", accept="application/pdf")
    assert preview.body.startswith(b"%PDF-")
    sent = api("POST", f"/admin{order}/send-invoice", idempotency_key="first")
    assert (sent.status, sent.json) == (200, {"status": "success"})
    assert api("POST", f"/admin{order}/send-invoice", idempotency_key="first").status == 200
    # Sent again, it is the same invoice.
    assert (
        api("POST", f"/admin{order}/send-invoice", idempotency_key="second").headers["Location"]
        == sent.headers["Location"]
    )
    [invoice] = api("GET", f"/admin{order}/invoices").json["invoices"]
    assert {mailing["state"] for mailing in invoice["mailings"]} <= {"sent", "delivered"}
    assert sent.headers["Location"].endswith(invoice["number"])
    link = api("GET", sent.headers["Location"], accept="application/pdf")
    assert link.status == 303
    assert http.request("GET", link.headers["Location"]).data.startswith(b"%PDF-")
    # The customer reads it too, and the credit note once the order is cancelled.
    assert api("GET", f"{order}/invoices").json["invoices"][0]["number"] == invoice["number"]
    assert api("POST", f"{order}/cancel").status == 204
    _, credit_note = api("GET", f"/admin{order}/invoices").json["invoices"]
    assert (credit_note["type"], credit_note["corrects"]) == ("credit_note", invoice["number"])


def test_documents_speak_the_language_of_the_order(api: Api, order: str) -> None:
    for language, title, direction in (("de", "Rechnung", "ltr"), ("ar", "فاتورة", "rtl"), ("fi", "Invoice", "ltr")):
        assert api("PATCH", f"/admin{order}", {"language": language}).status == 200
        page = api("POST", f"/admin{order}/invoice-preview").body.decode()
        assert title in page
        assert f'dir="{direction}"' in page
        pdf = api("POST", f"/admin{order}/invoice-preview", accept="application/pdf")
        assert pdf.body.startswith(b"%PDF-")


def test_cancelled_order_refuses_invoice_shipment_and_payment(api: Api, order: str) -> None:
    assert api("POST", f"{order}/cancel", {"reason": "ordered twice"}).status == 204
    assert api("POST", f"{order}/cancel").status == 204
    refused = [
        api("POST", f"/admin{order}/send-invoice"),
        api("PATCH", f"/admin{order}", {"shipping_status": "shipped"}),
    ]
    assert [(answer.status, answer.problem) for answer in refused] == [(409, "state-conflict")] * 2
    arrived = api("PATCH", f"/admin{order}", {"paid": "31.65"})
    assert (arrived.json["payment_status"], arrived.json["refund_due"]) == ("paid", "31.65")
    assert api("GET", f"/admin{order}/invoices").json["invoices"] == []
    after = api("GET", order).json
    assert (after["order_status"], after["shipping_status"]) == ("cancelled", "awaiting_shipment")


def test_staff_states_reason_note_and_intent(api: Api, order: str) -> None:
    etag = api("GET", f"/admin{order}").headers["ETag"]
    assert api("PATCH", f"/admin{order}", {"buyer_reference": "x"}).status == 200
    stated = {"reason_code": "inventory", "staff_note": "Reorder it", "restock": False, "refund": True}
    told = {"reason": "sold out", "notify_customer": False, **stated}
    stale = api("POST", f"/admin{order}/cancel", told, If_Match=etag)
    assert (stale.status, stale.problem) == (412, "outdated")
    before = api("GET", f"/admin{order}")
    assert before.json["available_actions"]["cancel"] == {"allowed": True, "reason": None}
    assert api("POST", f"/admin{order}/cancel", told, If_Match=before.headers["ETag"]).status == 204
    after = api("GET", f"/admin{order}").json
    assert {name: after[f"cancel_{name}"] for name in told} == told
    own = api("GET", order)
    assert own.json["available_actions"]["cancel"] == {"allowed": False, "reason": "The order is already cancelled."}
    assert own.json["cancel_reason"] == "sold out"
    assert "Reorder" not in str(own.json)
    refused = api("POST", f"{order}/cancel", {"staff_note": "x"})
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "staff_note")


def test_shipped_order_cannot_be_cancelled(api: Api, order: str) -> None:
    assert api("PATCH", f"/admin{order}", {"shipping_status": "shipped"}).status == 200
    assert [api("POST", f"{prefix}{order}/cancel").status for prefix in ("", "/admin")] == [409, 409]


def test_customer_withdraws_from_a_shipped_order(api: Api, order: str) -> None:
    assert api("PATCH", f"/admin{order}", {"shipping_status": "shipped"}).status == 200
    shown = api("POST", f"{order}/withdraw")
    assert (shown.status, shown.json["confirmed"], shown.json["email"]) == (200, False, MAILBOX)
    assert api("GET", order).json["withdrawal"] is None
    declared, again = (api("POST", f"{order}/withdraw", {"confirm": True}) for _ in range(2))
    assert (declared.status, declared.json["confirmed"], again.json) == (200, True, declared.json)
    after = api("GET", order).json
    assert after["withdrawal"]["declared_at"] == declared.json["declared_at"]
    assert (after["order_status"], after["shipping_status"]) == ("in_progress", "shipped")
    assert api("POST", f"{order}/withdraw", {"confirm": True}, token="other").status == 404


def test_guest_withdraws_without_a_token(api: Api, order: str) -> None:
    order_id = order.rpartition("/")[2]
    statement = {"order_id": order_id, "name": "Éa", "email": MAILBOX}
    assert api("POST", "/withdrawals", statement, token="").json["confirmed"] is False
    wrong = api("POST", "/withdrawals", statement | {"email": "eve@example.com", "confirm": True}, token="")
    assert api("GET", order).json["withdrawal"] is None
    right = api("POST", "/withdrawals", statement | {"confirm": True}, token="")
    assert (wrong.status, wrong.json | {"email": MAILBOX}) == (right.status, right.json) == (200, right.json)
    assert api("GET", order).json["withdrawal"]["declared_as"] == "guest"


def test_timeline_lists_all_events(api: Api, order: str) -> None:
    api("PATCH", f"/admin{order}", {"order_status": "paused"})
    api("POST", f"{order}/comments", {"content": "Please cancel it."})
    api("POST", f"{order}/withdraw", {"confirm": True})
    api("POST", f"/admin{order}/cancel")
    timeline = api("GET", f"/admin{order}/timeline").json["timeline"]
    assert [entry["event"] for entry in timeline] == [
        *("created", "changed", "commented", "withdrawal_declared", "cancelled")
    ]
    assert [entry["role"] for entry in timeline] == ["admin", "admin", "customer", "customer", "admin"]


@pytest.mark.parametrize("path", ["/orders", "/orders/1", "/admin/orders", "/admin/orders/1/timeline"])
def test_invalid_token_is_refused(api: Api, path: str) -> None:
    for token in ("nonsense", f"{api.tokens['admin'][:-8]}AAAAAAAA"):
        assert api("GET", path, token=token).status == 401


def test_machine_client_acts_as_admin(api: Api, order: str) -> None:
    if "machine" not in api.tokens:
        pytest.skip("MACHINE_TOKEN is not set")
    assert api("GET", f"/admin{order}", token="machine").status == 200
    assert api("POST", f"/admin{order}/comments", {"content": "Picked."}, token="machine").status == 201
    assert api("GET", order, token="machine").status == 404


def test_customers_cannot_use_admin_routes(api: Api, order: str) -> None:
    for method, path, body in (
        ("GET", "/admin/orders", None),
        ("GET", f"/admin{order}", None),
        ("GET", f"/admin{order}/timeline", None),
        ("PATCH", f"/admin{order}", {"paid": "31.65"}),
        ("POST", f"/admin{order}/cancel", None),
        ("POST", f"/admin{order}/send-invoice", None),
    ):
        answer = api(method, path, body, token="customer")
        assert (answer.status, answer.problem) == (403, "forbidden")


def test_other_customers_order_answers_like_a_missing_order(api: Api, order: str) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/comments", None),
        ("POST", "/comments", {"content": "x"}),
        ("POST", "/withdraw", {"confirm": True}),
        ("POST", "/cancel", None),
    ):
        others = api(method, f"{order}{path}", body, token="other")
        none = api(method, f"/orders/e2e-none{path}", body)
        assert (others.status, others.problem) == (none.status, none.problem) == (404, "order-not-found")
    assert api("GET", order).json["order_status"] != "cancelled"
