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
from typing import Any

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
        "VPCLatticeEvent": "vpc_lattice",
        "VPCLatticeEventV2": "vpc_lattice",
    },
    # Extracts correlation IDs from events.
    "aws_lambda_powertools.utilities.jmespath_utils": {},
    # Used by Powertools for asynchronous routes.
    "asyncio": {},
    # Writes botocore's reference documentation.
    "botocore.docs": {},
    # Used by botocore for configuration files, sign-in, waiters and paginators.
    "configparser": {},
    "jmespath": {},
    "subprocess": {},
    "tempfile": {},
    # Used by importlib.metadata to look for installed packages.
    "csv": {},
    "importlib.resources": {"abc": "abc"},
    "zipfile": {},
}
"""The postponed modules. Each lists the names that others import from it at start-up, by the submodule they are in:
these are supplied without running the package's own code, which would import all other submodules as well."""

_lock = RLock()


class _PostponedModule(ModuleType):
    """A module that has not run yet."""

    def __getattr__(self, name: str) -> Any:
        """Supplies a missing name, from the submodule that defines it or by running the module."""
        submodule = POSTPONED[self.__name__].get(name)
        if submodule:
            module = import_module(f"{self.__name__}.{submodule}")
            return module if name == submodule else getattr(module, name)
        with _lock:
            spec = self.__spec__
            # The module itself may look up a missing name while it runs: that must not run it again.
            if type(self) is _PostponedModule and spec and spec.loader and not spec.loader_state:
                spec.loader_state = "running"
                try:
                    spec.loader.exec_module(self)
                finally:
                    spec.loader_state = None
                self.__class__ = ModuleType  # type: ignore[assignment]
        return self.__getattribute__(name)


class _PostponingLoader:
    """Creates a module as its own loader does, and leaves running it to the module."""

    def __init__(self, spec: ModuleSpec) -> None:
        self._loader = spec.loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec) if self._loader else None

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__:
            module.__loader__ = module.__spec__.loader = self._loader
        module.__class__ = _PostponedModule


class _PostponingFinder:
    """Finds the postponed modules before Python's own finder does."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in POSTPONED else None
        if spec and spec.loader:
            spec.loader = _PostponingLoader(spec)  # type: ignore[assignment]
        return spec


def postpone() -> None:
    """Postpones the listed modules, except for those that are already imported."""
    sys.meta_path.insert(0, _PostponingFinder)
