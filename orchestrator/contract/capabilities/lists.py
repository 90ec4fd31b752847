"""The site's lists: addresses, accounts or domains under a name. Those of never-touch cannot be written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from orchestrator.contract.capability import Capability, Effect, Parameters, Result

ListName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Value = Annotated[str, Field(min_length=1, max_length=1_024)]


class Entry(Parameters):
    """Which value of which list."""

    list: ListName
    value: Value


class NewEntry(Parameters):
    """Which value for which list, and the words that stand beside it."""

    list: ListName
    value: Value
    note: str = ""


class EntryState(Result):
    """Whether the list holds the value; an address also where a network that holds it is listed."""

    list: ListName
    value: Value
    contains: bool
    note: str | None = None


contains = Capability(
    "list.contains", Entry, EntryState, Effect.READ, "Whether a list holds a value.", target="value", parts=("list",)
)
add = Capability(
    "list.add", NewEntry, EntryState, Effect.REVERSIBLE, "Put a value on a list that the site marks writable.",
    target="value", parts=("list",), inverse="list.remove", state="list.contains",
)  # fmt: skip
remove = Capability(
    "list.remove", Entry, EntryState, Effect.REVERSIBLE, "Take a value off a list that the site marks writable.",
    target="value", parts=("list",), inverse="list.add", state="list.contains",
)  # fmt: skip
