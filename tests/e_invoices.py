"""Documents that are e-invoices: a corpus of all kinds, and orders at random. Real code issues each of them."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from orders.documents import Series, issue_invoice, reissue_invoice, withdraw_invoice
from orders.identity import Caller, Role
from orders.invoices import Document
from orders.mailing.shop import Shop
from orders.mailing.words import languages
from orders.models import Order
from orders.requests import InvoiceRequest, NewOrder
from send_invoice.sending import draft_mailing, issued_content

# Half past midnight in Berlin: a day later than in UTC.
NOW = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
SHOP = Shop(
    name="Käsekönig",
    legal_name="Käsekönig & Töchter GmbH",
    sender="invoices@shop.example",
    street="Marktplatz 7",
    post_code="87435",
    city="Kempten",
    country="DE",
    vat_id="DE123456789",
    tax_number="127/123/12345",
    register_number="HRB 12345",
    iban="DE02120300000000202051",
    bic="BYLADEM1001",
    contact_name="Buchhaltung",
    contact_phone="+49 831 555 0100",
    contact_email="accounts@shop.example",
    peppol_id="9930:DE123456789",
    payment_days=14,
    time_zone=ZoneInfo("Europe/Berlin"),
)
GERMAN = {
    "first_name": "Alice",
    "last_name": "Böhm",
    "email": "alice@example.com",
    "address_line_1": "Gerberstraße 18",
    "address_line_2": "Hinterhaus, 2. Stock",
    "post_code": "87435",
    "city": "Kempten (Allgäu)",
    "state": {"name": "Bayern", "code": "BY"},
    "country": {"name": "Deutschland", "code": "DE"},
}
SPANISH = {
    "first_name": "Bob",
    "last_name": "Núñez",
    "company_name": "Café El Ñandú, S. L.",
    "email": "bob@example.com",
    "address_line_1": "Calle de las Peñuelas 12",
    "post_code": "28005",
    "city": "Madrid",
    "country": {"name": "España", "code": "ES"},
    "vat_number": "ESB12345674",
}
AMERICAN = {
    "first_name": "Zoë",
    "last_name": "O’Connor",
    "email": "zoe@example.com",
    "address_line_1": "2210 NW Hoyt Street",
    "post_code": "97210",
    "city": "Portland",
    "state": {"name": "Oregon", "code": "OR"},
    "country": {"code": "US"},
}
BELGIAN = {
    "company_name": "Crèmerie & Fils <Bruxelles>",
    "address_line_1": "Rue du Fromage 1",
    "post_code": "1000",
    "city": "Bruxelles",
    "country": {"name": "België", "code": "BE"},
    "vat_number": "BE0403019261",
    "peppol_id": "0208:0403019261",
    "email": "factures@example.com",
}


class Issued(NamedTuple):
    """A document with its order and its shop."""

    name: str
    document: Document
    order: Order
    shop: Shop


def an_order(*lines: dict[str, Any], **more: Any) -> Order:
    """Returns an order of lines, each "Käse" once unless it says otherwise."""
    fields = [{"item_id": 1, "product_name": "Käse", "quantity": 1, **line} for line in lines]
    body: dict[str, Any] = {
        "order_id": "1002",
        "customer_id": "a",
        "currency_code": "EUR",
        "delivered_on": "2026-11-22",
    }
    body |= {"customer_summary": GERMAN, **more}
    return NewOrder.model_validate({**body, "order_line_details": fields}).order(datetime(2026, 11, 20, tzinfo=UTC))


def issue(order: Order, shop: Shop = SHOP, **request: Any) -> Document:
    """Issues the invoice of an order, as send-invoice does."""
    draft = draft_mailing(order, Caller(Role.ADMIN, "ada"), InvoiceRequest(**request), shop, NOW)
    content = issued_content(order, draft, shop)
    return issue_invoice(Series("INV-2026", 16), order, "ada", NOW, **content).documents[0]


def corpus() -> Iterator[Issued]:
    """Yields documents of all kinds."""
    for name, order, shop, request in _invoices():
        document = issue(order, shop, **request)
        yield Issued(name, document, order, shop)
        if name in CREDITED:
            [note] = withdraw_invoice(Series("INV-2026", 17), document, "ada", NOW, may_have_left=True).documents
            yield Issued(f"{name}-credit-note", note, order, shop)
    moved = an_order(line(19), customer_summary=SPANISH)
    # The invoice named another buyer, and a mail of it left.
    left = moved.model_copy(update={"may_have_left": frozenset({1})})
    outdated = issue(an_order(line(19)))
    content = issued_content(left, draft_mailing(left, Caller(Role.ADMIN, "ada"), InvoiceRequest(), SHOP, NOW), SHOP)
    for document in reissue_invoice(Series("INV-2026", 17), left, outdated, "ada", NOW, **content).documents:
        yield Issued(f"reissue-{document.type}", document, moved, SHOP)


SCRIPTS = {
    "Arabic": "جبنة بلدية",
    "Armenian": "Չեչիլ պանիր",
    "Bengali": "ছানার মিষ্টি",
    "Bopomofo": "ㄋㄞˇ ㄌㄠˋ",
    "Cyrillic": "Козячий сир",
    "Devanagari": "मलाई पनीर",
    "Ethiopic": "የፍየል አይብ",
    "Georgian": "იმერული ყველი",
    "Greek": "Γραβιέρα Κρήτης",
    "Gujarati": "ગુજરાતી ચીઝ",
    "Gurmukhi": "ਪੰਜਾਬੀ ਪਨੀਰ",
    "Han": "北京奶酪",
    "Hangul": "임실 치즈",
    "Hebrew": "גבינת צפתית",
    "Hiragana": "やぎのちーず",
    "Kannada": "ಕನ್ನಡ ಚೀಸ್",
    "Katakana": "カマンベールチーズ",
    "Khmer": "ឈីសចៀម",
    "Lao": "ເນີຍແຂງ",
    "Latin": "Phô mai sữa trâu nướng",
    "Malayalam": "മലയാളം ചീസ്",
    "Myanmar": "ဒိန်ခဲ",
    "Oriya": "ଛେନା ପୋଡ଼",
    "Sinhala": "කිරි චීස්",
    "Tamil": "பாலாடைக்கட்டி",
    "Telugu": "జున్ను ముక్క",
    "Thai": "ชีสแพะ",
}
"""Cheese in each script that Unicode recommends for identifiers (UAX #31, table 5), except Thaana and Tibetan: no
package on PyPI has an open font for these."""


def in_all_scripts() -> Issued:
    """Returns an invoice with a line for each of `SCRIPTS`."""
    order = an_order(*(line(19, product_name=name) for name in SCRIPTS.values()))
    return Issued("scripts", issue(order), order, SHOP)


CREDITED = {
    *("two-rates", "gross", "paid", "peppol", "xrechnung", "outside-scope", "500-lines", "rounded-up"),
    *("in-ar", "in-de", "in-ja"),
}
"""The invoices that get a credit note too."""


def line(rate: float | str, price: str = "100", **more: Any) -> dict[str, Any]:
    """Returns a line whose tax is right: that of what is left after its discount."""
    quantity, discount = Decimal(str(more.get("quantity", 1))), Decimal(more.get("discount", 0))
    left = cents(quantity * Decimal(price)) - discount
    return {"price": price, "tax_rate": rate, "tax": str(cents(left * Decimal(rate) / 100))} | more


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _invoices() -> Iterator[tuple[str, Order, Shop, dict[str, Any]]]:
    shipping = {"shipping_cost": "5.90", "shipping_tax": "1.12", "shipping_tax_rate": 19}
    untaxed = {"price": "100", "tax_rate": 0}
    abroad = {"delivered_on": "2026-11-20", "delivery_country": "ES", "customer_summary": SPANISH}
    bare = dict.fromkeys(("iban", "bic", "contact_name", "contact_phone", "contact_email", "peppol_id"), "")
    two = (line(7, "80", quantity=2), line(19, "50"))
    gross = {"prices_include_tax": True}
    belgian = {"customer_summary": BELGIAN, "purchase_order_number": "PO-77"}
    reference = {"buyer_reference": "04011000-12345-03"}
    names = ("Γραβιέρα", "北海道カマンベール", "جبنة بلدي", "Сыр & <масло> ]]>", "Käse \N{WRAPPED PRESENT}")
    pay = {"payment_settings": {"payment_method_options": ["Überweisung", "PayPal"]}}

    yield "standard", an_order(line(19)), SHOP, {}
    yield "two-rates", an_order(*two, **shipping), SHOP, {}
    yield "zero-rated", an_order(untaxed | {"tax_category": "Z"}), SHOP, {}
    exempt = untaxed | {"tax_category": "E"}
    yield "exempt", an_order(exempt, tax_exemption_reason="Steuerfrei nach § 4 Nr. 21 UStG"), SHOP, {}
    yield "reverse-charge", an_order(untaxed | {"tax_category": "AE"}, customer_summary=SPANISH), SHOP, {}
    yield "intra-community", an_order(untaxed | {"tax_category": "K"}, **abroad), SHOP, {}
    yield "export", an_order(untaxed | {"tax_category": "G"}, customer_summary=AMERICAN), SHOP, {}
    yield "outside-scope", an_order(untaxed | {"tax_category": "O"}), SHOP, {}
    mixed = (line(19), line("5.5", "10"), exempt, untaxed | {"tax_category": "Z"})
    yield "mixed-categories", an_order(*mixed, tax_exemption_reason="Exempt"), SHOP, {}
    yield "line-discounts", an_order(line(19, discount="10"), line(7, "20", discount="20", quantity=3)), SHOP, {}
    discounted = (line(7, "80", tax="5.04"), line(19, "50", tax="8.55"))
    yield "discount-over-rates", an_order(*discounted, total_discount="13"), SHOP, {}
    three = [line(rate, "10", tax=tax) for rate, tax in ((19, "0.63"), (7, "0.23"), ("5.5", "0.18"))]
    yield "discount-remainder", an_order(*three, total_discount="20"), SHOP, {}
    yield "gross", an_order({"price": "9.99", "quantity": 3, "tax_rate": 19, "tax": "4.79"}, **gross), SHOP, {}
    steps = {"price": "0.05", "quantity": 1000, "tax_rate": 7, "tax": "2.62", "discount": "5"}
    charged = {"shipping_cost": "5.90", "shipping_tax": "0.94", "shipping_tax_rate": 19, "handling_cost": "1.19"}
    charged |= {"handling_tax": "0.19", "handling_tax_rate": 19, "total_discount": "10"}
    bottle = {"price": "11.90", "tax_rate": 19, "tax": "1.19"}
    yield "gross-with-everything", an_order(steps, bottle, **charged, **gross), SHOP, {}
    yield "rounded-up", an_order(line(19, "43.5008", tax="8.27"), rounding="0.02"), SHOP, {}
    yield "rounded-down", an_order(line(19), rounding="-0.04", paid="50", payment_status="partial"), SHOP, {}
    yield "paid", an_order(*two, **shipping, payment_status="paid"), SHOP, {}
    yield "partly-paid", an_order(*two, **shipping, paid="20", payment_status="partial"), SHOP, pay
    refunded = {"paid": "119", "refunded": "20", "payment_status": "partially_refunded"}
    yield "partly-refunded", an_order(line(19), **refunded), SHOP, {}
    yield "overpaid", an_order(line(19), paid="130", payment_status="paid"), SHOP, {}
    minimum = SHOP.model_copy(update={**bare, "street": "", "post_code": "", "city": "", "address": "Kempten"})
    person = {"first_name": "Bob", "email": "b@example.com", "country": {"code": "ES"}}
    yield "b2c-minimum", an_order(line(21), customer_summary=person), minimum, {}
    yield "no-delivery", an_order(line(21), customer_summary=SPANISH, delivered_on=None), SHOP, {}
    yield "peppol", an_order(*two, **shipping, **belgian), SHOP, {"notes": "Merci !\nÀ bientôt."}
    peppol_gross = an_order(bottle | {"quantity": 3, "tax": "5.70"}, rounding="0.03", paid="10", **belgian, **gross)
    yield "peppol-gross-rounded-partly-paid", peppol_gross, SHOP, {}
    yield "peppol-reverse-charge", an_order(untaxed | {"tax_category": "AE"}, **belgian), SHOP, {}
    yield "xrechnung", an_order(*two, **shipping, **reference), SHOP, {}
    yield "xrechnung-paid", an_order(*two, **reference, payment_status="paid"), SHOP, {}
    leitweg = GERMAN | {"peppol_id": "0204:04011000-12345-03"}
    yield "xrechnung-by-peppol", an_order(line(19), **reference, customer_summary=leitweg), SHOP, {}
    yield "500-lines", an_order(*[line(19, f"{n}.00") for n in range(1, 501)]), SHOP, {}
    yield "fine-prices", an_order(line(19, "0.0375", quantity=1000), line(7, "12.3456", quantity="2.5")), SHOP, {}
    yield "units", an_order(*(line(7, unit_code=unit) for unit in ("KGM", "LTR", "HUR", "XBX", "C62"))), SHOP, {}
    yield "yen", an_order({"price": "105", "tax_rate": 10, "tax": "11"}, currency_code="JPY"), SHOP, {}
    yield "francs", an_order(line("8.1"), currency_code="CHF"), SHOP, {}
    yield "dinars-of-three-decimals", an_order(line(19), currency_code="KWD"), SHOP, {}
    yield "names", an_order(*(line(19, product_name=name, sku=name) for name in names)), SHOP, {"notes": names[3]}
    surcharge = {"total_surcharge": "3", "surcharge_tax": "0.21", "surcharge_tax_rate": 7}
    handling = {"handling_cost": "2", "handling_tax": "0.38", "handling_tax_rate": 19}
    yield "all-charges", an_order(line(19), **shipping, **handling, **surcharge), SHOP, {}
    references = {"purchase_order_number": "PO & 77", "buyer_reference": "Küche", "delivered_on": "2026-11-22"}
    yield "references", an_order(line(19), **references, customer_summary=SPANISH), SHOP, {}
    numbered = SHOP.model_copy(update={"vat_id": "", "peppol_id": ""})
    yield "tax-number-only", an_order(line(19)), numbered, {}
    for language in sorted(languages()):
        both = (line(19, discount="10"), line(7, unit_code="DAY"))
        yield f"in-{language}", an_order(*both, **shipping, **handling, **surcharge), SHOP, {"language": language}
        untaxed_abroad = an_order(untaxed | {"tax_category": "AE"}, customer_summary=SPANISH)
        yield f"in-{language}-reverse-charge", untaxed_abroad, SHOP, {"language": language}
    yield "free", an_order(line(19, "0")), SHOP, {}


def generated(count: int) -> Iterator[Issued]:
    """Yields invoices and credit notes of orders at random, always the same ones."""
    for n in range(count):
        order = random_order(random.Random(n), f"G-{n}")
        document = issue(order)
        yield Issued(f"generated-{n:03}", document, order, SHOP)
        if n % 5 == 0:
            [note] = withdraw_invoice(Series("INV-2026", 17), document, "ada", NOW, may_have_left=True).documents
            yield Issued(f"generated-{n:03}-credit-note", note, order, SHOP)


def random_order(chance: random.Random, order_id: str) -> Order:
    """Returns an order whose figures a shop would charge: its tax is computed for each line and rounded."""
    gross = chance.random() < 0.4
    rates = chance.sample(["19", "7", "5.5", "25", "21"], chance.randint(1, 3))

    def tax_of(amount: Decimal, rate: str) -> Decimal:
        return cents(amount * Decimal(rate) / ((100 + Decimal(rate)) if gross else 100))

    lines, left = [], Decimal(0)
    for n in range(chance.randint(1, 8)):
        rate, quantity = chance.choice(rates), chance.choice(["1", "2", "3", "12", "0.75"])
        price = Decimal(chance.randint(0, 20000)) / chance.choice([1, 100, 10000])
        total = cents(Decimal(quantity) * price)
        discount = cents(total * chance.choice([0, 0, 0, 5, 10, 100]) / 100)
        tax = tax_of(total - discount, rate)
        left += total - discount
        amounts = {"quantity": quantity, "price": str(price), "discount": str(discount), "tax": str(tax)}
        lines.append({"product_name": f"Käse Nr. {n} «{chance.choice('aéßøñ')}»", "tax_rate": rate, **amounts})
    more: dict[str, Any] = {}
    for name, tax_name in (
        ("shipping_cost", "shipping_tax"),
        ("handling_cost", "handling_tax"),
        ("total_surcharge", "surcharge_tax"),
    ):
        if chance.random() < 0.5:
            cost, rate = Decimal(chance.randint(0, 2000)) / 100, chance.choice(rates)
            more |= {name: str(cost), tax_name: str(tax_of(cost, rate)), f"{tax_name}_rate": rate}
    if chance.random() < 0.3:
        # What the shop took off the whole order is small: it has not reduced the tax of the lines.
        discounts = sum((Decimal(each["discount"]) for each in lines), Decimal(0))
        more["total_discount"] = str(discounts + min(Decimal(chance.randint(0, 300)) / 100, left))
    if chance.random() < 0.3:
        more["rounding"] = str(Decimal(chance.randint(0, 5)) / 100)
    buyer = chance.choice([GERMAN, SPANISH, AMERICAN, BELGIAN])
    more |= {"order_id": order_id, "customer_summary": buyer, "prices_include_tax": gross}
    if buyer is BELGIAN:
        more["purchase_order_number"] = f"PO-{order_id}"
    if buyer is GERMAN and chance.random() < 0.5:
        more["buyer_reference"] = "04011000-12345-03"
    order = an_order(*lines, **more)
    paid = chance.choice([Decimal(0), order.grand_total, cents(order.grand_total / 3)])
    if not paid:
        return order
    return an_order(*lines, **more, paid=str(paid), payment_status="paid" if paid >= order.grand_total else "partial")
