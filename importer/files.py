"""Reads files as JSON values or CSV rows, however a shop system or a spreadsheet wrote them.

gzip and UTF-16 are recognised by their first bytes, so they are read. Other encodings than UTF-8 cannot be recognised
with certainty, so a file with one is refused, with the command that converts it.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from json import JSONDecodeError
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from importer import ImportFailed
from orders import strict_json

if TYPE_CHECKING:
    from _csv import Reader

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv")

_WRAPPERS = ("orders", "items")
"""Members of an object that hold its orders. `items` is that of Magento's search results."""

_NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or a ZIP archive: unpack it, or save it as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save it as CSV UTF-8",
}


@dataclass(frozen=True, slots=True)
class Value:
    """A JSON value that should be an order, or why there is none."""

    place: str
    value: Any = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a CSV file: its cells by column, or also what is wrong with it."""

    place: str
    cells: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


def suffix(path: Path) -> str:
    """Returns the suffix that tells what a file contains: `.csv` for `orders.CSV.gz`.

    Raises:
        ImportFailed: It is not one of `SUFFIXES`.
    """
    found = Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()
    if found not in SUFFIXES:
        raise ImportFailed(f"{path} is neither JSON nor CSV: its name must end in {', '.join(SUFFIXES)}")
    return found


def read_json(path: Path) -> Iterator[Value]:
    """Yields the orders of a file with one JSON value per line, or with one document.

    A value is an order, an array of orders, or an object with such an array. Memory use is constant for `.jsonl`; a
    document is read as a whole.

    Raises:
        ImportFailed: The file cannot be read at all.
    """
    name = path.name
    with _open(path) as lines:
        head = []
        for line in lines:
            head.append(line)
            if line.strip():
                break
        whole: Iterable[str] = chain(head, lines)
        if suffix(path) == ".json" or (head and head[-1].lstrip().startswith("[")):
            text = "".join(whole)
            try:
                yield from _values(name, 1, text)
            except _SeveralValues:
                whole = text.split("\n")
            else:
                return
        for number, line in enumerate(whole, 1):
            try:
                yield from _values(name, number, line.rstrip())
            except _SeveralValues as error:
                yield Value(f"{name}:{number}", error=f"is not JSON: {error}")


class _SeveralValues(Exception):
    """A text is not one JSON value but several."""


def _values(name: str, number: int, text: str) -> Iterator[Value]:
    """Yields the orders of a text that begins at a line.

    Raises:
        _SeveralValues: Something follows the first value.
    """
    place = f"{name}:{number}"
    if not text.strip():
        return
    try:
        value = strict_json.loads(text)
    except JSONDecodeError as error:
        if error.msg == "Extra data":
            raise _SeveralValues(f"{error.msg} (column {error.colno})") from error
        place = f"{name}:{number + error.lineno - 1}"
        yield Value(place, error=f"is not JSON: {error.msg} (column {error.colno})")
    except ValueError as error:
        yield Value(place, error=f"is not JSON: {error}")
    else:
        orders = _unwrap(value)
        if orders is None:
            yield Value(place, value)
        for position, each in enumerate(orders or (), 1):
            yield Value(f"{name if number == 1 else place}, no. {position}", each)


def _unwrap(value: Any) -> list[Any] | None:
    """Returns the list of orders that a value is or contains. An order of Magento has `items` itself: its lines."""
    if isinstance(value, dict) and "increment_id" not in value:
        value = next((value[name] for name in _WRAPPERS if name in value), value)
    return value if isinstance(value, list) else None


def read_columns(path: Path) -> Sequence[str]:
    """Returns the names of the columns of a CSV file.

    Raises:
        ImportFailed: The file cannot be read at all, or has no usable header.
    """
    with _open(path) as lines:
        columns = [column for column in _read_header(path.name, lines)[0] if column]
    if twice := [column for column in columns if columns.count(column) > 1]:
        raise ImportFailed(f"{path.name}: two columns are named {twice[0]}")
    return columns


def read_rows(path: Path) -> Iterator[Row]:
    """Yields the rows of a CSV file below its header. Memory use is constant.

    Raises:
        ImportFailed: The file cannot be read at all.
    """
    with _open(path) as lines:
        columns, skipped, reader = _read_header(path.name, lines)
        # Spreadsheets often save one column too many, without a name and without values.
        named = max(place for place, column in enumerate(columns, 1) if column)
        while True:
            place = f"{path.name}:{skipped + reader.line_num + 1}"
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(place, error=f"is not CSV: {error}")
                continue
            if not any(cells):
                continue
            unnamed = [cell for column, cell in zip(columns, cells, strict=False) if not column]
            given = {column: cell for column, cell in zip(columns, cells, strict=False) if column}
            if len(cells) < named or any(cells[len(columns) :]):
                yield Row(place, given, f"has {len(cells)} cells, but the header has {len(columns)} columns")
            elif any(unnamed):
                yield Row(place, given, "has a value in a column without a name")
            else:
                yield Row(place, given)


def _read_header(name: str, lines: Iterator[str]) -> tuple[Sequence[str], int, "Reader"]:
    """Returns the columns, the number of lines above them, and a reader of the rows below them."""
    delimiter = None
    skipped = 0
    for line in lines:
        # Excel reads and writes this line.
        if told := re.fullmatch(r'"?sep=(.)"?', line.strip("\r\n")):
            delimiter = told[1]
        elif line.strip(" ,;\t\r\n"):
            break
        skipped += 1
    else:
        raise ImportFailed(f"{name} is empty")
    # Spreadsheets separate cells with semicolons in countries where the decimal sign is a comma.
    reader = csv.reader(chain([line], lines), delimiter=delimiter or max(",;\t", key=line.count), strict=True)
    try:
        return next(reader), skipped, reader
    except csv.Error as error:
        raise ImportFailed(f"{name}: the first line is not CSV: {error}") from error


@contextmanager
def _open(path: Path) -> Iterator[Iterator[str]]:
    """Opens a file as lines of text. Their ends are kept.

    Raises:
        ImportFailed: The file cannot be read at all. Also while its lines are read.
    """
    try:
        with path.open("rb") as file:
            if what := _NOT_TEXT.get(file.read(4)):
                raise ImportFailed(f"{path} is {what}")
            file.seek(0)
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with cast("IO[bytes]", gzip.open(file)) if zipped else file as content:
                encoding = _encoding(content.read(4))
                content.seek(0)
                # Invalid UTF-8 is read as surrogates, so that the error can name the line.
                errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
                with io.TextIOWrapper(content, encoding, errors, newline="") as text:
                    yield _lines(path.name, text)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ImportFailed(f"{path} is a damaged gzip file: {error}") from error
    except OSError as error:
        raise ImportFailed(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ImportFailed(f"{path} begins like UTF-16, but is not: {error.reason}") from error


def _lines(name: str, text: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(text, 1):
        if not line.isascii():
            try:
                line.encode()
            except UnicodeEncodeError as error:
                raise ImportFailed(f"{name}:{number} is not UTF-8. {_advice(name, line)}") from error
        yield line


def _encoding(head: bytes) -> str:
    """Returns the encoding of text that begins with some bytes: UTF-16 if they say so, by BOM or by NULs."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in head:
        return "utf-16-be" if head.startswith(b"\0") else "utf-16-le"
    return "utf-8-sig"


def _advice(name: str, line: str) -> str:
    encoding, guess = "WINDOWS-1252", "It may be Windows-1252, as Excel saves CSV: "
    try:
        line.encode("utf-8", "surrogateescape").decode("cp1252")
    except UnicodeDecodeError:
        encoding, guess = "ENCODING", "It is not Windows-1252 either: "
    return f"{guess}save it as CSV UTF-8, or convert it: iconv -f {encoding} -t UTF-8 {name} > utf8-{name}"
