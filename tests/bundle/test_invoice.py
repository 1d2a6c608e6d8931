"""The built send-invoice function prints the same invoices as the source does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from built import Built

ROOT = Path(__file__).resolve().parents[2]

# Prints orders, and formats amounts and dates in every language of Babel.
PRINT = """
import json, sys
sys.path[:0] = sys.argv[1:]
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from babel.localedata import locale_identifiers
from orders.invoices import Mailing
from orders.mailing.addresses import postal_lines
from orders.models import Order, State
from orders.mailing.formatting import Formats
from orders.printing.content import invoice_content
from orders.printing.pdf import render_pdf
from orders.mailing.shop import Shop

printed = {}
shop = Shop(name="Shop", sender="shop@example.com", payment_link="https://pay.example/{invoice}")
for order in map(Order.model_validate, json.load(sys.stdin)):
    fields = {name: getattr(order, name) for name in ("order_id", "version", "currency_code", "payment_status")}
    fields["recipient"] = "alice@example.com"
    invoice = Mailing.model_construct(**fields, n=1, started=datetime(2026, 1, 2, tzinfo=UTC), notes="شكراً 谢谢 📦 ✨")
    printed[order.order_id] = sha256(render_pdf(invoice_content(invoice, order, shop))).hexdigest()
for language in sorted(locale_identifiers()):
    printed[language] = []
    for currency in ("EUR", "USD", "JPY", "KWD", "XAF"):
        formats = Formats(language, None, currency)
        printed[language] += formats.money(Decimal("-1234567.891")), formats.plain_amount(Decimal(1))
    printed[language] += formats.words.gettext("Amount due"), formats.percent(Decimal(7))
    printed[language] += formats.quantity(Decimal("1234.5")), formats.country("DE")
    state = State(code="S")
    printed[language] += postal_lines(language[-2:].upper(), None, street=("街",), city="C", post_code="Z", state=state)
    printed[language] += [formats.date(datetime(2026, month, 3, tzinfo=UTC)) for month in range(1, 13)]
json.dump(printed, sys.stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, as Lambda has, to import what is built for it")
def test_built_function_prints_what_the_source_prints(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = json.loads((ROOT / "local/orders.json").read_bytes())
    orders.append({**orders[0], "order_id": "thai", "purchase_order_number": "ชีสแพะ"})
    usual, complete = built.folder / "SendInvoiceFunction", tmp_path / "SendInvoiceFunction"
    monkeypatch.setenv("FONTS", "all")
    built.build("SendInvoiceFunction", complete)

    # -I and -S: no other packages than those in the built folders.
    with_all = run(built.python, "-I", "-S", "-c", PRINT, complete, built.layer, input=orders, env={})
    with_usual = run(built.python, "-I", "-S", "-c", PRINT, usual, built.layer, input=orders, env={})
    here = run(sys.executable, "-c", PRINT, ROOT / "functions", ROOT / "shared", input=orders)

    assert len(here) > 1000
    assert [name for name in here if here[name] != with_all.get(name)] == []
    # 1008 has Armenian and Hebrew letters, for which Typst has fonts of its own.
    assert [name for name in here if here[name] != with_usual.get(name)] == ["1008", "thai", "log"]
    assert (here["log"], with_usual["log"]) == ([], [["THAI"]])
    # 17 MB of them are Typst's symbols, which compress to 2 MB.
    assert (size(usual) <= 115_000_000, size(complete) <= 121_000_000) == (True, True), "which files are not used?"


# Names the files of catalogues that an order in German opens.
OPENED = """
import json, sys
sys.path[:0] = sys.argv[1:]
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from orders.mailing.formatting import Formats

json.load(sys.stdin)
for country in ("DE", "AT"):
    assert Formats("de", country, "EUR").words.gettext("Amount due") == "Zu zahlen"
assert Formats("en", "GB", "GBP").words.gettext("Amount due") == "Amount due"
json.dump({"opened": [path for path in opened if path.endswith((".mo", ".po"))]}, sys.stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, as Lambda has, to import what is built for it")
def test_only_the_languages_that_are_asked_for_are_loaded(built: Built) -> None:
    for function in ("SendInvoiceFunction", "NotifyCustomerFunction"):
        folder = built.folder / function
        done = run(built.python, "-I", "-S", "-c", OPENED, folder, built.layer, input=None, env={})
        assert done["opened"] == [str(folder / "locale/de.mo")]
        assert len(list((folder / "locale").iterdir())) == 11
    assert list(built.layer.rglob("*.po")) == []


def size(function: Path) -> int:
    return sum(path.stat().st_size for path in function.rglob("*") if path.is_file())


def run(*command: object, input: Any, **options: Any) -> dict[str, Any]:  # noqa: A002 - as subprocess.run has it
    """Runs a program. Returns the JSON in the last line of its output, and in `log` the scripts without glyphs."""
    done = subprocess.run(
        [str(part) for part in command], check=True, stdout=subprocess.PIPE, input=json.dumps(input).encode(), **options
    )
    *lines, last = done.stdout.splitlines()
    return {**json.loads(last), "log": [json.loads(line)["scripts"] for line in lines]}
