"""Turns the measurements into tables, charts and docs/performance.md."""

import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.artifacts import ARCHITECTURE, CANCEL, COMMENT, FASTAPI, INVOICE, NOTIFY, ROOT, YARDSTICK, ours, plain
from bench.charts import bars, icicle, lines
from bench.growth import Growth
from bench.lambda_runtime import Emulated

Say = Callable[[str], None]

PAGE = ROOT / "docs" / "performance.md"
IMAGES = ROOT / "docs" / "images"
BEGIN, END = "<!-- measured by make bench -->\n", "<!-- end -->\n"
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in use after each tenth of the requests, and the highest resident size."""

    used: list[int]
    peak: int


@dataclass(slots=True)
class Found:
    """All measurements. Times are CPU seconds, sizes are bytes."""

    python: str
    rounds: int
    starts: dict[str, list[float]]
    calls: dict[str, dict[str, int]]
    warm: dict[str, list[float]]
    e_invoice: dict[str, list[float]]
    memory: dict[str, Memory]
    limits: dict[str, int]
    sizes: dict[str, int]
    imports: str
    growth: Growth
    emulator: Emulated = field(default_factory=Emulated)


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, and the range of their middle half."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Summarises figures."""
        if len(figures) < 2:
            return cls(figures[0], figures[0], figures[0])
        low, median, high = statistics.quantiles(figures, n=4, method="inclusive")
        return cls(median, low, high)

    def text(self, unit: str = "", digits: int = 2) -> str:
        """The median, followed by the range."""
        return f"{self.median:.{digits}f}{unit} ({self.low:.{digits}f}–{self.high:.{digits}f})"


@dataclass(frozen=True, slots=True)
class Row:
    """One goal: the measurement, and whether the goal is met."""

    figure: str
    measured: str
    goal: str
    met: bool | None

    def cells(self) -> list[str]:
        """The cells of the table row."""
        return [self.figure, self.measured, self.goal, {True: "yes", False: "**no**", None: "not measured"}[self.met]]


def ratio(found: Found, name: str, to: str) -> Spread:
    """The ratio of two candidates' starts, round by round, because both met the same load there."""
    pairs = zip(found.starts[name], found.starts[to], strict=True)
    return Spread.of([one / other for one, other in pairs])


def goals(found: Found) -> list[Row]:
    """All goals, in the order in which the page lists them."""
    rows = []
    yardstick = YARDSTICK.name
    for function, others in (
        (CANCEL, ((yardstick, 1.05), (plain(CANCEL).name, 0.35), (FASTAPI.name, 0.25))),
        (COMMENT, ((yardstick, 1.05), (plain(COMMENT).name, 0.35), (FASTAPI.name, 0.25))),
        (INVOICE, ((yardstick, 1.65),)),
        (NOTIFY, ((yardstick, 1.5),)),
    ):
        for other, goal in others:
            measured = ratio(found, ours(function).name, other)
            figure = f"cold start of {ours(function).name} : {other}"
            rows.append(Row(figure, measured.text(), f"≤ {goal}", measured.median <= goal))
    for figure, times, most in (
        ("warm cancel : bare client call", found.warm, 1.5),
        ("send-invoice of 5 lines with an e-invoice : without", found.e_invoice, 1.06),
    ):
        measured = Spread.of([whole / bare for whole, bare in zip(times["whole"], times["bare"], strict=True)])
        rows.append(Row(figure, measured.text(), f"≤ {most}", measured.median <= most))
    for name, label, limit in (("OrdersLayer", "layer", 25), (INVOICE, "send-invoice's own package", 125)):
        size = found.sizes[name] / MB
        rows.append(Row(f"{label}, unpacked", f"{size:.1f} MB", f"≤ {limit} MB", size <= limit))
    for function, used in found.memory.items():
        name = ours(function).name
        # The first tenth warms up: permanent caches are full by then.
        growth = (used.used[-1] - used.used[1]) / MB
        rows.append(
            Row(f"{name}, memory from request 200 to 1,000", f"{growth:+.1f} MB", "no growth (< 1 MB)", growth < 1)
        )
        most = found.limits[function] * 2**20 * 2 / 3 / MB
        figure = f"{name}, peak memory, of {found.limits[function]} MB"
        rows.append(Row(figure, f"{used.peak / MB:.0f} MB", f"≤ {most:.0f} MB", used.peak / MB <= most))
    dynamodb = {
        name: sum(times for operation, times in asked.items() if " " not in operation)
        for name, asked in found.calls.items()
    }
    for name, goal in (
        ("cancel", 1),
        ("comment", 2),
        ("send-invoice", 3),
        ("read an order", 1),
        ("list own orders", 1),
    ):
        rows.append(Row(f"DynamoDB calls: {name}", str(dynamodb[name]), str(goal), dynamodb[name] == goal))
    every = dynamodb["list all orders"]
    rows.append(Row("DynamoDB calls: list all orders", f"{every}, 4 in parallel", "1", every == 1))
    return rows + capacity(found.growth)


