"""Tocsin's own JSON: the fields of `Alert` as they are, without `key` and `raw`, which intake adds."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from orchestrator.alerts.alert import Alert
from orchestrator.alerts.keys import alert_key
from orchestrator.alerts.sources import NotAnAlert, Origin
from orchestrator.errors import DeadLetter

OURS = frozenset({"key", "raw"})


class Tocsin:
    """One alert a message; `id`, `time`, `severity`, `title` and `product` are needed."""

    name = "tocsin"

    def recognises(self, decoded: Mapping[str, Any]) -> bool:
        """It has an id, a title and a severity by those names."""
        return {"id", "title", "severity"} <= decoded.keys()

    def decode(self, decoded: dict[str, Any], origin: Origin) -> Alert | NotAnAlert:
        """The alert. The id with the status is what makes an event: the same alert resolved is another event."""
        for name in OURS & decoded.keys():
            raise DeadLetter("invalid_alert", f"`{name}` is not for the sender to set; leave it out", name)
        identity, status = decoded.get("id"), decoded.get("status", "open")
        parts = (str(identity),) if status == "open" else (str(identity), str(status))
        try:
            return Alert.model_validate({**decoded, "key": alert_key(self.name, *parts), "raw": decoded})
        except ValidationError as error:
            raise _refused(error) from None


source = Tocsin()


def _refused(error: ValidationError) -> DeadLetter:
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), Alert.model_fields, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return DeadLetter("invalid_alert", f"no field `{place[:200]}`{hint}", place[:200])
    return DeadLetter("invalid_alert", f"{place}: {first['msg']}", place)
