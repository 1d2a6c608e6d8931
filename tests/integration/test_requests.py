"""What is read strictly and what is tolerated in every request: bytes, codings, conditions, preferences."""

import base64
import gzip
import json
from datetime import timedelta

import pytest
from harness import ROOT, Service

from orders.keys import KEY_LIFETIME
from orders.negotiation import preferred_type

COMMENTS = "/orders/1001/comments"

NOT_UTF_8 = {
    "Latin-1": '{"content": "Käse"}'.encode("latin-1"),
    "cut off emoji": '{"content": "🧀"}'.encode().replace(b"\x80", b""),
    "overlong": b'{"content": "\xc0\xaf"}',
    "surrogate": b'{"content": "\xed\xa0\x80"}',
    "UTF-16": '{"content": "Käse"}'.encode("utf-16"),
}


@pytest.mark.parametrize("content", NOT_UTF_8.values(), ids=list(NOT_UTF_8))
@pytest.mark.parametrize("encoded", [False, True], ids=["as text", "in Base64"])
def test_body_that_is_not_utf_8_is_a_400(service: Service, content: bytes, encoded: bool) -> None:
    # HTTP API replaces invalid bytes of a text.
    body = base64.b64encode(content).decode() if encoded else content.decode(errors="replace")
    answer = service.send(service.event("POST", COMMENTS, body) | {"isBase64Encoded": encoded})
    assert (answer.status, answer.json["type"]) == (400, "urn:problem:orders:malformed-body")
    assert "UTF-8" in answer.json["detail"]
    assert service.comments("1001") == []


def test_replacement_character_may_be_sent_as_an_escape(service: Service) -> None:
    assert service.post(COMMENTS, '{"content": "K\\ufffdse"}').json["comments"][0]["content"] == "K\ufffdse"


@pytest.mark.parametrize("encoded", [False, True], ids=["as text", "in Base64"])
def test_byte_order_mark_is_ignored(service: Service, encoded: bool) -> None:
    text = '\ufeff{"content": "Grüße"}'
    body = base64.b64encode(text.encode()).decode() if encoded else text
    answer = service.send(service.event("POST", COMMENTS, body) | {"isBase64Encoded": encoded})
    assert answer.json["comments"][0]["content"] == "Grüße"


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip", "aws-chunked"])
def test_encoded_body_is_a_415(service: Service, coding: str) -> None:
    body = gzip.compress(b'{"content": "x"}').decode(errors="replace")
    answer = service.post(COMMENTS, body, content_encoding=coding)
    assert (answer.status, answer.json["type"]) == (415, "urn:problem:orders:unsupported-content-encoding")
    assert answer.headers["accept-encoding"] == "identity"
    assert "Content-Encoding" in answer.json["detail"]
    assert service.comments("1001") == []


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_identity_is_no_encoding(service: Service, coding: str) -> None:
    assert service.post(COMMENTS, {"content": "x"}, content_encoding=coding).status == 201


def test_wrong_media_type_does_not_speak_of_encodings(service: Service) -> None:
    answer = service.post(COMMENTS, {"content": "x"}, content_type="text/plain")
    assert answer.status == 415
    # RFC 9110, section 12.5.3.
    assert "accept-encoding" not in answer.headers


@pytest.mark.parametrize(
    "content",
    ["\u200b", "\u200b\u200d\ufeff \u00ad", "\u2060\u180e", "\u3164", "\u2800", "\ufe0f", "\u034f", "\U000e0041"],
    ids=ascii,
)
def test_invisible_content_is_blank(service: Service, content: str) -> None:
    answer = service.post(COMMENTS, {"content": content})
    assert answer.json["errors"] == [{"field": "content", "message": "must not be blank"}]


@pytest.mark.parametrize("content", ["👩\u200d🍳", "❤\ufe0f", "می\u200cخواهم", "\u200bx", "…"])
def test_text_with_invisible_characters_is_kept(service: Service, content: str) -> None:
    assert service.post(COMMENTS, {"content": content}).json["comments"][0]["content"] == content


def test_too_long_content_is_counted_in_characters(service: Service) -> None:
    answer = service.post(COMMENTS, {"content": "ä" * 4001})
    assert answer.json["errors"] == [{"field": "content", "message": "must have at most 4000 characters"}]
    assert service.post(COMMENTS, {"content": "ä" * 4000}).status == 201


@pytest.mark.parametrize("condition", ['"1",', ',"1"', ', , "1" ,,', '"7",,"1"', '"a,b","1"'])
def test_empty_elements_of_a_condition_are_ignored(service: Service, condition: str) -> None:
    answer = service.patch("/admin/orders/1001", {"customer_summary": {"city": "Łódź"}}, if_match=condition)
    assert answer.status == 200
    assert service.get("/orders/1001", if_none_match=condition.replace("1", "2")).status == 304


