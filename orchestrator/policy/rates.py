"""Rates: how many actions an integration is sent at most, at even distance.

They stand in the policy and not in the settings: a rate is changed while it matters, under review and without a
restart, and the settings of a product are its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from orchestrator.errors import Finding
from orchestrator.language.yaml_reader import Document
from orchestrator.policy.section import Known, Section, unknown

Per = Literal["second", "minute", "hour"]
SECONDS: Mapping[Per, float] = MappingProxyType({"second": 1.0, "minute": 60.0, "hour": 3600.0})
FORM = r"([1-9][0-9]{0,4}) per (second|minute|hour)"


class Rate(Section):
    """`10 per second`: so many actions in that time, one after the other at even distance."""

    count: Annotated[int, Field(ge=1, le=99_999)]
    per: Per

    @property
    def interval(self) -> float:
        """Seconds from one to the next."""
        return SECONDS[self.per] / self.count

    def __str__(self) -> str:
        return f"{self.count} per {self.per}"


def as_rate(value: object) -> object:
    """`10 per second` as the parts of a rate."""
    if isinstance(value, Rate):
        return value
    found = re.fullmatch(FORM, value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(
            f"{value!r} is not a rate; write it as 10 per second, minute or hour ({', '.join(get_args(Per))})"
        )
    return {"count": int(found[1]), "per": found[2]}


Rates = dict[str, Annotated[Rate, BeforeValidator(as_rate)]]
"""`rates:` of a policy, by the name of the integration."""


def check_rates(rates: Rates, document: Document, known: Known) -> Iterator[Finding]:
    """Integrations that nobody knows."""
    for name in rates:
        yield from unknown(document, ("rates", name, "@key"), "integration", name, known.integrations)
