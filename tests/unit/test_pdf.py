"""The invoice's PDF, as its recipient reads, prints and archives it."""

import io
import json
import os
import re
import subprocess
import sys
import unicodedata
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from typing import Any
from uuid import uuid4

import pypdfium2  # type: ignore[import-untyped]
import pytest
import zxingcpp
from e_invoices import SCRIPTS
from hypothesis import given
from hypothesis import strategies as st
from mails import SHOP
from pypdf import PdfReader
from pypdf.generic import ArrayObject

from orders import telemetry
from orders.invoices import Mailing
from orders.mailing import style
from orders.mailing.letters import formats_for
from orders.mailing.shop import Shop
from orders.models import CustomerSummary, Order, OrderLine, PaymentStatus
from orders.printing import TEMPLATES, pdf
from orders.printing.content import Content, invoice_content
from orders.printing.pdf import BOX, render_pdf

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = {order["order_id"]: order for order in json.loads((ROOT / "local/orders.json").read_text(encoding="utf-8"))}
LONG_NAME = ("Handmade cheese board of oiled olive wood, with slate, four knives, twelve flags and a box. " * 4)[:300]
TYPED = (
    "<script>alert(1)</script>",
    '#import "x"',
    "{{7*7}}",
    "$x$",
    "\\u{1F4E6}",
    "*bold* _italic_ `code` @label <label> // no comment /* nor this */",
    "= Heading",
    "- item",
    "+ item",
    "/ term: meaning",
    "#panic() #sys.inputs [content] \\ \\# ~ --- ...",
    "'single' \"double\"",
    "office affluent fjord",
    "Ünïcödé",
    "Ελληνικά, Οδός Αριστοτέλους",
    "Бринза карпатська",
    "Phô mai sữa trâu nướng",
    "كتاب الطبخ",
    "גבינת צפתית עם זעתר",
    "پنیر گوسفندی چوپان",
    "北京故事集",
    "北海道カマンベールチーズ",
    "임실 치즈",
    "मलाई पनीर",
    "ગુજરાતી ચીઝ",
    "ਪੰਜਾਬੀ ਪਨੀਰ",
    "ಕನ್ನಡ ಚೀಸ್",
    "മലയാളം ചീസ്",
    "ชีส",
    "Չեչիլ",
    "იმერული",
    "📦 ❤ ☕ ★",
    LONG_NAME,
)


def an_order(order_id: str = "1002", **more: Any) -> Order:
    """Returns a sample order with some fields replaced."""
    return Order.model_validate(SAMPLES[order_id] | more)


def an_order_of(*lines: OrderLine, **more: Any) -> Order:
    """An order that adds up."""
    sums = {"sub_total": "total_amount", "total_tax": "tax", "total_discount": "discount", "items_total": "quantity"}
    fields = {total: sum((getattr(line, part) for line in lines), Decimal(0)) for total, part in sums.items()}
    fields["grand_total"] = fields["sub_total"] - fields["total_discount"] + fields["total_tax"]
    defaults = {"order_id": "2001", "customer_id": "alice", "currency_code": "EUR"}
    return Order(**defaults | fields | more, created=datetime(2026, 1, 2, tzinfo=UTC), order_line_details=lines)


def a_line(name: str = "Mug", quantity: str = "1", price: str = "10", **more: Any) -> OrderLine:
    total = Decimal(quantity) * Decimal(price)
    fields = {"item_id": 1, "quantity": Decimal(quantity), "price": Decimal(price), "total_amount": total} | more
    return OrderLine(product_name=name, **fields)


def lines(count: int) -> Iterator[OrderLine]:
    """Returns lines whose names take one, two and many lines of text."""
    for n in range(count):
        name = f"No. {n:03} " + ("", "with a name that goes on for a while, " * 2, LONG_NAME[:240])[n % 7 % 3]
        yield a_line(name.strip(" ,"), str(n % 5 + 1), f"{n}.25", sku=f"SKU-{n:03}" if n % 2 else None)


def an_invoice(order: Order, **more: Any) -> Mailing:
    """Returns the content that is printed on an invoice."""
    fields: dict[str, Any] = {
        "order_id": order.order_id,
        "n": 1,
        "started": datetime(2026, 1, 15, 23, 30, 0, 123456, tzinfo=UTC),
        "requested_by": "ada",
        "recipient": "alice@example.com",
        "version": order.version,
        "currency_code": order.currency_code,
        "grand_total": order.grand_total,
        "paid": order.paid,
        "payment_status": order.payment_status,
    }
    # Without the state of the mail, which is not printed.
    return Mailing.model_construct(**fields | more)


