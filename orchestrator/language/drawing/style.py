"""How drawings look, in light and in dark: colours by what a card stands for, and small signs made of lines."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.language.drawing.picture import Kind

COLOURS: Mapping[Kind, tuple[str, str]] = {
    Kind.START: ("#475569", "#94a3b8"),
    Kind.READ: ("#2563eb", "#60a5fa"),
    Kind.ADDITIVE: ("#0d9488", "#2dd4bf"),
    Kind.REVERSIBLE: ("#d97706", "#fbbf24"),
    Kind.IRREVERSIBLE: ("#dc2626", "#f87171"),
    Kind.UNKNOWN: ("#64748b", "#94a3b8"),
    Kind.APPROVAL: ("#7c3aed", "#a78bfa"),
    Kind.ASK: ("#7c3aed", "#a78bfa"),
    Kind.PLAYBOOK: ("#4f46e5", "#818cf8"),
    Kind.PARALLEL: ("#64748b", "#94a3b8"),
    Kind.GROUP: ("#64748b", "#94a3b8"),
    Kind.FOR_EACH: ("#0369a1", "#38bdf8"),
    Kind.REPEAT: ("#0369a1", "#38bdf8"),
    Kind.DECISION: ("#475569", "#94a3b8"),
    Kind.WAIT: ("#64748b", "#94a3b8"),
    Kind.SET: ("#64748b", "#94a3b8"),
    Kind.UNDO: ("#b45309", "#f59e0b"),
    Kind.SUCCESS: ("#15803d", "#4ade80"),
    Kind.FAILURE: ("#b91c1c", "#f87171"),
}
"""Of each kind: on light, on dark."""

SIGNS: Mapping[Kind, str] = {
    Kind.START: "M5 3 L14 9 L5 15 Z",
    Kind.READ: "M7.5 2.5 a5 5 0 1 0 .01 0 Z M11.2 11.2 L15.5 15.5",
    Kind.ADDITIVE: "M9 2.5 V15.5 M2.5 9 H15.5",
    Kind.REVERSIBLE: "M9 2 L15 4.5 V9 Q15 13.5 9 16 Q3 13.5 3 9 V4.5 Z",
    Kind.IRREVERSIBLE: "M9 2.5 L16.5 15.5 H1.5 Z M9 7 V11 M9 13 V13.6",
    Kind.UNKNOWN: "M5.5 6.5 Q5.5 3 9 3 Q12.5 3 12.5 6 Q12.5 8.5 9 9.5 V11.5 M9 14 V14.6",
    Kind.APPROVAL: "M9 2.5 a3 3 0 1 0 .01 0 Z M3 15.5 Q3 10.5 9 10.5 Q15 10.5 15 15.5 Z",
    Kind.ASK: "M2.5 3 H15.5 V12 H9 L5.5 15.5 V12 H2.5 Z M5.5 6 H12.5 M5.5 9 H10.5",
    Kind.PLAYBOOK: "M4 2.5 H14 V15.5 H4 Z M6.5 6 H11.5 M6.5 9 H11.5 M6.5 12 H9.5",
    Kind.GROUP: "M3 3 H15 V7 H3 Z M3 11 H15 V15 H3 Z",
    Kind.FOR_EACH: "M14.5 6.5 A6 6 0 1 0 15 9.5 M15 2.5 V6.5 H11",
    Kind.REPEAT: "M14.5 6.5 A6 6 0 1 0 15 9.5 M15 2.5 V6.5 H11",
    Kind.WAIT: "M9 2.5 a6.5 6.5 0 1 0 .01 0 Z M9 5.5 V9 L11.5 11",
    Kind.SET: "M3 6.5 H15 M3 11.5 H15",
    Kind.UNDO: "M6.5 3 L3 6.5 L6.5 10 M3 6.5 H10.5 Q15 6.5 15 10.5 Q15 14.5 10.5 14.5 H7",
    Kind.SUCCESS: "M3 9.5 L7 13.5 L15 4.5",
    Kind.FAILURE: "M4 4 L14 14 M14 4 L4 14",
}
"""In a square of 18; stroked, never filled."""

_SANS = "ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_CODE = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_LIGHT = {
    "paper": "#ffffff", "card": "#ffffff", "edge": "#cbd5e1", "ink": "#0f172a", "soft": "#475569", "quiet": "#64748b",
    "wire": "#64748b", "chip": "#f1f5f9", "frame": "#f8fafc", "people": "#6d28d9", "warn": "#b45309", "fail": "#dc2626",
    "bar": "#334155",
}  # fmt: skip
_DARK = {
    "paper": "#0d1117", "card": "#161b22", "edge": "#30363d", "ink": "#e6edf3", "soft": "#b1bac4", "quiet": "#8b949e",
    "wire": "#8b949e", "chip": "#1f262f", "frame": "#11161d", "people": "#c4b5fd", "warn": "#fbbf24", "fail": "#f87171",
    "bar": "#8b949e",
}  # fmt: skip


def sheet() -> str:
    """The style sheet of a drawing."""
    light = {**_LIGHT, **{f"k-{kind.value}": one for kind, (one, _) in COLOURS.items()}}
    dark = {**_DARK, **{f"k-{kind.value}": one for kind, (_, one) in COLOURS.items()}}
    kinds = "".join(f".{kind.value}{{--k:var(--k-{kind.value})}}" for kind in COLOURS)
    return (
        f":root{{{_names(light)}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{_names(dark)}}}}}"
        f"{kinds}{_RULES}"
    )  # fmt: skip


def _names(colours: Mapping[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in colours.items())


_RULES = (
    f"text{{font-family:{_SANS};font-size:12px;fill:var(--soft)}}"
    ".title{font-size:13.5px;font-weight:600;fill:var(--ink)}"
    f".code{{font-family:{_CODE};font-size:11.5px;fill:var(--ink)}}"
    ".quiet{font-size:11.5px;fill:var(--quiet)}"
    ".people{fill:var(--people)}"
    ".warn{font-size:11.5px;fill:var(--warn)}"
    ".mid{text-anchor:middle}"
    ".name{font-size:19px;font-weight:700;fill:var(--ink)}"
    ".why{font-size:12.5px;fill:var(--soft)}"
    ".mark{font-size:11px;fill:var(--quiet)}"
    ".paper{fill:var(--paper);stroke:var(--edge)}"
    ".pill-mark{fill:var(--chip)}"
    ".card rect.body,.card path.body{fill:var(--card);stroke:var(--k);stroke-width:1.3}"
    ".card rect.strip{fill:var(--k);stroke:none;opacity:.14}"
    ".chip path.body{fill:var(--chip);stroke:var(--k);stroke-width:1.2}"
    ".frame rect.body{fill:var(--frame);stroke:var(--k);stroke-width:1.3;stroke-dasharray:6 4}"
    ".bar{fill:var(--bar)}"
    ".back{fill:var(--paper)}"
    ".sign{fill:none;stroke:var(--k);stroke-width:1.6;stroke-linecap:round;stroke-linejoin:round}"
    ".wire{fill:none;stroke:var(--wire);stroke-width:1.4;stroke-linejoin:round}"
    ".past{stroke-dasharray:4 4}"
    ".loop{stroke:var(--k-for_each)}"
    ".fail{stroke:var(--fail);stroke-dasharray:5 3}"
    ".covers{stroke:var(--people);stroke-dasharray:1.5 4;stroke-width:1.6;stroke-linecap:round}"
    ".flow-end{fill:var(--wire)}.loop-end{fill:var(--k-for_each)}.fail-end{fill:var(--fail)}.covers-end{fill:var(--people)}"
)
