"""The site: which integrations are configured here, and which of them serve a capability."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from orchestrator.actions.catalog import Catalog
from orchestrator.actions.http import GuardedHttp, NoHttp
from orchestrator.contract import Config, Http, Implementation, Integration
from orchestrator.errors import SettingsError


@dataclass(frozen=True)
class Configured:
    """A product as configured here under a name of the site's own, with the one client that reaches it."""

    name: str
    product: Integration[Any]
    config: Config
    http: GuardedHttp | None
    own: bool = False
    """whether Tocsin itself plays it"""

    def implementation(self, capability: str) -> Implementation:
        """How this product does it."""
        return self.product.implementations[capability]

    def client(self, seconds: float, before_send: Any) -> Http:
        """The client for one call: its deadline, and the check that runs directly before the bytes leave."""
        return self.http.for_call(seconds, before_send) if self.http else NoHttp()


class Site:
    """Configured integrations and routes; `close` ends their connections."""

    def __init__(self, configured: Mapping[str, Configured], routes: Mapping[str, tuple[str, ...]]) -> None:
        self._configured = configured
        self._routes = routes

    def route(self, capability: str) -> list[Configured]:
        """Who serves it, in the order of the route; empty where nobody does."""
        return [self._configured[name] for name in self._routes.get(capability, ())]

    def named(self, name: str) -> Configured | None:
        """The configured integration of this name."""
        return self._configured.get(name)

    @property
    def keepers(self) -> list[Configured]:
        """Those who keep files that their actions spoke of."""
        return [one for one in self._configured.values() if one.product.keeps is not None]

    @property
    def served(self) -> frozenset[str]:
        """The capabilities that somebody serves here."""
        return frozenset(name for name, served_by in self._routes.items() if served_by)

    async def close(self) -> None:
        """End all connections."""
        for one in self._configured.values():
            if one.http:
                await one.http.close()


def build_site(
    catalog: Catalog,
    integrations: Mapping[str, Mapping[str, Any]],
    routes: Mapping[str, tuple[str, ...]],
    own: Iterable[Integration[Any]] = (),
) -> Site:
    """The site that these settings describe; raises one `SettingsError` that lists all mistakes.

    `own` are products that Tocsin itself plays, which need no settings.
    """
    mistakes: list[str] = []
    configured: dict[str, Configured] = {
        one.name: Configured(one.name, one, one.config(), None, own=True) for one in own
    }
    for name, section in integrations.items():
        if name in configured:
            mistakes.append(f"integrations.{name}: Tocsin itself goes by this name; choose another one")
            continue
        try:
            configured[name] = _configure(catalog, name, dict(section))
        except SettingsError as error:
            mistakes.append(f"integrations.{name}: {error}")
    mistakes += _wrong_routes(catalog, {*integrations, *configured}, configured, routes)
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return Site(configured, _all_routes(catalog, configured, routes))


def _configure(catalog: Catalog, name: str, section: dict[str, Any]) -> Configured:
    uses = section.pop("uses", name)
    product = catalog.product(str(uses))
    try:
        config = product.config.model_validate(section)
    except ValidationError as error:
        raise SettingsError("; ".join(_told(error, product.config))) from None
    return Configured(name, product, config, _client(product, config))


def _client(product: Integration[Any], config: Config) -> GuardedHttp | None:
    if product.base_url is None:
        return None
    authorize = product.authorize
    return GuardedHttp(
        product.base_url(config),
        authorize=(lambda http: authorize(config, http)) if authorize else None,
        authorize_for=product.authorize_for,
        basic_auth=product.basic_auth(config) if product.basic_auth else None,
    )


def _told(error: ValidationError, model: type[Config]) -> Iterable[str]:
    """Each mistake by its place; never the value, which may be a secret."""
    for one in error.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in one["loc"])
        if one["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(one["loc"][-1]), model.model_fields, n=1)
            yield f"{place}: no such setting" + (f"; did you mean {near[0]}?" if near else "")
        else:
            yield f"{place}: {one['msg']}"


def _wrong_routes(
    catalog: Catalog,
    known: Set[str],
    configured: Mapping[str, Configured],
    routes: Mapping[str, tuple[str, ...]],
) -> list[str]:
    mistakes = []
    for capability, names in routes.items():
        if capability not in catalog.capabilities:
            near = difflib.get_close_matches(capability, catalog.capabilities, n=1)
            mistakes.append(f"routes.{capability}: no such capability" + (f"; did you mean {near[0]}?" if near else ""))
            continue
        for name in names:
            if name not in known:
                mistakes.append(f"routes.{capability}: no integration is configured as {name!r}")
            elif name in configured and capability not in configured[name].product.implementations:
                able = ", ".join(catalog.implementing(capability)) or "none"
                mistakes.append(f"routes.{capability}: {name} cannot do it; products that can: {able}")
    return mistakes


def _all_routes(
    catalog: Catalog, configured: Mapping[str, Configured], routes: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The routes as set; where none is set, everybody configured who can do it."""
    return {
        capability: tuple(routes[capability])
        if capability in routes
        else tuple(name for name, one in configured.items() if capability in one.product.implementations)
        for capability in catalog.capabilities
    }
