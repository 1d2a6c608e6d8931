"""The first screen: where things are, tokens, and a line to copy for each route."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local.template import Route


def first(
    url: str,
    places: Mapping[str, str],
    warnings: Sequence[str],
    tokens: Mapping[str, str],
    routes: Sequence[Route],
    events: Path,
) -> str:
    """The screen's text.

    Args:
        url: Where the API is.
        places: What else is where.
        warnings: What does not work.
        tokens: Tokens, by what to call their owners.
        routes: The routes.
        events: The folder with an event for each route and role; what the lines send is what these send.
    """
    rows = {"API": f"{url}/docs", "Outbox": f"{url}/_local/outbox", **places}
    width = max(map(len, rows))
    samples = _samples(events)
    return "\n".join(
        [
            "",
            f"The shop's orders are at {url}",
            "",
            *(f"  {name:<{width}}  {value}" for name, value in rows.items()),
            *(f"\nWarning: {warning}" for warning in warnings),
            "",
            "Tokens, to copy into another terminal (for others: make token SUB=...):",
            "",
            *(f"export {name.upper()}={token}" for name, token in tokens.items()),
            "",
            "A line for each route:",
            "",
            *(_curl(url, route, samples.get(route.key, {})) for route in routes),
            "",
            "Ctrl-C ends it. Requests:",
            "",
        ]
    )


def _samples(folder: Path) -> dict[str, dict[str, Any]]:
    """An event for each route key, as far as there are any."""
    samples: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        event = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(event, dict) and "routeKey" in event:
            samples.setdefault(event["routeKey"], event)
    return samples


def _curl(url: str, route: Route, event: Mapping[str, Any]) -> str:
    # Order 1001 is one of the sample orders.
    path = event.get("rawPath") or re.sub(r"\{.*?\}", "1001", route.path)
    words = ["curl", "-i"]
    if route.method not in {"GET", "ANY"}:
        words += ["-X", route.method]
    words.append(shlex.quote(url + path + (f"?{query}" if (query := event.get("rawQueryString")) else "")))
    if route.jwt:
        claims = event.get("requestContext", {}).get("authorizer", {}).get("jwt", {}).get("claims", {})
        admin = "admins" in claims.get("cognito:groups", "") if claims else path.startswith("/admin/")
        words += ["-H", f'"Authorization: Bearer ${"ADMIN" if admin else claims.get("sub", "alice").upper()}"']
    if (accept := event.get("headers", {}).get("accept", "*/*")) not in {"*/*", "application/json"}:
        words += ["-H", shlex.quote(f"Accept: {accept}")]
    if body := event.get("body"):
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(body)]
    return " ".join(words)
