"""The command line: `python -m openapi` writes openapi.json and docs/events/*.json; `--check` only compares them."""

import argparse
import sys
from pathlib import Path

from local.template import Template

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Writes or compares the files and returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m openapi", description="Writes openapi.json and docs/events/*.json."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    check: bool = parser.parse_args().check
    template = Template(ROOT / "template.yaml")
    sys.path += template.code
    # They import the functions, which are importable from here on.
    from openapi.document import describe  # noqa: PLC0415
    from openapi.event_schemas import event_schemas  # noqa: PLC0415

    texts = {ROOT / "openapi.json": describe(template)}
    texts |= {ROOT / "docs" / "events" / name: text for name, text in event_schemas().items()}
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run make openapi and review the changes", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(texts[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
