"""The hosts that Tocsin itself needs, from its settings: cutting off one of them would cut off Tocsin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

HOST_KEYS = frozenset({"host", "hosts", "hostname", "server", "servers", "address", "bootstrap"})
"""settings of integrations that hold hosts without the scheme of a URL"""


def own_hosts(servers: Iterable[str | None], integrations: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The hosts in the addresses of our servers and in the settings of integrations, by name or address, each once.

    Names are not resolved: what they point to may change, and a resolver that lies would decide what is protected.
    """
    found = [host for server in servers if server for host in hosts_in(server)]
    found += [host for section in integrations.values() for host in _hosts_of("", section)]
    return tuple(dict.fromkeys(found))


def hosts_in(address: str) -> Iterator[str]:
    """The hosts in `host:port,host:port`, or in a URL, which may name several ones too."""
    rest = address.partition("://")[2] if "://" in address else address
    where = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    for one in where.split(","):
        host = _host(one.strip())
        if host:
            yield host


def _host(text: str) -> str:
    if text.count(":") > 1 and not text.startswith("["):
        return text  # an IPv6 address alone
    try:
        return urlsplit(f"//{text}").hostname or ""
    except ValueError:
        return ""


def _hosts_of(name: str, value: Any) -> Iterator[str]:
    """The hosts in settings, however deep; of any text that is a URL, and of the keys that say that they hold hosts."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _hosts_of(str(key), one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _hosts_of(name, one)
    elif isinstance(value, str) and (re.match(r"[a-z][a-z0-9+.-]*://", value, re.IGNORECASE) or name in HOST_KEYS):
        yield from hosts_in(value)
