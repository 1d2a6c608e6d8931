"""The headers of mails on the wire: within RFC 5322 and RFC 2047, and understood by a parser that is not Python's."""

import re

import pytest
from fast_mail_parser import parse_email
from harness import ACCOUNT, REGION, Service
from moto.ses.models import ses_backends

from orders.mailing.shop import get_shop

NAMES = [
    "株式会社チーズキングと娘たち オンラインショップ",
    "Käsekönig & Töchter",
    "Müller, Söhne & Co. (Berlin)",
    'The "Best" <Shop>',
    "Bluebell Books",
    "Книжный магазин «Лучшие книги мира» 😀",
    "书店" * 30,
    "Ein Laden mit einem ganz besonders langen Namen, der für jede Zeile eines Briefkopfs zu lang ist",
    "A shop with an exceptionally long name, too long for any line of the head of a letter, and ASCII",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2,
    "x@y.example",
    "👩‍👩‍👧" * 12,
]
ENCODED_WORD = re.compile(rb"=\?[^?\s]+\?[bqBQ]\?[^?\s]*\?=")


def head_of(raw: bytes) -> list[bytes]:
    return raw.partition(b"\r\n\r\n")[0].split(b"\r\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_shops_name_arrives_as_it_is_in_lines_of_legal_length(
    service: Service, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SHOP_NAME", name)
    get_shop.cache_clear()
    service.skip_records()
    assert service.post("/admin/orders/1001/send-invoice").status == 200
    assert service.post("/admin/orders/1001/comments", {"content": "x"}).status == 201
    assert service.post("/admin/orders/1001/cancel").status == 204
    assert service.notify(service.records()) == []

    subjects = []
    for sent in ses_backends[ACCOUNT][REGION].sent_messages:
        raw = sent.raw_data.encode("ascii")
        for line in head_of(raw):
            assert len(line) <= 998
            words = ENCODED_WORD.findall(line)
            assert all(len(word) <= 75 for word in words)
            assert not words or len(line) <= 76
        read = parse_email(raw)
        assert read.from_ is not None
        assert (read.from_.display_name or read.from_.address, read.from_.address) == (name, "invoices@shop.example")
        assert [address.address for address in read.to] == ["alice@example.com"]
        subjects.append(read.subject)
    assert subjects == [
        f"Invoice INV-2026-00001 for your order 1001 at {name}",
        f"A message about your order 1001 at {name}",
        f"Your order 1001 at {name} is cancelled",
    ]


def test_long_tags_and_addresses_are_neither_encoded_nor_cut(service: Service) -> None:
    order_id, address = "o" * 64, f"{'a' * 64}@{'.'.join(['b' * 60] * 2)}.example"
    order = {
        "order_id": order_id,
        "customer_id": "alice",
        "currency_code": "EUR",
        "customer_summary": {"email": address},
        "order_line_details": [{"item_id": 1, "product_name": "Mug", "quantity": 1, "price": "1"}],
    }
    assert service.post("/admin/orders", order).status == 201
    assert service.post(f"/admin/orders/{order_id}/send-invoice").status == 200

    [sent] = ses_backends[ACCOUNT][REGION].sent_messages
    head = head_of(sent.raw_data.encode("ascii"))
    assert f"To: {address}".encode() in head
    assert parse_email(sent.raw_data.encode("ascii")).headers["X-SES-MESSAGE-TAGS"] == [
        f"order_id={order_id}, invoice=INV-2026-00001, mailing=1"
    ]