@dataclass
class Printed:
    """A PDF: its printed text and its structure."""

    content: bytes

    def __post_init__(self) -> None:
        assert self.content.startswith(b"%PDF-")
        self.document = pypdfium2.PdfDocument(self.content)
        self.file = PdfReader(io.BytesIO(self.content))
        self.pages: list[str] = [page.get_textpage().get_text_range() for page in self.document]

    @property
    def text(self) -> str:
        return "\n".join(self.pages)

    @cached_property
    def squeezed(self) -> str:
        return squeezed(self.text)

    @property
    def root(self) -> Any:
        return self.file.trailer["/Root"]

    @property
    def fonts(self) -> dict[str, Any]:
        """The fonts of the first page, by name."""
        resources: Any = self.file.pages[0]["/Resources"]
        return {font["/BaseFont"]: font.get_object() for font in resources["/Font"].values()}

    @property
    def links(self) -> list[str]:
        annotations = [note.get_object() for page in self.file.pages for note in page.get("/Annots", [])]
        return [note["/A"]["/URI"] for note in annotations]

    @property
    def qr_codes(self) -> list[str]:
        """Returns the QR codes on the first page, decoded."""
        image = self.document[0].render(scale=2, grayscale=True)
        pixels = memoryview(bytes(image.buffer)).cast("B", shape=[image.height, image.stride])
        return [code.text for code in zxingcpp.read_barcodes(pixels)]

    @property
    def elements(self) -> list[Any]:
        """The structure for screen readers: headings, tables, images and so on, in sequence."""

        def within(node: Any) -> Iterator[Any]:
            node = node.get_object()
            if isinstance(node, list):
                for part in node:
                    yield from within(part)
            elif isinstance(node, dict):
                yield node
                yield from within(node.get("/K", ArrayObject()))

        return [node for node in within(self.root["/StructTreeRoot"]) if "/S" in node]

    @property
    def images(self) -> list[str]:
        """The alternative texts of the images."""
        return [node["/Alt"] for node in self.elements if node["/S"] == "/Figure"]

    @property
    def conforms(self) -> bool:
        """Whether it declares conformance with both standards, which Typst verifies first."""
        told = self.root["/Metadata"].get_data().decode()
        return "<pdfaid:part>3</pdfaid:part>" in told and "<pdfuaid:part>1</pdfuaid:part>" in told

    def says(self, text: str) -> bool:
        """Whether a text can be copied from the file. The viewer decides the order of right-to-left words."""
        part = squeezed(text)
        if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in part):
            return not Counter(part) - Counter(self.squeezed)
        return part in self.squeezed


def printed(order: Order, shop: Shop = SHOP, **invoice: Any) -> Printed:
    return Printed(render_pdf(invoice_content(an_invoice(order, **invoice), order, shop)))


def squeezed(text: str) -> str:
    """Returns text without spaces and invisible marks."""
    kept = unicodedata.normalize("NFKC", text.replace("\ufffe", ""))
    return "".join(
        letter for letter in kept if not letter.isspace() and unicodedata.category(letter) not in ("Cf", "Cc")
    )


def words(value: Any) -> Iterator[str]:
    """Yields all text of a content that people read."""
    if isinstance(value, Content):
        unprinted = {"recipient", "cc", "subject", "order_page", "paper", "issued", "carried", "words"}
        value = {name: getattr(value, name) for name in Content.__slots__ if name not in unprinted}
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        # Where a mail's link leads is not printed, nor what tells rows apart.
        unprinted = {"support_link", "key"}
        for part in (value[name] for name in value if name not in unprinted) if isinstance(value, dict) else value:
            yield from words(part)


# What it says ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("order_id", SAMPLES)
@pytest.mark.parametrize("status", PaymentStatus)
def test_pdf_contains_everything_in_the_mail(order_id: str, status: PaymentStatus) -> None:
    order = an_order(order_id)
    invoice = an_invoice(
        order, payment_status=status, payment_method_options=("Bank transfer", "PayPal"), notes="Thank you!\n\nBye."
    )
    paper = Printed(render_pdf(invoice_content(invoice, order, SHOP)))
    said = invoice_content(invoice, order, SHOP)

    assert len(list(words(said))) > 30
    assert [text for text in words(said) if not all(map(paper.says, text.splitlines()))] == []
    assert paper.conforms
    assert not paper.says("[")


