"""The gateway's own pages: the start page, the API page and the outbox."""

import json
import mimetypes
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jinja2
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from local import UsageError
from local.outbox import Outbox
from local.template import Route

_SHOWN_INLINE = frozenset({"application/pdf", "image/png", "image/jpeg", "image/gif"})


class Pages:
    """Responds to requests for the gateway's own pages.

    Args:
        openapi: The file with the API description.
        routes: The routes of the API.
        tokens: Creates a token for each sample user, by user name.
        outbox: The outbox.
        other_ses: The address of another mail service, if mails do not go to the outbox.
        simulate_ses_event: Simulates an SES event and returns the functions that received it.
    """

    def __init__(
        self,
        openapi: Path,
        routes: Sequence[Route],
        tokens: Callable[[], Mapping[str, str]],
        outbox: Outbox,
        other_ses: str | None,
        simulate_ses_event: Callable[[Mapping[str, Any]], list[str]],
    ) -> None:
        self._openapi = openapi
        self._routes = routes
        self._tokens = tokens
        self._outbox = outbox
        self._other_ses = other_ses
        self._simulate_ses_event = simulate_ses_event
        self._map = Map(
            [
                Rule("/", methods=["GET"], endpoint=self._index),
                Rule("/docs", methods=["GET"], endpoint=self._docs),
                Rule("/docs/swagger-ui.css", methods=["GET"], endpoint=lambda _: self._swagger("swagger-ui.min.css")),
                Rule(
                    "/docs/swagger-ui.js", methods=["GET"], endpoint=lambda _: self._swagger("swagger-ui-bundle.min.js")
                ),
                Rule("/openapi.json", methods=["GET"], endpoint=self._description),
                Rule("/_local/outbox", methods=["GET"], endpoint=self._list_mails),
                Rule("/_local/outbox", methods=["DELETE"], endpoint=self._clear_outbox),
                Rule("/_local/ses-events", methods=["POST"], endpoint=self._ses_event),
                Rule("/_local/outbox/<int:mail>/attachments/<int:file>", methods=["GET"], endpoint=self._attachment),
            ],
            strict_slashes=False,
            merge_slashes=False,
        )

    def __call__(self, request: Request) -> Response | None:
        """Returns the response, or None if the request is not for one of these pages."""
        try:
            endpoint, values = self._map.bind_to_environ(request.environ).match()
            response: Response = endpoint(request, **values)
        except (NotFound, MethodNotAllowed):
            return None
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def _index(self, request: Request) -> Response:
        return self._page("index.html", request, routes=self._routes)

    def _docs(self, request: Request) -> Response:
        return self._page("docs.html", request, tokens=self._tokens(), described=self._openapi.exists())

    def _swagger(self, name: str) -> Response:
        # Powertools ships Swagger UI, so the page works offline. Importing Powertools would take half a second.
        powertools = find_spec("aws_lambda_powertools")
        assert powertools
        assert powertools.origin
        return self._file(Path(powertools.origin).parent / "event_handler/openapi/swagger_ui" / name)

    def _description(self, request: Request) -> Response:
        if not self._openapi.exists():
            text = f"{self._openapi.name} does not exist: run make openapi\n"
            return Response(text, 404, content_type="text/plain; charset=utf-8")
        return self._file(self._openapi)

    def _list_mails(self, request: Request) -> Response:
        if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
            listed = [mail.to_json() for mail in self._outbox.mails()]
            return Response(json.dumps(listed, ensure_ascii=False, indent=2), content_type="application/json")
        # The open page asks every other second, and rarely is anything new. The version is read before the mails: if
        # one arrives in between, the next request shows it.
        version = f'"{self._outbox.version()}"'
        if request.headers.get("If-None-Match") == version:
            return Response(status=304)
        mails = self._outbox.mails()
        response = self._page("outbox.html", request, mails=mails, other_ses=self._other_ses, version=version)
        response.headers["ETag"] = version
        return response

    def _clear_outbox(self, request: Request) -> Response:
        self._outbox.clear()
        return Response(status=204)

    def _ses_event(self, request: Request) -> Response:
        try:
            body = json.loads(request.get_data())
            functions = self._simulate_ses_event(body if isinstance(body, dict) else {})
        except (ValueError, UsageError) as error:
            return Response(f"{error}\n", 422, content_type="text/plain; charset=utf-8")
        return Response(json.dumps({"taken_by": functions}), content_type="application/json")

    def _attachment(self, request: Request, mail: int, file: int) -> Response:
        try:
            found = self._outbox.mails()[mail].attachments[file]
        except IndexError:
            raise NotFound from None
        response = Response(found.content, content_type=found.content_type)
        shown = "inline" if found.content_type in _SHOWN_INLINE else "attachment"
        response.headers.set("Content-Disposition", shown, filename=found.filename)
        return response

    def _file(self, path: Path) -> Response:
        return Response(path.read_bytes(), content_type=f"{mimetypes.guess_type(path)[0]}; charset=utf-8")

    def _page(self, template: str, request: Request, **values: object) -> Response:
        nonce = secrets.token_urlsafe()
        text = self._templates.get_template(template).render(values, request=request, nonce=nonce)
        response = Response(text, content_type="text/html; charset=utf-8")
        # A mail can have any style, but cannot run anything: its frame inherits this policy and is sandboxed.
        response.headers["Content-Security-Policy"] = (
            f"default-src 'self'; script-src 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src * data:; "
            "form-action 'none'; base-uri 'none'"
        )
        return response

    @cached_property
    def _templates(self) -> jinja2.Environment:
        folder = Path(__file__).with_name("pages")
        return jinja2.Environment(
            loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined
        )
