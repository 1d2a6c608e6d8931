"""SVG charts that are readable on light and dark pages."""

import re
from collections.abc import Mapping, Sequence
from html import escape

WIDTH = 860
STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-weight:600;font-size:15px}"
    ".ours{fill:#1f883d}.other{fill:#8c959f}.mark{stroke:#cf222e;stroke-width:1.5;stroke-dasharray:4 3}"
    ".spread{stroke:#57606a;stroke-width:1.5}.axis{fill:none;stroke:#8c959f;stroke-width:1}"
    "@media(prefers-color-scheme:dark){text{fill:#9198a1}.spread{stroke:#d1d7e0}}</style>"
)
COLOURS = ("#1f883d", "#0969da", "#bc4c00", "#8250df", "#9a6700", "#cf222e")


def bars(title: str, rows: Sequence[tuple[str, float, float, float, bool]], mark: float, what: str) -> str:
    """Draws horizontal bars with the range of the middle half, and a line at one value.

    Args:
        title: The title.
        rows: Name, lower end, value, upper end, and whether it is one of ours.
        mark: The value of the line.
        what: The label of the line.
    """
    left, top, step = 290, 44, 26
    scale = (WIDTH - left - 70) / max(high for _, _, _, high, _ in rows)
    drawn = []
    for n, (name, low, value, high, is_ours) in enumerate(rows):
        y = top + n * step
        middle = y + 9
        drawn += [
            f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{"ours" if is_ours else "other"}" x="{left}" y="{y}" width="{value * scale:.1f}" '
            'height="18"/>',
            f'<path class="spread" d="M{left + low * scale:.1f} {middle}H{left + high * scale:.1f}"/>',
            f'<text x="{left + high * scale + 6:.1f}" y="{y + 13}">{value:.0f}</text>',
        ]
    x = left + mark * scale
    drawn.append(
        f'<path class="mark" d="M{x:.1f} {top - 6}V{top + len(rows) * step}"><title>{escape(what)}</title></path>'
    )
    return _svg(title, top + len(rows) * step + 8, drawn)


def lines(title: str, series: Mapping[str, Sequence[tuple[str, float]]]) -> str:
    """Draws lines over shared labels, each named at its end.

    Args:
        title: The title.
        series: Label and value of each point, by the name of the line.
    """
    left, right, top, height = 50, 150, 44, 220
    most = max(value for points in series.values() for _, value in points)
    labels = [label for label, _ in next(iter(series.values()))]
    step = (WIDTH - left - right) / (len(labels) - 1)
    drawn = [f'<path class="axis" d="M{left} {top}V{top + height}H{WIDTH - right}"/>']
    for value in range(0, int(most) + 1, max(int(most) // 5, 1)):
        drawn.append(
            f'<text x="{left - 8}" y="{top + height - value / most * height + 4:.1f}" text-anchor="end">{value}</text>'
        )
    for n, label in enumerate(labels):
        drawn.append(
            f'<text x="{left + n * step:.1f}" y="{top + height + 20}" text-anchor="middle">{escape(label)}</text>'
        )
    ends: list[float] = []
    for colour, (name, points) in zip(COLOURS, series.items(), strict=False):
        places = [(left + n * step, top + height - value / most * height) for n, (_, value) in enumerate(points)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        drawn.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        end = places[-1][1]
        while any(abs(end - other) < 16 for other in ends):
            end -= 4
        ends.append(end)
        drawn.append(f'<text x="{WIDTH - right + 8}" y="{end + 4:.1f}" style="fill:{colour}">{escape(name)}</text>')
    return _svg(title, top + height + 40, drawn)


def icicle(title: str, said: str) -> str:
    """Draws the import tree; the width of a module is its import time.

    Args:
        title: The title.
        said: The output of Python's `-X importtime`.
    """
    found = re.findall(r"^import time: +\d+ \| +(\d+) \| ( *)(\S+)$", said, re.MULTILINE)
    # Python reports a module after everything that it imports: read backwards, a module precedes its imports.
    places: list[tuple[str, int, float, float]] = []
    ends: dict[int, float] = {}
    for took, indent, name in reversed(found):
        depth, width = len(indent) // 2, int(took) / 1000
        begin = ends.get(depth, 0.0)
        ends = {level: end for level, end in ends.items() if level < depth} | {depth: begin + width, depth + 1: begin}
        places.append((name, depth, begin, width))
    scale, top, step, deepest = (WIDTH - 20) / ends[0], 44, 20, 9
    drawn = []
    for name, depth, begin, width in places:
        if depth > deepest or width * scale < 1:
            continue
        x, y = 10 + begin * scale, top + depth * step
        colour = COLOURS[sum(map(ord, name.split(".")[0])) % len(COLOURS)]
        names = (name, name.rpartition(".")[2])
        label = next((escape(each) for each in names if width * scale > 7.5 * len(each)), "")
        drawn.append(
            f'<g><title>{escape(name)}: {width:.1f} ms</title><rect x="{x:.1f}" y="{y}" width="{width * scale:.1f}" '
            f'height="{step - 1}" fill="{colour}" fill-opacity=".55"/>'
            f'<text x="{x + 3:.1f}" y="{y + 14}">{label}</text></g>'
        )
    return _svg(title, top + (deepest + 1) * step + 8, drawn)


def _svg(title: str, height: float, drawn: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
    return "\n".join([head, STYLE, f'<text class="title" x="10" y="22">{escape(title)}</text>', *drawn, "</svg>", ""])