def test_personal_texts_are_printed_unchanged() -> None:
    order = an_order_of(*(a_line(text, sku=text[:200]) for text in TYPED))
    customer = CustomerSummary(first_name=TYPED[0], company_name=TYPED[1], city="كتاب", address_line_1=TYPED[5])
    order = order.model_copy(update={"customer_summary": customer})
    paper = printed(order, notes="\n".join(TYPED)[:2000], payment_method_options=TYPED[:20])

    assert [text for text in (*TYPED, "كتاب") if not paper.says(text)] == []
    assert paper.text.count("{{7*7}}") == 4
    assert paper.conforms


def test_notes_are_printed_completely_line_by_line() -> None:
    notes = [f"{n:02}. keep the cold chain, and freeze nothing before you eat it, or later!" for n in range(1, 28)]
    paper = printed(an_order(), notes="\n".join(notes).ljust(2000, "x"))

    assert [line for line in notes[:-1] if f"\n{line}\r" not in paper.text] == []
    assert paper.says(notes[-1] + "x" * (2000 - len("\n".join(notes))))


def test_arabic_can_be_copied_as_words() -> None:
    paper = printed(an_order_of(a_line("كتاب الطبخ العربي")))

    assert "كتاب الطبخ العربي" in paper.text


def test_persian_letters_are_joined() -> None:
    # Two fonts in one word would break the joining.
    paper = printed(an_order_of(a_line("پنیر گوسفندی")))

    assert [name for name in paper.fonts if "Arabic" in name]
    assert [name for name in paper.fonts if "Tajawal" in name] == []


