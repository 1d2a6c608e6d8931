"""Reads a CloudFormation template and resolves its parameters, conditions and intrinsic functions."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from local import UsageError

ACCOUNT = "123456789012"
"""The account that moto emulates."""

Properties = Mapping[str, Any]

_NO_VALUE = object()


class Resolver:
    """Resolves the intrinsic functions of a template. A reference to a resource resolves to its logical id."""

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
            self._names[name] = overrides.get(name, as_text(parameter.get("Default")))
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::FindInMap": lambda keys: self._mappings[keys[0]][keys[1]][keys[2]],
            "Fn::GetAtt": ".".join,
            "Fn::Join": lambda value: value[0].join(value[1]),
            "Fn::Select": lambda value: value[1][int(value[0])],
            "Fn::Split": lambda value: value[1].split(value[0]),
        }

    def exists(self, resource: Properties) -> bool:
        """Returns whether a resource has no condition, or one that is true."""
        return "Condition" not in resource or self._is_true({"Condition": resource["Condition"]})

    def resolve(self, value: Any) -> Any:
        """Returns a value with all functions in it resolved, and without the parts that are `AWS::NoValue`."""
        if isinstance(value, list):
            return [found for item in value if (found := self.resolve(item)) is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name == "Fn::If":
                condition, yes, no = argument
                return self.resolve(yes if self._is_true({"Condition": condition}) else no)
            if name == "Fn::Sub":
                return self._sub(argument)
            if name in self._functions:
                return self._functions[name](self.resolve(argument))
            if name.startswith("Fn::"):
                raise UsageError(f"the local gateway does not support {name}")
        return {key: found for key, item in value.items() if (found := self.resolve(item)) is not _NO_VALUE}

    def _is_true(self, condition: Any) -> bool:
        [(name, argument)] = condition.items()
        match name:
            case "Condition":
                return self._is_true(self._conditions[argument])
            case "Fn::Equals":
                left, right = self.resolve(argument)
                return as_text(left) == as_text(right)
            case "Fn::Not":
                return not self._is_true(argument[0])
            case "Fn::And":
                return all(map(self._is_true, argument))
            case "Fn::Or":
                return any(map(self._is_true, argument))
        raise UsageError(f"the local gateway does not support the condition {name}")

    def _ref(self, name: str) -> Any:
        if name in self._names:
            return self._names[name]
        # SAM resolves these to the alias of a function and the stage of an API.
        if name.removesuffix(".Alias").removesuffix(".Stage") in self._resources:
            return name
        raise UsageError(f"{name} is neither a parameter nor a resource")

    def _sub(self, argument: str | list[Any]) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else (argument[0], self.resolve(argument[1]))

        def replacement(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in own:
                return as_text(own[name])
            return name if "." in name else as_text(self._ref(name))

        return re.sub(r"\$\{\s*([^}]+?)\s*\}", replacement, text)


def as_text(value: Any) -> str:
    """Converts a scalar to text as CloudFormation does."""
    return str(value).lower() if isinstance(value, bool) else str(value)


# libyaml is ten times as fast, but PyYAML may come without it.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Loads YAML with CloudFormation's short forms: `!Ref x` is `{Ref: x}`, `!Sub x` is `{"Fn::Sub": x}`."""


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


def read_template(path: Path) -> dict[str, Any]:
    """Reads a template file.

    Raises:
        UsageError: The file is missing or is not a template.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path.name} is not valid YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise UsageError(f"{path.name} has no Resources")
    return document
