"""Reads `template.yaml` as far as a gateway needs it: functions, routes, streams, the authorizer, what is behind them.

What CloudFormation resolves at a deployment is resolved here, with two differences: parameters come from
`samconfig.toml`, `[local.global.parameters]`, and `Ref` of a resource is its logical id, as in `sam local`. So the
table has the same name here and there.
"""

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from local import UsageError

ACCOUNT = "123456789012"
"""The account that moto emulates."""

Properties = Mapping[str, Any]

_NO_VALUE = object()


@dataclass(frozen=True)
class Function:
    """A Lambda function.

    `name` is its logical id, `paths` are the folders of its code and its layers, `sources` are those of EventBridge
    whose events it is called with.
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
    """What a JWT authorizer asks of a token."""

    issuer: str
    audience: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """A route of the HTTP API. Without `jwt`, anybody may call it. `scopes` are alternatives."""

    method: str
    path: str
    function: str
    jwt: Jwt | None = None
    scopes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The route key, such as `POST /orders/{order_id}/cancel`."""
        return self.path if self.path == "$default" else f"{self.method} {self.path}"


@dataclass(frozen=True)
class Stream:
    """A table whose changes wake a function: an event source mapping.

    https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html

    Attributes:
        table: The table's name.
        function: The function's logical id.
        patterns: What wakes it: whatever fits one of them, everything if there are none.
        batch_size: How many records it gets at once.
        retries: How often it gets records again that it failed with; -1 is without end.
        bisect: Whether they are halved before.
        partial: Whether its answer says which failed.
    """

    table: str
    function: str
    patterns: tuple[Properties, ...] = ()
    batch_size: int = 100
    retries: int = -1
    bisect: bool = False
    partial: bool = False


class Template:
    """A SAM template, with the parameters that `samconfig.toml` next to it has for `local`.

    Attributes:
        globals: What all resources of a kind have in common, by the last word of the kind.
        functions: The functions, by logical id.
        routes: The routes of all functions.
        streams: The streams of all functions.

    Raises:
        UsageError: A file is missing, is not what it should be, or asks for something that is not known here.
    """

    def __init__(self, path: Path, region: str = "us-east-1") -> None:
        self._path = path
        document = _read_yaml(path)
        self._resources: dict[str, Any] = document["Resources"]
        with self._blaming("Parameters"):
            self._resolver = _Resolver(document, _overrides(path.with_name("samconfig.toml")), region)
        with self._blaming("Globals"):
            self.globals: dict[str, Any] = self._resolver.resolve(document.get("Globals", {}))
        # What routes belong to that name no API.
        apis: dict[str, Properties] = {"ServerlessHttpApi": {}} | self.of_type("AWS::Serverless::HttpApi")
        apis = {name: _merge(self.globals.get("HttpApi", {}), own) for name, own in apis.items()}
        layers = self.of_type("AWS::Serverless::LayerVersion")
        tables = self.of_type("AWS::DynamoDB::Table")
        self.functions: dict[str, Function] = {}
        self.routes: list[Route] = []
        self.streams: list[Stream] = []
        for name, own in self.of_type("AWS::Serverless::Function").items():
            with self._blaming(name):
                properties = _merge(self.globals.get("Function", {}), own)
                self.functions[name] = _function(name, properties, layers, path.parent)
                self.routes += _routes(name, properties, apis)
                self.streams += _streams(name, properties, tables)

    def of_type(self, kind: str) -> dict[str, Properties]:
        """The properties of all resources of a type that the conditions leave, by logical id."""
        found = {}
        for name, resource in self._resources.items():
            with self._blaming(name):
                if resource["Type"] == kind and self._resolver.exists(resource):
                    found[name] = self._resolver.resolve(resource.get("Properties", {}))
        return found

    @property
    def code(self) -> list[str]:
        """Where the code of all functions and layers is, for `sys.path`."""
        return list(dict.fromkeys(str(path) for function in self.functions.values() for path in function.paths))

    @property
    def jwt(self) -> Jwt | None:
        """The first authorizer that a route has: whom local tokens are made for."""
        return next((route.jwt for route in self.routes if route.jwt), None)

    @contextmanager
    def _blaming(self, place: str) -> Iterator[None]:
        try:
            yield
        except UsageError as error:
            raise UsageError(f"{self._path.name}, {place}: {error}") from error
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise UsageError(
                f"{self._path.name}, {place}: not valid for SAM ({type(error).__name__}: {error})"
            ) from error


