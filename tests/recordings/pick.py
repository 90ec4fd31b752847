"""From Suricata's EVE output to the samples: the recording in the order of time, and one alert of each kind."""

from __future__ import annotations

import json
import sys
from pathlib import Path

KINDS = {
    9100001: "brute_force_critical",
    9100003: "failed_logins",
    9100004: "malware_callback",
    9100005: "controller_name",
    9100006: "port_scan",
    9100007: "policy_noise",
}


def main(eve: Path, out: Path) -> None:
    """Write the recording and the samples."""
    records = [json.loads(line) for line in eve.read_text().splitlines()]
    records = [one for one in records if one["event_type"] in ("alert", "http", "dns")]
    others = [one for one in records if one["event_type"] != "alert"]
    kept = [one for one in records if one["event_type"] == "alert"] + others[:15]
    kept.sort(key=lambda one: one["timestamp"])
    (out / "demo.eve.jsonl").write_text("".join(json.dumps(one) + "\n" for one in kept))
    for one in kept:
        name = KINDS.pop(one.get("alert", {}).get("signature_id", 0), None)
        if name:
            (out / f"{name}.json").write_text(json.dumps(one, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