def capacity(growth: Growth) -> list[Row]:
    """The goals for capacity units."""
    if growth.missing:
        return [Row("capacity units", f"left out: {growth.missing}", "", None)]
    rows = []
    for name, most_read, most_write in (("cancel", 0.0, 3.0), ("comment", 0.5, 1.0)):
        costs = [cost for (operation, *_), cost in growth.costs.items() if operation == name]
        read, write = max(cost.read for cost in costs), max(cost.write for cost in costs)
        met = read <= most_read and write <= most_write
        goal = f"≤ {most_write:g} WCU" + (f" + {most_read:g} RCU" if most_read else "")
        rows.append(Row(f"capacity of {name}", f"{write:g} WCU + {read:g} RCU", goal, met))
        same = len({(cost.read, cost.write) for cost in costs}) == 1
        rows.append(
            Row(
                f"capacity of {name} for 1–500 lines, 0–10,000 comments",
                "the same" if same else "differs",
                "the same",
                same,
            )
        )
    costs = [cost for (operation, *_), cost in growth.costs.items() if operation == "send-invoice"]
    writes = {cost.write for cost in costs}
    by_comments = {
        cost.read for (name, count, _), cost in growth.costs.items() if name == "send-invoice" and count == 60
    }
    met = len(writes) == 1 and len(by_comments) == 1
    measured = f"{', '.join(f'{write:g}' for write in sorted(writes))} WCU; reads grow with the lines only"
    rows.append(
        Row("capacity of send-invoice", measured if met else f"{measured}: no", "the same except for lines", met)
    )
    return rows


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Formats a Markdown table with aligned columns."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def starts(found: Found) -> str:
    """The table of cold starts."""
    rows = []
    for name, times in found.starts.items():
        used = Spread.of([1000 * time for time in times])
        rows.append([name, used.text(" ms", 0), ratio(found, name, YARDSTICK.name).text()])
    return table(["cold start, CPU", "median (middle half)", ": boto3.client"], rows)


def emulated(found: Emulated) -> str:
    """The table of cold starts in Lambda's runtime."""
    if found.missing:
        return f"Starts in Lambda's runtime interface emulator were left out: {found.missing}."
    base = Spread.of(found.starts[ours(CANCEL).name]).median
    rows = []
    for name, times in found.starts.items():
        used = Spread.of(times)
        rows.append([name, used.text(" ms", 0), f"{used.median / base:.2f}"])
    return table(["first response in Lambda's runtime (emulator)", "median (middle half)", ": cancel-order"], rows)


def sweep(growth: Growth) -> str:
    """The tables of cost by order size and by number of callers."""
    if growth.missing:
        return f"The sweep was left out, because it needs DynamoDB Local: {growth.missing}."
    rows = [
        [
            name,
            f"{count:,}" if count else "",
            f"{comments:,}" if count else "",
            str(len(cost.calls)),
            f"{cost.write:g}",
            f"{cost.read:g}",
            f"{1000 * cost.cpu:.1f} ms",
        ]
        for (name, count, comments), cost in growth.costs.items()
    ]
    crowds = [
        [
            str(each.callers),
            f"{each.calls:.2f}",
            f"{1000 * each.cpu:.1f} ms",
            f"{1000 * each.wait:.0f} ms",
            str(each.refused),
        ]
        for each in growth.crowds
    ]
    head = ["operation", "lines", "comments", "DynamoDB calls", "WCU", "RCU", "CPU"]
    many = ["concurrent callers commenting on one order", "DynamoDB calls each", "CPU each", "median wait", "503"]
    return table(head, rows) + "\n\n" + table(many, crowds)


def imports(output: str) -> str:
    """The table of import time by package."""
    spent: dict[str, list[float]] = {}
    for own, name in re.findall(r"^import time: +(\d+) \| +\d+ \| +(\S+)$", output, re.MULTILINE):
        package = name.split(".")[0]
        known = spent.setdefault(package if package in PACKAGES else "Python's own library", [])
        known.append(int(own) / 1000)
    rows = [
        [package, str(len(times)), f"{sum(times):.0f} ms"]
        for package, times in sorted(spent.items(), key=lambda item: -sum(item[1]))
    ]
    return table(["imported by a cancellation", "modules", "time (tracing doubles it)"], rows)


PACKAGES = {
    *("annotated_types", "aws_lambda_powertools", "botocore", "cancel_order", "dateutil", "jmespath", "orders"),
    *("pydantic", "pydantic_core", "six", "typing_extensions", "typing_inspection", "urllib3"),
}


def write(found: Found) -> str:
    """Writes the page and its charts. Returns the tables, for the terminal."""
    rows = goals(found)
    tables = [
        table(["figure", "measured: median (middle half)", "goal", "met"], [row.cells() for row in rows]),
        starts(found),
        emulated(found.emulator),
        sweep(found.growth),
        imports(found.imports),
    ]
    IMAGES.mkdir(exist_ok=True)
    medians = {name: Spread.of([1000 * time for time in times]) for name, times in found.starts.items()}
    first = medians[YARDSTICK.name].median
    charts = {
        "cold-starts.svg": bars(
            "Cold start: CPU until the first response (ms)",
            [(name, each.low, each.median, each.high, name in OURS) for name, each in medians.items()],
            first,
            YARDSTICK.name,
        ),
        "imports.svg": icicle("What a cancellation imports (import tree, ms)", found.imports),
    }
    if not found.growth.missing:
        charts["growth.svg"] = lines(
            "Capacity units of one request (lines / comments of its order)",
            {
                name: [
                    (f"{count:,} / {comments:,}", cost.write + cost.read)
                    for (operation, count, comments), cost in found.growth.costs.items()
                    if operation == name
                ]
                for name in ("cancel", "comment", "send-invoice", "read an order")
            },
        )
    for name, chart in charts.items():
        (IMAGES / name).write_text(chart, encoding="utf-8")
    how = f"{found.python}, {ARCHITECTURE}, {found.rounds} rounds."
    shown = [tables[0], how, "![Cold starts](images/cold-starts.svg)", tables[1], tables[2], tables[3]]
    if "growth.svg" in charts:
        shown.append("![How cost grows](images/growth.svg)")
    shown += [tables[4], "![What a cancellation imports](images/imports.svg)"]
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + "\n" + "\n\n".join(shown) + "\n\n" + END + after, encoding="utf-8")
    return "\n\n".join(tables)


OURS = {ours(function).name for function in (CANCEL, COMMENT, INVOICE)}
