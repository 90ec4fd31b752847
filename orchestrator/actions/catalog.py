"""What can be done and by which products: found by scanning, so that a new integration is one new file."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import integrations
from orchestrator.contract import Capability, Integration, capabilities
from orchestrator.errors import SettingsError

AnyCapability = Capability[Any, Any]


@dataclass(frozen=True)
class Catalog:
    """Every capability by its name, and every product by the name that settings use."""

    capabilities: Mapping[str, AnyCapability]
    products: Mapping[str, Integration[Any]]

    def product(self, name: str) -> Integration[Any]:
        """The product of this name; raises `SettingsError` with the nearest right word."""
        if name not in self.products:
            near = difflib.get_close_matches(name, self.products, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(self.products))}"
            raise SettingsError(f"no integration is named {name!r}; {hint}")
        return self.products[name]

    def implementing(self, capability: str) -> list[str]:
        """The products that can do it."""
        return [name for name, product in self.products.items() if capability in product.implementations]


def scan() -> Catalog:
    """Import every file of `contract/capabilities` and of `integrations`, and gather what they declare."""
    known: dict[str, AnyCapability] = {}
    for module in _modules(capabilities):
        for one in _declared(module, Capability):
            _add(known, one.name, one, module)
    products: dict[str, Integration[Any]] = {}
    for module in _modules(integrations):
        for product in _declared(module, Integration):
            _add(products, product.name, product, module)
            for implementation in product.implementations.values():
                _add(known, implementation.capability.name, implementation.capability, module)
    return Catalog(dict(sorted(known.items())), dict(sorted(products.items())))


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        yield importlib.import_module(found.name)


def _declared(module: ModuleType, kind: type[Any]) -> list[Any]:
    return [value for value in vars(module).values() if isinstance(value, kind)]


def _add(known: dict[str, Any], name: str, value: object, module: ModuleType) -> None:
    if known.setdefault(name, value) is not value:
        raise SettingsError(f"{module.__name__} declares {name!r}, which another file declares already; rename one")
