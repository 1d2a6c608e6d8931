"""The start screen. Its commands are parsed as a shell does."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from local.screen import start_screen
from local.template import Jwt, Route

JWT = Jwt("https://issuer.example", ("shop",))


def claims(**claims: str) -> dict[str, Any]:
    return {"authorizer": {"jwt": {"claims": claims}}}


@pytest.mark.parametrize(
    ("route", "event", "words"),
    [
        (
            Route("POST", "/things/{id}", "F", JWT),
            {
                "rawPath": "/things/7",
                "body": """{"say": "it's $HOME"}""",
                "requestContext": claims(sub="bob"),
                "headers": {"accept": "text/html"},
            },
            [
                *("-X", "POST", "http://here/things/7", "-H", "Authorization: Bearer $BOB", "-H", "Accept: text/html"),
                *("-H", "Content-Type: application/json", "-d", """{"say": "it's $HOME"}"""),
            ],
        ),
        (
            Route("GET", "/things/{id}", "F", JWT),
            {"rawPath": "/things/7", "requestContext": claims(sub="ada", **{"cognito:groups": "[admins]"})},
            ["http://here/things/7", "-H", "Authorization: Bearer $ADMIN"],
        ),
        (Route("DELETE", "/open/{id}", "F"), {}, ["-X", "DELETE", "http://here/open/1001"]),
        (Route("GET", "/admin/{id}", "F", JWT), {}, ["http://here/admin/1001", "-H", "Authorization: Bearer $ADMIN"]),
        (Route("GET", "/{id}", "F", JWT), {}, ["http://here/1001", "-H", "Authorization: Bearer $ALICE"]),
    ],
    ids=["all of it", "admin", "open", "admin without event", "customer without event"],
)
def test_curl_command_of_a_route(tmp_path: Path, route: Route, event: dict[str, Any], words: list[str]) -> None:
    (tmp_path / "an-event.json").write_text(json.dumps({"source": "aws.ses"}))
    if event:
        (tmp_path / "event.json").write_text(json.dumps({"routeKey": route.key, **event}))
    screen = start_screen("http://here", {}, [], {"alice": "t"}, [route], tmp_path)
    [line] = [line for line in screen.splitlines() if line.startswith("curl ")]
    assert shlex.split(line) == ["curl", "-i", *words]


def test_screen_shows_places_warnings_and_tokens(tmp_path: Path) -> None:
    lines = start_screen("http://here", {"Log": "a file"}, ["no mail"], {"alice": "a.b.c"}, [], tmp_path).splitlines()
    assert "The orders service is running at http://here" in lines
    assert "  Log     a file" in lines
    assert "Warning: no mail" in lines
    assert "export ALICE=a.b.c" in lines