def _function(name: str, properties: Properties, layers: Mapping[str, Properties], folder: Path) -> Function:
    # Layers that are no part of this template are ARNs, and what is in them is not known here.
    contents = [layers[layer]["ContentUri"] for layer in properties.get("Layers", []) if layer in layers]
    logging: Properties = properties.get("LoggingConfig", {})
    # What Lambda turns its settings for logs into, and Powertools' Logger reads.
    logs = {"AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text")}
    if "ApplicationLogLevel" in logging:
        logs["AWS_LAMBDA_LOG_LEVEL"] = logging["ApplicationLogLevel"]
    return Function(
        name=name,
        handler=properties["Handler"],
        paths=tuple((folder / place).resolve() for place in [properties["CodeUri"], *contents]),
        environment=logs
        | {key: _as_text(value) for key, value in properties.get("Environment", {}).get("Variables", {}).items()},
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
        # A table that is no part of this template is an ARN, and nobody changes it here.
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


class _Resolver:
    """CloudFormation's parameters, conditions and functions."""

    def __init__(self, document: Properties, overrides: Mapping[str, str], region: str) -> None:
        self._resources: Properties = document["Resources"]
        self._conditions: Properties = document.get("Conditions", {})
        self._mappings: Properties = document.get("Mappings", {})
        self._names: dict[str, Any] = {
            "AWS::AccountId": ACCOUNT,
            "AWS::NoValue": _NO_VALUE,
            "AWS::Partition": "aws",
            "AWS::Region": region,
            "AWS::StackId": f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/local/{UUID(int=0)}",
            "AWS::StackName": "local",
            "AWS::URLSuffix": "amazonaws.com",
        }
        for name, parameter in document.get("Parameters", {}).items():
            if name not in overrides and "Default" not in parameter:
                raise UsageError(
                    f'{name} has no value: add "{name}=..." to parameter_overrides '
                    "in samconfig.toml, [local.global.parameters]"
                )
            self._names[name] = overrides.get(name, _as_text(parameter.get("Default")))
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::FindInMap": lambda keys: self._mappings[keys[0]][keys[1]][keys[2]],
            "Fn::GetAtt": ".".join,
            "Fn::Join": lambda value: value[0].join(value[1]),
            "Fn::Select": lambda value: value[1][int(value[0])],
            "Fn::Split": lambda value: value[1].split(value[0]),
        }

    def exists(self, resource: Properties) -> bool:
        """Whether the resource's condition, if there is one, holds."""
        return "Condition" not in resource or self._holds({"Condition": resource["Condition"]})

    def resolve(self, value: Any) -> Any:
        """The value with everything in it resolved. What is `AWS::NoValue` is left out."""
        if isinstance(value, list):
            return [found for item in value if (found := self.resolve(item)) is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name == "Fn::If":
                condition, yes, no = argument
                return self.resolve(yes if self._holds({"Condition": condition}) else no)
            if name == "Fn::Sub":
                return self._sub(argument)
            if name in self._functions:
                return self._functions[name](self.resolve(argument))
            if name.startswith("Fn::"):
                raise UsageError(f"{name} is not known to the local gateway")
        return {key: found for key, item in value.items() if (found := self.resolve(item)) is not _NO_VALUE}

    def _holds(self, condition: Any) -> bool:
        [(name, argument)] = condition.items()
        match name:
            case "Condition":
                return self._holds(self._conditions[argument])
            case "Fn::Equals":
                left, right = self.resolve(argument)
                return _as_text(left) == _as_text(right)
            case "Fn::Not":
                return not self._holds(argument[0])
            case "Fn::And":
                return all(map(self._holds, argument))
            case "Fn::Or":
                return any(map(self._holds, argument))
        raise UsageError(f"{name} is no condition that the local gateway knows")

    def _ref(self, name: str) -> Any:
        if name in self._names:
            return self._names[name]
        # SAM's own: the alias that a function is called by.
        if name.removesuffix(".Alias") in self._resources:
            return name
        raise UsageError(f"{name} is neither a parameter nor a resource")

    def _sub(self, argument: str | list[Any]) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else (argument[0], self.resolve(argument[1]))

        def found(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in own:
                return _as_text(own[name])
            return name if "." in name else _as_text(self._ref(name))

        return re.sub(r"\$\{\s*([^}]+?)\s*\}", found, text)


def _merge(shared: Properties, own: Properties) -> Properties:
    """Globals under a resource's own properties: SAM merges maps, appends lists, and lets other values win."""
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


def _as_text(value: Any) -> str:
    """A scalar as CloudFormation writes it into text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _overrides(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path.name} is not TOML: {error}") from error
    given = config.get("local", {}).get("global", {}).get("parameters", {}).get("parameter_overrides", [])
    pairs = shlex.split(given if isinstance(given, str) else " ".join(given))
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise UsageError(f'{path.name}, parameter_overrides: {wrong[0]!r} should read Name=value, or Name="two words"')
    return dict(pair.split("=", 1) for pair in pairs)


# libyaml's loader where PyYAML has it: ten times as fast.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with CloudFormation's short forms: `!Ref x` is `{Ref: x}`, `!Sub x` is `{"Fn::Sub": x}`."""


def _short_form(loader: Any, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise UsageError(f"{path.name} has no Resources")
    return document