def test_emoji_without_a_glyph_are_named_in_words() -> None:
    paper = printed(an_order_of(a_line("📦 \N{WRAPPED PRESENT} Gift box"), a_line("👩🏽\u200d\N{COOKING} ✨")))

    assert paper.says("📦 [wrapped present] Gift box")
    assert paper.says("[woman][cooking] [sparkles]")
    assert paper.conforms


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_recommended_script_is_printed(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = logged(monkeypatch)
    paper = printed(an_order_of(a_line(SCRIPTS[script])))

    # Glyphs of some scripts stand in another order than their letters.
    assert set(squeezed(SCRIPTS[script])) <= set(paper.squeezed)
    assert BOX not in paper.text
    assert paper.conforms
    assert log.getvalue() == ""


def test_letters_that_no_font_has_are_printed_as_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    log = logged(monkeypatch)
    paper = printed(an_order_of(a_line("Book in \N{CUNEIFORM SIGN A}\N{CUNEIFORM SIGN AN}, བོད"), a_line("📦 é ж")))

    assert paper.says("Book in □□, □□□")
    assert paper.says("📦 é ж")
    assert paper.says("Grand total €20.00")
    assert paper.conforms
    # The letters may be those of a name.
    [entry] = map(json.loads, log.getvalue().splitlines())
    assert entry["message"] == "letters without a glyph"
    assert (entry["order_id"], entry["letters"], entry["scripts"]) == ("2001", 5, ["CUNEIFORM", "TIBETAN"])


def logged(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Returns what is logged from now on."""
    log = io.StringIO()
    for handler in telemetry.logger.handlers:
        monkeypatch.setattr(handler, "stream", log)
    return log


@pytest.mark.parametrize(("name", "same"), [("直 Chinese", True), ("直 あ Japanese", False), ("直 한 Korean", False)])
def test_characters_have_the_shape_of_their_language(name: str, same: bool) -> None:
    # Beside a Chinese name, which has a single glyph.
    paper = printed(an_order_of(a_line("直"), a_line(name)))
    [cjk] = [font for name, font in paper.fonts.items() if "CJK" in name]

    assert cjk["/ToUnicode"].get_data().count(b"<76F4>") == (1 if same else 2)


# Money ----------------------------------------------------------------------------------------------------------------


def test_payment_link_is_a_link_and_a_qr_code() -> None:
    paper = printed(an_order())
    link = "https://pay.example/1002?invoice=INV-1002-1&amount=199.11&currency=EUR"

    assert paper.links == [link]
    assert paper.qr_codes == [link]
    assert paper.images == ["QR code of the page to pay on"]
    assert paper.says(f"Pay online {link}")


@pytest.mark.parametrize("status", [PaymentStatus.PAID, PaymentStatus.REFUNDED])
@pytest.mark.parametrize("paid", ["0", "199.11"])
def test_paid_invoice_asks_for_no_money(status: PaymentStatus, paid: str) -> None:
    paper = printed(an_order(paid=paid), payment_status=status, payment_method_options=["PayPal"])

    assert paper.links == paper.images == []
    assert not paper.says("PayPal")
    assert not paper.says("Pay online")
    assert paper.says("There is nothing to pay.")
    assert paper.says(status.capitalize())


def test_missing_payment_page_means_no_link() -> None:
    paper = printed(an_order(), SHOP.model_copy(update={"payment_link": ""}))

    assert paper.links == paper.images == []
    assert paper.says("Amount due 199,11 €")
    assert not paper.says("Pay online")


def test_link_too_long_for_a_qr_code_is_only_a_link() -> None:
    link = "https://pay.example/?token=" + "x" * 2000
    paper = printed(an_order(), SHOP.model_copy(update={"payment_link": link}))

    assert paper.links
    assert set(paper.links) == {link}
    assert paper.images == []


@pytest.mark.parametrize(
    ("more", "heads"),
    [
        ({}, "Item Quantity Price Amount"),
        ({"tax": Decimal("1")}, "Item Quantity Price Tax Amount"),
        ({"discount": Decimal("1")}, "Item Quantity Price Discount Amount"),
        ({"tax": Decimal("1"), "discount": Decimal("2")}, "Item Quantity Price Discount Tax Amount"),
    ],
)
def test_columns_without_values_are_left_out(more: dict[str, Any], heads: str) -> None:
    paper = printed(an_order_of(a_line(), a_line(**more)))

    assert f"\n{heads}\r" in paper.text


# The pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "size"), [("DE", (595, 842)), (None, (595, 842)), ("US", (612, 792)), ("MX", (612, 792))]
)
def test_paper_size_follows_the_customers_country(country: str | None, size: tuple[int, int]) -> None:
    paper = printed(an_order(customer_summary={"country": {"code": country}} if country else {}))

    assert {tuple(map(round, page.get_size())) for page in paper.document} == {size}


def test_500_lines_have_head_carried_sum_and_number_on_each_page() -> None:
    order = an_order_of(*lines(500))
    paper = printed(order)
    money = formats_for(order, SHOP).money
    sums = [money(amount) for amount in accumulate(line.total_amount for line in order.order_line_details)]
    names = [re.findall(r"No\. (\d{3})", page) for page in paper.pages]

    assert [int(n) for page in names for n in page] == list(range(500))
    for number, (page, printed_names) in enumerate(zip(paper.pages, names, strict=True), 1):
        assert page.count("\nItem Quantity Price Amount\r") == 1
        assert page.endswith(f"Page {number} of {len(paper.pages)}")
        assert ("Invoice INV-2001-1" in page.splitlines()[0]) == (number > 1)
        carried = re.findall(r"Carried forward (.*)\r", page)
        assert carried == ([sums[int(printed_names[-1])]] if number < len(paper.pages) else [])


@pytest.mark.slow
@pytest.mark.parametrize("count", range(1, 46))
def test_totals_stay_together_with_the_last_lines(count: int) -> None:
    paper = printed(an_order_of(*lines(count)), notes=LONG_NAME)
    [page] = [page for page in paper.pages if "Grand total" in page]

    assert re.search(r"\nSubtotal .*\r\nGrand total .*\r\nPaid .*\r\nAmount due .*\r", page)
    for n in range(max(0, count - 2), count):
        assert f"No. {n:03}" in page
    assert "Item Quantity" in page


@pytest.mark.parametrize("price", ["12345.678", "9999999999.999"])
def test_no_text_overlaps_or_leaves_the_page(price: str) -> None:
    extras: dict[str, Any] = {"tax": Decimal(price) / 2, "discount": Decimal("1234.5")}
    line = a_line("W" * 300, price=price, sku="W" * 200, **extras)
    customer = CustomerSummary(first_name="W" * 200, company_name="https://a.example/" + "x" * 150)
    order = an_order_of(line, line, customer_summary=customer, currency_code="KWD", order_id="A" * 64)
    paper = printed(order, notes="W" * 2000, payment_method_options=("W" * 200, "Bank transfer"))

    for page in paper.document:
        text = page.get_textpage()
        letters = [(text.get_text_range(n, 1), text.get_charbox(n)) for n in range(text.count_chars())]
        boxes = [box for letter, box in letters if letter.strip()]
        assert min(left for left, *_ in boxes) >= 56
        assert max(right for _, _, right, _ in boxes) <= page.get_width() - 56
        middles = Counter((round((box[0] + box[2]) / 2), round((box[1] + box[3]) / 2)) for box in boxes)
        assert middles.most_common(1)[0][1] == 1
    first = paper.document[0].get_textpage()
    start, count = first.search("KWD", index=first.search("Amount due").get_next()[0]).get_next()
    ways, _ = first.search("Ways to pay").get_next()
    end = next(n for n in range(start + count + 1, first.count_chars()) if not first.get_text_range(n, 1).strip())
    assert first.get_charbox(end - 1)[2] < first.get_charbox(ways)[0]


def test_minimal_order_has_a_pdf() -> None:
    paper = printed(an_order_of(a_line()), Shop(name="Shop", sender="shop@example.com"))

    assert len(paper.pages) == 1
    details = "Invoice INV-2001-1 Date Jan 15, 2026 Order 2001 Order date Jan 2, 2026 Currency EUR"
    assert paper.says(f"Shop Details {details} Invoice INV-2001-1")
    assert [word for word in ("Billed to", "Notes", "Questions", "SKU", "Ways to pay") if paper.says(word)] == []


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 1"><rect width="4" height="1"/></svg>'
PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


@pytest.mark.parametrize(("name", "image"), [("logo.svg", SVG), ("logo.png", PNG)])
def test_logo_replaces_the_shops_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, image: bytes) -> None:
    monkeypatch.setattr(style, "FOLDER", tmp_path)
    without = printed(an_order())
    (tmp_path / name).write_bytes(image)
    paper = printed(an_order())

    assert without.pages[0].count(SHOP.name) == paper.pages[0].count(SHOP.name) + 1
    assert paper.images[0] == SHOP.name
    assert paper.conforms


# The file -------------------------------------------------------------------------------------------------------------


def test_file_metadata() -> None:
    paper = printed(an_order())
    about, root = paper.file.metadata, paper.root

    assert about
    assert (about.title, about.author) == ("Invoice INV-1002-1", "Bluebell Books")
    assert about.creation_date == datetime(2026, 1, 15, 23, 30, tzinfo=UTC)
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]


def test_structure_for_screen_readers() -> None:
    paper = printed(an_order(), notes="Thank you!", payment_method_options=["PayPal"])
    roles = [node["/S"] for node in paper.elements]

    assert [role for role in roles if role in ("/H1", "/H2", "/Table", "/Link")] == [
        *("/Table", "/H1", "/Link", "/H2", "/Table", "/Table", "/H2"),
    ]
    # The heads of the lines, with the zero-width column that keeps rows together, and of the taxes.
    lines = ("", "Item", "Quantity", "Price", "Discount", "After discount", "Tax rate", "Tax", "Amount")
    assert roles.count("/TH") == len((*lines, "Tax rate", "19%", "7%", "Total"))


@pytest.mark.slow
def test_same_invoice_has_the_same_bytes_everywhere() -> None:
    order, another = an_order("1008"), an_order("1001")
    first = printed(order, notes="Thank you!").content
    printed(another)
    program = f"""
import sys
sys.path[:0] = {[str(ROOT / folder) for folder in ("tests", "shared", "functions", "")]}
from unit.test_pdf import an_order, printed
sys.stdout.buffer.write(printed(an_order("1008"), notes="Thank you!").content)
"""
    elsewhere = {"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "PYTHONHASHSEED": "42", "SOURCE_DATE_EPOCH": "1"}
    second = subprocess.run(
        [sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, cwd="/", env=os.environ | elsewhere
    )

    assert printed(order, notes="Thank you!").content == first
    assert second.stdout == first
    assert printed(order, notes="Thank you?").content != first


def test_only_bundled_fonts_are_used() -> None:
    fonts = pdf._fonts()
    paths = [str(Path(font.path).resolve()) for font in fonts.fonts() if font.path]
    folders = tuple(str(files(path.split("/")[0])) for path in (*pdf.FONTS, "manimgx_fonts"))
    named = re.findall(r'^  "(?:.|\n)*?\)$', (TEMPLATES / "invoice.typ").read_text(encoding="utf-8"), re.MULTILINE)[0]

    assert [path for path in paths if not path.startswith(folders)] == []
    assert set(re.findall('"(.+?)"', named)) <= set(fonts.families())
    assert "Noto Sans" not in fonts.families()


@given(
    names=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60)),
    notes=st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], include_characters="\n\t\r"), max_size=300
    ),
)
def test_any_text_can_be_printed(names: list[str], notes: str) -> None:
    order = an_order_of(a_line(), *map(a_line, names))

    assert Printed(render_pdf(invoice_content(an_invoice(order, notes=notes), order, SHOP))).says("Grand total")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux how much memory there is in use")
def test_memory_is_released() -> None:
    def used() -> int:
        [kilobytes] = re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
        return int(kilobytes) // 1024

    def work() -> None:
        order = an_order_of(*lines(150), order_id=str(uuid4()))
        render_pdf(invoice_content(an_invoice(order), order, SHOP))

    work()
    work()
    before = used()
    for _ in range(6):
        work()

    assert used() - before < 60
