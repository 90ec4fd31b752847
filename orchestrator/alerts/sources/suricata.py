"""Suricata's EVE JSON: alert records become alerts, its other records (flow, dns, http, ...) are none.

Format: https://docs.suricata.io, "EVE JSON Format". Rules of the Emerging Threats kind carry ATT&CK ids and a severity
in their `metadata`; where they do, those count more than the rule's priority.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from orchestrator.alerts.alert import LONG, MANY, SHORT, Alert
from orchestrator.alerts.keys import alert_key
from orchestrator.alerts.sources import NotAnAlert, Origin
from orchestrator.contract.values import Domain, IpAddress
from orchestrator.errors import DeadLetter

TECHNIQUE = re.compile(r"T[0-9]{4}(\.[0-9]{3})?")
BY_PRIORITY = {1: "high", 2: "medium", 3: "low"}
BY_WORD = {"critical": "critical", "major": "high", "minor": "medium", "informational": "informational"}


class Suricata:
    """EVE JSON, one record a message."""

    name = "suricata"

    def recognises(self, decoded: Mapping[str, Any]) -> bool:
        """EVE records all have an event type, a time, and mostly a flow."""
        return isinstance(decoded.get("event_type"), str) and isinstance(decoded.get("timestamp"), str)

    def decode(self, decoded: dict[str, Any], origin: Origin) -> Alert | NotAnAlert:
        """The alert; EVE gives none an id, so it is a hash of the record's place and bytes."""
        if decoded["event_type"] != "alert":
            return NotAnAlert(decoded["event_type"])
        if not isinstance(decoded.get("alert"), dict):
            raise DeadLetter("invalid_alert", "an EVE alert without the object `alert`", "alert")
        identity = stable_id(origin)
        try:
            return Alert.model_validate({**_fields(decoded), "id": identity, "key": alert_key(self.name, identity)})
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise DeadLetter("invalid_alert", f"{place}: {first['msg']}", place) from None


source = Suricata()


def stable_id(origin: Origin) -> str:
    """An id for records that have none: the same for the same record read again, also after a restart."""
    digest = hashlib.sha256(f"{origin.topic}\0{origin.partition}\0{origin.offset}\0".encode() + origin.raw)
    return digest.hexdigest()[:32]


def _fields(eve: dict[str, Any]) -> dict[str, Any]:
    alert = eve["alert"]
    metadata = _mapping(alert.get("metadata"))
    source, target = _ends(eve)
    domain, url = _name_and_url(eve)
    return {
        "time": _time(eve["timestamp"]),
        "severity": _severity(alert, metadata),
        "title": str(alert.get("signature") or "Suricata alert")[:SHORT],
        "description": str(alert["category"])[:LONG] if alert.get("category") else None,
        "rule": {
            "id": f"{alert.get('gid', 1)}:{alert.get('signature_id', 0)}",
            "name": str(alert.get("signature") or "")[:SHORT] or None,
        },
        "attack": tuple(dict.fromkeys(t for t in _texts(metadata.get("mitre_technique_id")) if TECHNIQUE.fullmatch(t))),
        "source": source,
        "target": target,
        "url": url,
        "domain": domain,
        "file": _file(eve),
        "observables": _observables(source, target, domain, url),
        "product": {"name": "Suricata", "vendor": "OISF"},
        "raw": eve,
    }


def _ends(eve: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Who did it to whom: as the rule says with its keyword `target`, else who sent the packet and who received it."""
    alert = eve["alert"]
    said_source, said_target = _mapping(alert.get("source")), _mapping(alert.get("target"))
    if said_source and said_target:
        return _end(said_source.get("ip"), said_source.get("port")), _end(
            said_target.get("ip"), said_target.get("port")
        )
    return _end(eve.get("src_ip"), eve.get("src_port")), _end(eve.get("dest_ip"), eve.get("dest_port"))


def _end(ip: Any, port: Any) -> dict[str, Any]:
    try:
        address = IpAddress.parse(str(ip)) if ip else None
    except ValueError:
        address = None
    return {"ip": address, "port": port if isinstance(port, int) and 0 <= port <= 65_535 else None}


def _severity(alert: dict[str, Any], metadata: dict[str, Any]) -> str:
    for word in _texts(metadata.get("signature_severity")):
        if word.lower() in BY_WORD:
            return BY_WORD[word.lower()]
    return BY_PRIORITY.get(alert.get("severity", 3), "informational")


def _time(text: str) -> datetime:
    """EVE writes the offset from UTC without a colon: 2024-05-06T10:00:00.123456+0000."""
    try:
        moment = datetime.fromisoformat(re.sub(r"([+-]\d{2})(\d{2})$", r"\1:\2", text))
    except ValueError:
        raise DeadLetter("invalid_alert", "`timestamp` is not a time", "timestamp") from None
    if moment.tzinfo is None:
        raise DeadLetter("invalid_alert", "`timestamp` names no zone", "timestamp")
    return moment


def _name_and_url(eve: dict[str, Any]) -> tuple[str | None, str | None]:
    http, tls = _mapping(eve.get("http")), _mapping(eve.get("tls"))
    name = http.get("hostname") or tls.get("sni") or _queried(_mapping(eve.get("dns")))
    try:
        domain = Domain.parse(str(name)) if name and not _is_address(str(name)) else None
    except ValueError:
        domain = None
    host, path = http.get("hostname"), http.get("url")
    url = f"http://{host}{path}"[:LONG] if isinstance(host, str) and isinstance(path, str) else None
    return domain, url


def _queried(dns: dict[str, Any]) -> Any:
    """The name that a DNS record asks for, in the old form of EVE or the new."""
    for place in ("query", "queries"):
        asked = dns.get(place)
        if isinstance(asked, list) and asked and isinstance(asked[0], dict):
            return asked[0].get("rrname")
    return dns.get("rrname")


def _is_address(text: str) -> bool:
    try:
        IpAddress.parse(text)
    except ValueError:
        return False
    return True


def _file(eve: dict[str, Any]) -> dict[str, Any] | None:
    listed = eve.get("files")
    found = _mapping(listed[0] if isinstance(listed, list) and listed else eve.get("fileinfo"))
    if not found.get("filename"):
        return None
    return {
        "name": str(found["filename"])[:SHORT],
        "size": found.get("size") if isinstance(found.get("size"), int) else None,
        **{kind: found[kind] for kind in ("md5", "sha1", "sha256") if isinstance(found.get(kind), str)},
    }


def _observables(
    source: dict[str, Any], target: dict[str, Any], domain: str | None, url: str | None
) -> list[dict[str, str]]:
    found = [("ip", source["ip"]), ("ip", target["ip"]), ("domain", domain), ("url", url)]
    return [{"type": kind, "value": str(value)} for kind, value in dict.fromkeys(found) if value][:MANY]


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [one.strip() for one in listed if isinstance(one, str)]