@pytest.mark.parametrize("condition", [",", "", " , ", '"1" "2"', "*,", '"1', "1"])
def test_condition_without_an_entity_tag_is_a_422(service: Service, condition: str) -> None:
    answer = service.patch("/admin/orders/1001", {"customer_summary": {"city": "Łódź"}}, if_match=condition)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "If-Match")


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("application/pdf", "application/pdf"),
        ("Application/PDF", "application/pdf"),
        ("application/pdf;q=0.1, text/html;q=0.9", "text/html"),
        ("application/pdf;q=0.9, text/html;q=0.1", "application/pdf"),
        ("application/pdf, text/html", "text/html"),
        ("application/pdf, */*;q=0.8", "application/pdf"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/*", "application/pdf"),
        ("application/pdf;q=0", "text/html"),
        ("application/pdf;q=0, */*", "text/html"),
        ("text/*;q=0.2, application/pdf;q=0.3", "application/pdf"),
        ("application/pdf;q=1.5", "text/html"),
        ("application/pdf; version=1.7; q=0.5, text/html;q=0.4", "application/pdf"),
        (",, application/pdf ,", "application/pdf"),
        ("image/png", "text/html"),
        ("pdf", "text/html"),
        ("/;,=\x00é", "text/html"),
    ],
)
def test_preferred_media_type(accept: str, media_type: str) -> None:
    assert preferred_type(accept, "text/html", "application/pdf") == media_type


def test_preview_and_invoice_follow_the_weights(service: Service) -> None:
    rather = {"html": "application/pdf;q=0.1, text/html;q=0.9", "json": "application/pdf;q=0.1, application/json"}
    preview = service.post("/admin/orders/1002/invoice-preview", accept=rather["html"])
    assert preview.headers["content-type"] == "text/html; charset=utf-8"
    assert service.post("/admin/orders/1002/send-invoice").status == 200
    one = "/admin/orders/1002/invoices/INV-2026-00001"
    assert service.get(one, accept=rather["json"]).headers["content-type"] == "application/json"
    assert service.get(one, accept="application/pdf, application/json;q=0.5").status == 303


@pytest.mark.parametrize(
    "moment", ["2026-11-01T00:00:00+01:00", "2026-11-01T00:00:00.5+0100", "2026-11-01 00:00+01:00"]
)
def test_time_with_a_plus_that_is_not_encoded_is_explained(service: Service, moment: str) -> None:
    answer = service.get(f"/orders?created_from={moment}")
    [error] = answer.json["errors"]
    assert (answer.status, error["field"]) == (422, "created_from")
    assert "%2B" in error["message"]
    assert service.get("/orders?created_from=2026-11-01T00:00:00%2B01:00").status == 200


@pytest.mark.parametrize(
    "path", ["/orders", "/orders/1001", "/admin/orders/1001/timeline", "/orders/9999", "/admin/orders?x=1"]
)
def test_head_is_answered_like_get(service: Service, path: str) -> None:
    # API Gateway leaves the body out, and tells its length.
    head, get = service.send(service.event("HEAD", path)), service.get(path)
    assert (head.status, head.headers, head.text) == (get.status, get.headers, get.text)
    assert service.send(service.event("HEAD", path, claims={})).status == 401


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"currency_code": "eur"}, "currency_code", "must have three capital letters, such as EUR"),
        ({"delivery_country": "Germany"}, "delivery_country", "must have two capital letters, such as DE"),
        ({"customer_id": ""}, "customer_id", "must not be empty"),
        ({"customer_id": "x" * 129}, "customer_id", "must have at most 128 characters"),
        ({"order_line_details": []}, "order_line_details", None),
    ],
)
def test_messages_use_words(service: Service, body: dict[str, object], field: str, message: str | None) -> None:
    order = json.loads(json.loads((ROOT / "events" / "create-order-as-admin.json").read_text("utf-8"))["body"])
    [error] = service.post("/admin/orders", order | body).json["errors"]
    assert error["field"] == field
    assert message in {None, error["message"]}
    assert "pattern" not in error["message"]


def test_lifetime_of_a_key_is_one_number_everywhere() -> None:
    hours = f"{KEY_LIFETIME // timedelta(hours=1)} hours"
    document = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
    described = {
        parameter["description"]
        for item in document["paths"].values()
        for operation in item.values()
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "Idempotency-Key"
    }
    assert len(described) == 1
    assert hours in described.pop()
    assert f"kept for {hours}" in (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
