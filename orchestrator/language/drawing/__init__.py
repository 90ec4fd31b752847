"""Drawings of playbooks, as SVG and as Mermaid: the same picture, put on paper in two ways.

`picture` is what is said, read off the model by `reading` in the words of `words`. `layout` gives everything its place,
`svg` puts it on paper; `mermaid` leaves the placing to whoever shows it. Pure: the same playbook gives the same bytes.
"""

from __future__ import annotations

from typing import Literal

from orchestrator.language.drawing.mermaid import mermaid_text
from orchestrator.language.drawing.picture import Picture
from orchestrator.language.drawing.reading import Capabilities, read_picture
from orchestrator.language.drawing.svg import svg_text
from orchestrator.language.model import PlaybookDocument

Paper = Literal["mermaid", "svg"]


def draw(name: str, model: PlaybookDocument, capabilities: Capabilities, form: Paper) -> str:
    """The drawing of a playbook, as the text of a file."""
    picture = read_picture(name, model, capabilities)
    return svg_text(picture) if form == "svg" else mermaid_text(picture)


__all__ = ["Paper", "Picture", "draw", "mermaid_text", "read_picture", "svg_text"]
