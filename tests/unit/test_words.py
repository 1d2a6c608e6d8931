"""The words of mails and PDFs: complete in every language, and all of them from a catalogue."""

import json
import re
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pypdfium2  # type: ignore[import-untyped]
import pytest
import time_machine
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from hypothesis import given
from hypothesis import strategies as st
from mails import SHOP, Page, an_order

from local import preview
from orders.mailing import catalogues, words
from orders.mailing.formatting import Formats
from orders.mailing.letters import formats_for
from orders.printing.words import quantity_text

LANGUAGES = ("ar", "de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt", "sv", "zh-Hans")


def add_catalogue(folder: Path, language: str, catalogue: Catalog) -> None:
    with (folder / f"{language}.po").open("wb") as file:
        write_po(file, catalogue, omit_header=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of catalogues, which is used instead of ours."""
    monkeypatch.setattr(words, "CATALOGUES", tmp_path)
    monkeypatch.setattr(catalogues, "CATALOGUES", tmp_path)
    for function in (words.languages, words._load):
        function.cache_clear()
    yield tmp_path
    for function in (words.languages, words._load):
        function.cache_clear()


def test_languages_are_the_files() -> None:
    assert words.languages() == set(LANGUAGES)


# Completeness ---------------------------------------------------------------------------------------------------------

# No letter of it is one of English.
_DISGUISE = str.maketrans(string.ascii_letters, "абвгдежзийклмнопрстуфхцчшщАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩ")


def disguised(text: str) -> str:
    """Returns a message with each letter replaced, except those of placeholders."""
    return "".join(
        part if part.startswith("%(") else part.translate(_DISGUISE) for part in re.split(r"(%\(\w+\)s)", text)
    )


def texts_of(rendered: preview.Rendering) -> str:
    """Returns all that a reader sees or hears of a mail or a PDF."""
    if isinstance(rendered, EmailMessage):
        plain, html = (rendered.get_body((kind,)) for kind in ("plain", "html"))
        assert plain
        assert html
        page = Page(html.get_content())
        title = html.get_content().partition("<title>")[2].partition("</title>")[0]
        images = [value for _, attributes in page.elements for name, value in attributes.items() if name == "alt"]
        return "\n".join((rendered["Subject"], plain.get_content(), title, page.text, *filter(None, images)))
    file = pypdfium2.PdfDocument(rendered)
    return "\n".join([file.get_metadata_dict()["Title"], *(page.get_textpage().get_text_range() for page in file)])


def test_every_word_is_from_the_catalogue(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Bulgarian, because its dates and countries have no Latin letters either.
    catalogue = Catalog("bg")
    for message in catalogues.messages():
        if message.id:
            ids = (message.id,) if isinstance(message.id, str) else message.id
            texts = tuple(map(disguised, ids))
            catalogue.add(message.id, texts if message.pluralizable else texts[0], context=message.context)
    add_catalogue(folder, "bg", catalogue)
    for name in ("NOTES", "COMMENT", "REASON"):
        monkeypatch.setattr(preview, name, "Ура!")
    typed = json.dumps(preview.SAMPLE, ensure_ascii=False) + repr(preview.SHOP) + preview.PRODUCT
    known = {*re.findall("[A-Za-z]+", typed), "BRISTOL", "INV", "IBAN", "PayPal", "kg", "UTC"}

    found = {
        kind: sorted(set(re.findall("[A-Za-z]+", texts_of(rendered))) - known)
        for kind, rendered in preview.renderings("bg")
    }
    assert len(found) == len(preview.KINDS)
    assert {kind: left for kind, left in found.items() if left} == {}


def test_a_word_outside_the_catalogue_is_found() -> None:
    """The check of the test above, on a mail that was not translated."""
    text = texts_of(preview.KINDS["invoice"](preview.SHOP))
    assert {"Amount", "due", "Payable"} <= set(re.findall("[A-Za-z]+", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_is_rendered(language: str) -> None:
    for kind, rendered in preview.renderings(language):
        text = texts_of(rendered)
        assert not re.search(r"%\(|\{\w+\}|\N{WHITE SQUARE}", text), kind
        if isinstance(rendered, EmailMessage):
            assert rendered["Content-Language"] == language


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_reaches_into_the_margins_of_a_page(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The longest numbers that are usual.
    customer = preview.SAMPLE["customer_summary"] | {"vat_number": "300000000000003"}
    monkeypatch.setattr(preview, "SAMPLE", preview.SAMPLE | {"customer_summary": customer})
    monkeypatch.setattr(preview, "SHOP", preview.SHOP.model_copy(update={"iban": "FR7630006000011234567890189"}))
    for kind, pdf in preview.renderings(language):
        if isinstance(pdf, EmailMessage):
            continue
        for page in pypdfium2.PdfDocument(pdf):
            text = page.get_textpage()
            letters = [n for n in range(text.count_chars()) if not text.get_text_range(n, 1).isspace()]
            boxes = [text.get_charbox(n) for n in letters]
            width, margin = page.get_width(), 20 / 25.4 * 72 - 2
            assert min(box[0] for box in boxes) > margin, kind
            assert max(box[2] for box in boxes) < width - margin, kind


# The check of catalogues ----------------------------------------------------------------------------------------------


def complete(language: str = "sv") -> Catalog:
    """Returns a catalogue in which each message is its own translation."""
    catalogue = Catalog(language)
    for message in catalogues.messages():
        if message.id:
            forms = (message.id * 6)[: catalogue.num_plurals] if isinstance(message.id, tuple) else message.id
            catalogue.add(message.id, forms, context=message.context)
    return catalogue


def reported(folder: Path, catalogue: Catalog, shop: Catalog | None = None) -> list[str]:
    own = folder / "shop"
    own.mkdir()
    add_catalogue(folder, "sv", catalogue)
    if shop is not None:
        add_catalogue(own, "sv", shop)
    return list(catalogues.problems(folder, own))


def test_our_catalogues_are_complete() -> None:
    assert list(catalogues.problems()) == []


def test_complete_catalogue_has_no_problems(tmp_path: Path) -> None:
    assert reported(tmp_path, complete()) == []


@pytest.mark.parametrize(
    ("text", "translation", "complaint"),
    [
        ("Amount due", "", '"Amount due" is not translated.'),
        ("Pay %(amount)s", "Betala", '"Pay %(amount)s" must have the values amount and no other %.'),
        ("Pay %(amount)s", "Betala %(sum)s", '"Pay %(amount)s" must have the values amount and no other %.'),
        ("Amount due", "100 % av", '"Amount due" must have the values none and no other %.'),
        ("Amount overdue", "Förfallet", '"Amount overdue" is no message of the service. Run make messages.'),
    ],
)
def test_mistake_in_a_catalogue_is_reported(tmp_path: Path, text: str, translation: str, complaint: str) -> None:
    catalogue = complete()
    catalogue.delete(text)
    catalogue.add(text, translation)
    assert reported(tmp_path, catalogue) == [f"sv.po: {complaint}"]


def test_missing_and_fuzzy_messages_are_reported(tmp_path: Path) -> None:
    catalogue = complete()
    catalogue.delete("Amount due")
    catalogue.get("Amount").flags.add("fuzzy")  # type: ignore[union-attr]
    assert reported(tmp_path, catalogue) == [
        'sv.po lacks "Amount due". Run make messages.',
        'sv.po: "Amount" is marked as fuzzy. Check the translation, and remove the mark.',
    ]


@pytest.mark.parametrize(("name", "text"), [("sv.po", 'msgid "Amount\n'), ("sv.po", "\xff"), ("swedish.po", "")])
def test_file_that_is_no_catalogue_is_reported(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="latin-1")
    [problem] = catalogues.problems(tmp_path, tmp_path / "shop")
    assert problem.startswith(f"{name} cannot be read:")


def test_shops_wording_has_only_what_it_changes(tmp_path: Path) -> None:
    own = Catalog("sv")
    own.add("Amount due", "Kvar att betala")
    own.add("Amount", "")
    own.add("Amount overdue", "Förfallet")
    assert reported(tmp_path, complete(), own) == [
        'sv.po: "Amount overdue" is no message of the service. Correct it, or remove it.'
    ]


def test_wording_for_a_language_without_a_catalogue_is_reported(tmp_path: Path) -> None:
    own = tmp_path / "shop"
    own.mkdir()
    for language in ("en", "fi"):
        add_catalogue(own, language, Catalog(language))
    assert list(catalogues.problems(tmp_path, own)) == ["fi.po is for a language without a catalogue. Use one of en."]


def test_shops_wording_replaces_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogues, "SHOP", tmp_path)
    english, german = Catalog("en"), Catalog("de")
    english.add("Hello %(name)s,", "Ahoy %(name)s!")
    german.add("Hello %(name)s,", "Moin %(name)s!")
    add_catalogue(tmp_path, "en", english)
    add_catalogue(tmp_path, "de", german)
    assert catalogues.translations("en").gettext("Hello %(name)s,") == "Ahoy %(name)s!"
    assert catalogues.translations("de").gettext("Hello %(name)s,") == "Moin %(name)s!"
    # The other messages stay.
    assert catalogues.translations("de").gettext("Amount due") == "Zu zahlen"


def test_compiled_catalogues_do_not_depend_on_the_day(tmp_path: Path) -> None:
    for n in range(2):
        with time_machine.travel(datetime(2026, 1, 1 + n, tzinfo=UTC)):
            catalogues.compile_catalogues(tmp_path / str(n))
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / n).iterdir()} for n in "01")
    assert len(first) == len(LANGUAGES) - 1
    assert first == second


# Plurals, directions, languages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "quantity", "unit", "text"),
    [
        ("en", 1, "DAY", "1 day"),
        ("en", 2, "DAY", "2 days"),
        ("de", 1, "MON", "1 Monat"),
        ("pl", 1, "DAY", "1 dzień"),
        ("pl", 3, "DAY", "3 dni"),
        ("pl", 5, "MON", "5 miesięcy"),
        ("pl", 22, "MON", "22 miesiące"),
        ("ja", 3, "DAY", "3日"),
        ("de", 3, "KGM", "3 kg"),
        ("de", 3, "C62", "3"),
        ("de", 3, "XPK", "3 XPK"),
    ],
)
def test_quantity_has_the_plural_of_the_language(language: str, quantity: Any, unit: str, text: str) -> None:
    formats = Formats(language, None, "EUR")
    assert " ".join(quantity_text(Decimal(quantity), unit, formats).split()) == text


@pytest.mark.parametrize(
    ("wanted", "chosen", "catalogue"),
    [
        (["de"], "de", "de"),
        (["DE-at"], "DE-at", "de"),
        (["de_CH"], "de_CH", "de"),
        (["pt-BR"], "pt-BR", "pt"),
        (["zh"], "zh", "zh-Hans"),
        (["zh-CN"], "zh-CN", "zh-Hans"),
        (["zh-Hans-SG"], "zh-Hans-SG", "zh-Hans"),
        # Traditional Chinese is another script.
        (["zh-TW"], "en", "en"),
        (["zh-Hant", "ja"], "ja", "ja"),
        (["fi", None, "", "sv"], "sv", "sv"),
        (["den"], "en", "en"),
        ([], "en", "en"),
    ],
)
def test_first_language_with_a_catalogue_is_chosen(wanted: list[str | None], chosen: str, catalogue: str) -> None:
    assert words.choose_language(*wanted) == chosen
    assert words.words_in(chosen).language == catalogue


def test_values_in_arabic_keep_their_own_direction() -> None:
    arabic = words.words_in("ar")
    assert arabic.direction == "rtl"
    text = arabic.gettext("Order %(order)s", order="A-1")
    assert "\N{FIRST STRONG ISOLATE}A-1\N{POP DIRECTIONAL ISOLATE}" in text
    # In a page, an element does that.
    assert words.words_in("de").gettext("Order %(order)s", order="A-1") == "Bestellung A-1"


@pytest.mark.parametrize("tag", ["de", "DE", "de-1996", "de-xx-yy", "de-12345678", "de-abcdefgh"])
def test_unusual_tag_has_words_and_formats_of_its_language(tag: str) -> None:
    formats = Formats(tag, None, "EUR")
    assert (formats.words.language, formats.money(Decimal("1.5"))) == ("de", "1,50\N{NO-BREAK SPACE}€")


def test_words_and_formats_have_the_same_language() -> None:
    formats = formats_for(an_order(), SHOP, "fi")
    assert (formats.words.language, formats.money(Decimal("1.5"))) == ("en", "1,50\N{NO-BREAK SPACE}€")


@given(tag=st.from_regex("[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", fullmatch=True), country=st.none() | st.just("DE"))
def test_every_tag_that_the_api_accepts_has_words_and_formats(tag: str, country: str | None) -> None:
    formats = Formats(tag, country, "EUR")
    assert formats.words.language in LANGUAGES
    assert "1" in formats.money(Decimal(1))
    assert formats.words.gettext("Amount due")
