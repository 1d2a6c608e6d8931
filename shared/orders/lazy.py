"""Postpones running modules that other packages import at start-up but that this service rarely or never needs.

Powertools' event handler, for example, imports the resolvers of AppSync and Bedrock and, with them, asyncio. A module
listed here is imported without being run. It runs, unmodified, when a name that it does not have yet is first looked
up in it: only the time at which it runs is different.

`importlib.util.LazyLoader` does the same, except that it runs a package as soon as one of its submodules is imported,
and packages are what this is about. (Python 3.15 has `lazy import` for modules that cooperate, PEP 810.)
"""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    # At run time it would import importlib.resources.
    from importlib.abc import Loader

POSTPONED: Mapping[str, Mapping[str, str]] = {
    # Imports every resolver.
    "aws_lambda_powertools.event_handler": {
        "APIGatewayHttpResolver": "api_gateway",
        "ApiGatewayResolver": "api_gateway",
        "Request": "request",
        "Response": "api_gateway",
        "content_types": "content_types",
    },
    # Imports the merging of OpenAPI documents.
    "aws_lambda_powertools.event_handler.openapi": {},
    # Imports the events of 30 services.
    "aws_lambda_powertools.utilities.data_classes": {
        "ALBEvent": "alb_event",
        "APIGatewayProxyEvent": "api_gateway_proxy_event",
        "APIGatewayProxyEventV2": "api_gateway_proxy_event",
        "BedrockAgentEvent": "bedrock_agent_event",
        "LambdaFunctionUrlEvent": "lambda_function_url_event",
        "S3Event": "s3_event",
        "VPCLatticeEvent": "vpc_lattice",
        "VPCLatticeEventV2": "vpc_lattice",
    },
    # Extracts correlation IDs from events.
    "aws_lambda_powertools.utilities.jmespath_utils": {},
    # Used by Powertools for asynchronous routes.
    "asyncio": {},
    # Writes botocore's reference documentation.
    "botocore.docs": {},
    # Used by botocore for configuration files, and for operations on several items, waiters and paginators.
    "configparser": {},
    "jmespath": {},
    # Used by importlib.metadata to look for installed packages.
    "csv": {},
    # Tables of Unicode, for e-mail addresses whose domain is not ASCII.
    "idna": {},
    "importlib.resources": {"abc": "abc"},
    "zipfile": {},
}
"""The postponed modules. Each lists the names that others import from it at start-up, by the submodule they are in:
these are supplied without running the package's own code, which would import all other submodules as well."""

_lock = RLock()


class _PostponedModule(ModuleType):
    """A module that has not run yet. Its spec's `loader_state` holds the names that submodules supply."""

    def __getattr__(self, name: str) -> Any:
        """Supplies a missing name, from the submodule that defines it or by running the module."""
        spec = cast(ModuleSpec, self.__spec__)
        submodule = (spec.loader_state or {}).get(name)
        if submodule:
            module = import_module(f"{self.__name__}.{submodule}")
            return module if name == submodule else getattr(module, name)
        with _lock:
            # The state is None while the module runs, so looking up a missing name then does not run it again.
            if spec.loader and spec.loader_state is not None:
                names, spec.loader_state = spec.loader_state, None
                try:
                    spec.loader.exec_module(self)
                except BaseException:
                    spec.loader_state = names
                    raise
                self.__class__ = ModuleType  # type: ignore[assignment]
        return self.__getattribute__(name)


class _PostponingLoader:
    """Creates a module as its own loader does, and leaves running it to the module."""

    def __init__(self, loader: "Loader") -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = cast(ModuleSpec, module.__spec__).loader = self._loader
        module.__class__ = _PostponedModule


class _PostponingFinder:
    """Finds the postponed modules before Python's own finder does."""

    def __init__(self, modules: Mapping[str, Mapping[str, str]]) -> None:
        self._modules = modules

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._modules:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            spec.loader, spec.loader_state = _PostponingLoader(spec.loader), self._modules[name]  # type: ignore[assignment]
        return spec


def postpone(modules: Mapping[str, Mapping[str, str]] = POSTPONED) -> None:
    """Postpones running modules that are not imported yet."""
    sys.meta_path.insert(0, _PostponingFinder(modules))
