"""Cross-origin requests, answered as HTTP API answers them.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Request, Response


@dataclass(frozen=True)
class Cors:
    """The CORS configuration of an HTTP API. Credentials such as cookies are not supported.

    Attributes:
        origins: The origins whose pages may call the API.
        methods: The methods that they may use.
        headers: The headers that they may send.
        exposed: The headers of a response that they may read.
        max_age: The seconds for which a browser may remember this.
    """

    origins: tuple[str, ...]
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age: int | None = None

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> "Cors":
        """Reads the property `CorsConfiguration` of a SAM template."""
        names = {"origins": "AllowOrigins", "methods": "AllowMethods", "headers": "AllowHeaders"}
        lists = {
            field: tuple(properties.get(name, ())) for field, name in (names | {"exposed": "ExposeHeaders"}).items()
        }
        return cls(**lists, max_age=properties.get("MaxAge"))

    def preflight(self, request: Request) -> Response:
        """Responds to an OPTIONS request: HTTP API does so for every path, without a route and without a token."""
        response = Response(status=204)
        del response.headers["Content-Type"]
        if self._allows(request) and request.access_control_request_method:
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Allow-Methods"] = ",".join(self.methods)
            response.headers["Access-Control-Allow-Headers"] = ",".join(self.headers).lower()
            if self.max_age is not None:
                response.headers["Access-Control-Max-Age"] = str(self.max_age)
        response.headers["Vary"] = "Origin"
        return response

    def decorate(self, response: Response, request: Request) -> None:
        """Replaces the CORS headers of a function's response by those that the origin of the request gets."""
        for name in [name for name, _ in response.headers if name.lower().startswith("access-control-")]:
            del response.headers[name]
        if self._allows(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = ",".join(self.exposed).lower()
        response.headers["Vary"] = "Origin"

    def _allows(self, request: Request) -> bool:
        return request.headers.get("Origin", "").lower() in {origin.lower() for origin in self.origins}
