"""Reads what the gateway needs from `template.yaml`: functions, routes, streams, the authorizer and resources.

Parameters come from `samconfig.toml`, `[local.global.parameters]`. `Ref` of a resource is its logical id, as in
`sam local`, so the table has the same name in both.
"""

import json
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import UsageError
from local.cloudformation import Properties, Resolver, as_text, read_template
from local.cors import Cors


@dataclass(frozen=True)
class Function:
    """A Lambda function.

    `name` is its logical id. `paths` are the folders of its code and layers. `sources` are the EventBridge sources
    whose events invoke it.
    """

    name: str
    handler: str
    paths: tuple[Path, ...]
    environment: Mapping[str, str]
    memory: int
    timeout: float
    sources: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Jwt:
    """What a JWT authorizer requires of a token."""

    issuer: str
    audience: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """A route of the HTTP API. Without `jwt`, it needs no token. A token needs one of the `scopes`."""

    method: str
    path: str
    function: str
    jwt: Jwt | None = None
    scopes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Returns the route key, such as `POST /orders/{order_id}/cancel`."""
        return self.path if self.path == "$default" else f"{self.method} {self.path}"


@dataclass(frozen=True)
class Stream:
    """An event source mapping: a table whose changes invoke a function.

    https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html

    Attributes:
        table: The table's name.
        function: The function's logical id.
        patterns: The filter patterns. A record must match one of them, if there are any.
        batch_size: The maximum number of records per invocation.
        retries: How often failed records are retried; -1 means without limit.
        bisect: Whether a failed batch is split in two before.
        partial: Whether the function's response names the failed records.
    """

    table: str
    function: str
    patterns: tuple[Properties, ...] = ()
    batch_size: int = 100
    retries: int = -1
    bisect: bool = False
    partial: bool = False


class Template:
    """A SAM template, with the parameters for `local` from the `samconfig.toml` next to it.

    Attributes:
        globals: The common properties of the resources of a type, by the last word of the type.
        functions: The functions, by logical id.
        routes: The routes of all functions.
        streams: The streams of all functions.
        cors: The CORS configuration of the API; None if it has none.

    Raises:
        UsageError: A file is missing or invalid, or uses something that the gateway does not support.
    """

    def __init__(self, path: Path, region: str = "us-east-1") -> None:
        self._path = path
        document = read_template(path)
        self._resources: dict[str, Any] = document["Resources"]
        with self._error_context("Parameters"):
            self._resolver = Resolver(document, _overrides(path.with_name("samconfig.toml")), region)
        with self._error_context("Globals"):
            self.globals: dict[str, Any] = self._resolver.resolve(document.get("Globals", {}))
        # Routes that name no API belong to this one.
        apis: dict[str, Properties] = {"ServerlessHttpApi": {}} | self.of_type("AWS::Serverless::HttpApi")
        apis = {name: _merge(self.globals.get("HttpApi", {}), own) for name, own in apis.items()}
        configurations = [api["CorsConfiguration"] for api in apis.values() if "CorsConfiguration" in api]
        with self._error_context("CorsConfiguration"):
            self.cors = Cors.from_properties(configurations[0]) if configurations else None
        layers = self.of_type("AWS::Serverless::LayerVersion")
        tables = self.of_type("AWS::DynamoDB::Table")
        self.functions: dict[str, Function] = {}
        self.routes: list[Route] = []
        self.streams: list[Stream] = []
        for name, own in self.of_type("AWS::Serverless::Function").items():
            with self._error_context(name):
                properties = _merge(self.globals.get("Function", {}), own)
                self.functions[name] = _function(name, properties, layers, path.parent)
                self.routes += _routes(name, properties, apis)
                self.streams += _streams(name, properties, tables)

    def of_type(self, kind: str) -> dict[str, Properties]:
        """Returns the properties of the resources of a type whose conditions are true, by logical id."""
        found = {}
        for name, resource in self._resources.items():
            with self._error_context(name):
                if resource["Type"] == kind and self._resolver.exists(resource):
                    found[name] = self._resolver.resolve(resource.get("Properties", {}))
        return found

    @property
    def code(self) -> list[str]:
        """Returns the folders of all functions and layers, for `sys.path`."""
        return list(dict.fromkeys(str(path) for function in self.functions.values() for path in function.paths))

    @property
    def operations(self) -> list[Route]:
        """Returns the routes without those for HEAD, which do what the routes for GET do."""
        return [route for route in self.routes if route.method != "HEAD"]

    @property
    def jwt(self) -> Jwt | None:
        """Returns the authorizer of the first route that has one. Local tokens are made for it."""
        return next((route.jwt for route in self.routes if route.jwt), None)

    @contextmanager
    def _error_context(self, place: str) -> Iterator[None]:
        try:
            yield
        except UsageError as error:
            raise UsageError(f"{self._path.name}, {place}: {error}") from error
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise UsageError(
                f"{self._path.name}, {place}: not valid for SAM ({type(error).__name__}: {error})"
            ) from error


def _function(name: str, properties: Properties, layers: Mapping[str, Properties], folder: Path) -> Function:
    # The content of a layer outside this template is unknown; such a layer is given as an ARN.
    contents = [layers[layer]["ContentUri"] for layer in properties.get("Layers", []) if layer in layers]
    logging: Properties = properties.get("LoggingConfig", {})
    # Lambda sets these variables from its logging settings, and Powertools' Logger reads them.
    logs = {"AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text")}
    if "ApplicationLogLevel" in logging:
        logs["AWS_LAMBDA_LOG_LEVEL"] = logging["ApplicationLogLevel"]
    return Function(
        name=name,
        handler=properties["Handler"],
        paths=tuple((folder / place).resolve() for place in [properties["CodeUri"], *contents]),
        environment=logs
        | {key: as_text(value) for key, value in properties.get("Environment", {}).get("Variables", {}).items()},
        memory=int(properties.get("MemorySize", 128)),
        timeout=float(properties.get("Timeout", 3)),
        sources=frozenset(
            source
            for event in properties.get("Events", {}).values()
            if event["Type"] == "EventBridgeRule"
            for source in event["Properties"]["Pattern"].get("source", [])
        ),
    )


def _routes(function: str, properties: Properties, apis: Mapping[str, Properties]) -> Iterator[Route]:
    for event in properties.get("Events", {}).values():
        if event["Type"] != "HttpApi":
            continue
        route: Properties = event.get("Properties", {})
        own: Properties = route.get("Auth", {})
        shared: Properties = apis[route.get("ApiId", "ServerlessHttpApi")].get("Auth", {})
        authorizer = own.get("Authorizer", shared.get("DefaultAuthorizer", "NONE"))
        settings: Properties = {} if authorizer == "NONE" else shared["Authorizers"][authorizer]
        scopes = own.get("AuthorizationScopes", settings.get("AuthorizationScopes", []))
        method = route.get("Method", "ANY").upper()
        yield Route(
            method="ANY" if method == "X-AMAZON-APIGATEWAY-ANY-METHOD" else method,
            path=route.get("Path", "$default"),
            function=function,
            jwt=_jwt(settings["JwtConfiguration"]) if settings else None,
            scopes=tuple(scopes) if settings else (),
        )


def _streams(function: str, properties: Properties, tables: Mapping[str, Properties]) -> Iterator[Stream]:
    for event in properties.get("Events", {}).values():
        if event["Type"] != "DynamoDB":
            continue
        mapping: Properties = event["Properties"]
        # A table outside this template is given as an ARN, and does not exist here.
        table = mapping["Stream"].removesuffix(".StreamArn")
        if table not in tables:
            continue
        yield Stream(
            table=tables[table].get("TableName", table),
            function=function,
            patterns=tuple(
                json.loads(each["Pattern"]) for each in mapping.get("FilterCriteria", {}).get("Filters", [])
            ),
            batch_size=int(mapping.get("BatchSize", Stream.batch_size)),
            retries=int(mapping.get("MaximumRetryAttempts", Stream.retries)),
            bisect=mapping.get("BisectBatchOnFunctionError", Stream.bisect),
            partial="ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []),
        )


def _jwt(settings: Properties) -> Jwt:
    audience = settings.get("audience", [])
    return Jwt(settings["issuer"], (audience,) if isinstance(audience, str) else tuple(audience))


def _merge(shared: Properties, own: Properties) -> Properties:
    """Merges Globals with a resource's properties as SAM does: maps are merged, lists joined, other values replaced."""
    merged = dict(shared)
    for key, value in own.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(below, value)
        elif isinstance(below, list) and isinstance(value, list):
            merged[key] = below + value
        else:
            merged[key] = value
    return merged


def _overrides(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path.name} is not valid TOML: {error}") from error
    given = config.get("local", {}).get("global", {}).get("parameters", {}).get("parameter_overrides", [])
    pairs = shlex.split(given if isinstance(given, str) else " ".join(given))
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise UsageError(f'{path.name}, parameter_overrides: {wrong[0]!r} must be Name=value or Name="two words"')
    return dict(pair.split("=", 1) for pair in pairs)
