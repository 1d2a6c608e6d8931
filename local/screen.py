"""The start screen: addresses, tokens, and a curl command for each route."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local.template import Route


def start_screen(
    url: str,
    places: Mapping[str, str],
    warnings: Sequence[str],
    tokens: Mapping[str, str],
    routes: Sequence[Route],
    events: Path,
) -> str:
    """Returns the text of the screen.

    Args:
        url: The address of the API.
        places: Further addresses and files, by name.
        warnings: Features that do not work.
        tokens: Tokens by user name.
        routes: The routes.
        events: The folder with an event for each route and role. The commands send what these events contain.
    """
    rows = {"API": f"{url}/docs", "Outbox": f"{url}/_local/outbox", **places}
    width = max(map(len, rows))
    samples = _samples(events)
    return "\n".join(
        [
            "",
            f"The orders service is running at {url}",
            "",
            *(f"  {name:<{width}}  {value}" for name, value in rows.items()),
            *(f"\nWarning: {warning}" for warning in warnings),
            "",
            "Tokens to paste into another terminal (for other users: make token SUB=...):",
            "",
            *(f"export {name.upper()}={token}" for name, token in tokens.items()),
            "",
            "A command for each route:",
            "",
            *(_curl(url, route, samples.get(route.key, {})) for route in routes),
            "",
            "Press Ctrl-C to stop. Requests:",
            "",
        ]
    )


def _samples(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns an event for each route key that has one."""
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
