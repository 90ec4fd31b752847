"""Drawings of playbooks: what they show, that nothing in them collides, and that no text in them does anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from orchestrator.actions.catalog import scan
from orchestrator.cli.author import graph
from orchestrator.errors import FilesRefused
from orchestrator.language.drawing import draw, read_picture
from orchestrator.language.drawing.cards import SIZES
from orchestrator.language.drawing.layout import failure_area, picture_area
from orchestrator.language.drawing.picture import Tone
from orchestrator.language.drawing.shapes import Area, Box, Form, Style, Wire
from orchestrator.language.drawing.text import harmless, width, wrap
from orchestrator.language.model import STEPS, PlaybookDocument
from orchestrator.language.yaml_reader import read_yaml
from orchestrator.settings import child_environment
from tests.conftest import ROOT

CAPABILITIES = scan().capabilities
EVERYTHING = Path(__file__).parent / "drawn" / "everything.yaml"
DRAWN = [EVERYTHING, *sorted((*(ROOT / "playbooks").glob("*.yaml"), *(ROOT / "docs" / "examples").glob("*.yaml")))]
SOLID = (Form.CARD, Form.PILL, Form.CHIP)
SVG = "{http://www.w3.org/2000/svg}"


def model(path: Path) -> PlaybookDocument:
    return PlaybookDocument.model_validate(read_yaml(path.read_text(encoding="utf-8"), str(path)).data)


def small(steps: str, more: str = "") -> PlaybookDocument:
    return PlaybookDocument.model_validate(read_yaml(f"title: Small\n{more}steps:\n{steps}", "p.yaml").data)


def svg(document: PlaybookDocument) -> str:
    return draw("small", document, CAPABILITIES, "svg")


def mermaid(document: PlaybookDocument) -> str:
    return draw("small", document, CAPABILITIES, "mermaid")


def shown(document: PlaybookDocument) -> str:
    """All text of the picture, as a reader sees it."""
    root = ET.fromstring(svg(document))  # noqa: S314 - our own drawing
    return " ".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))


def areas(path: Path) -> Iterator[Area]:
    picture = read_picture(path.stem, model(path), CAPABILITIES)
    yield picture_area(picture)
    failure = failure_area(picture)
    if failure is not None:
        yield failure


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_no_two_cards_stand_on_each_other(path: Path) -> None:
    """And a frame holds what is in it whole, or leaves it outside."""
    for area in areas(path):
        solid = [box for box in area.boxes if box.form in SOLID]
        frames = [box for box in area.boxes if box.form is Form.FRAME]
        for one, other in combinations(solid, 2):
            assert not _overlap(one, other), (one.rows[0].text, other.rows[0].text)
        for frame in frames:
            for box in (*solid, *frames):
                assert box is frame or not _overlap(frame, box) or _inside(box, frame) or _inside(frame, box)


def _overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def _inside(box: Box, frame: Box) -> bool:
    return (
        frame.x <= box.x
        and box.x + box.width <= frame.x + frame.width
        and frame.y <= box.y
        and box.y + box.height <= frame.y + frame.height
    )


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_no_wire_runs_through_a_card(path: Path) -> None:
    """Those of approvals aside, which may pass behind; all run straight down or across."""
    for area in areas(path):
        solid = [box for box in area.boxes if box.form in SOLID]
        for wire in area.wires:
            for (x1, y1), (x2, y2) in pairwise(wire.points):
                assert x1 == pytest.approx(x2) or y1 == pytest.approx(y2)
                assert not [box.rows[0].text for box in solid if _through(wire, (x1, y1), (x2, y2), box)]


def _through(wire: Wire, start: tuple[float, float], end: tuple[float, float], box: Box) -> bool:
    if wire.style is Style.COVERS:
        return False
    left, right = sorted((start[0], end[0]))
    top, low = sorted((start[1], end[1]))
    return (
        right > box.x + 1 and left < box.x + box.width - 1 and low > box.y + 1 and top < box.y + box.height - 1
    )  # fmt: skip


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_all_is_inside_its_area_and_all_text_inside_its_card(path: Path) -> None:
    """Measured as the layout measures, which is a little wider than fonts are."""
    for area in areas(path):
        for box in area.boxes:
            assert box.x >= -0.01
            assert box.x + box.width <= area.width + 0.01
            assert box.y + box.height <= area.height + 0.01
            for row in box.rows:
                size = width(row.text, SIZES[row.tone], code=row.tone is Tone.CODE)
                assert size <= box.width - (0 if row.centred else row.x) + 0.01, row.text
        for wire in area.wires:
            assert all(-0.01 <= x <= area.width + 0.01 and -0.01 <= y <= area.height + 0.01 for x, y in wire.points)


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
@pytest.mark.parametrize("form", ["svg", "mermaid"])
def test_every_step_is_drawn(path: Path, form: str) -> None:
    """By its name, or by its id, or by the capability."""
    document = model(path)
    drawn = draw(path.stem, document, CAPABILITIES, form)  # type: ignore[arg-type]
    if form == "svg":
        drawn = "".join(ET.fromstring(drawn).itertext())  # noqa: S314 - our own drawing
    plain = re.sub(r"\s+", " ", re.sub(r"#(\d+);", lambda found: chr(int(found.group(1))), drawn))
    for step in (*_all(document.steps), *_all(document.on_failure)):
        name = step.get("name") or step.get("id", "").replace("_", " ") or step.get("action", "")
        if not {"parallel", "if_", "if", "switch", "stop"} & step.keys():  # these show what they say, not their ids
            assert name in plain


def _all(steps: object) -> Iterator[dict[str, object]]:
    """Every step in the document, as its author wrote it."""
    if isinstance(steps, tuple):
        for one in steps:
            yield one.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
            for name in ("do", "parallel", "then", "else_"):
                yield from _all(getattr(one, name, ()))


def test_the_drawing_of_everything_names_each_of_its_parts() -> None:
    """What starts it, who is asked, what silence means, what is undone, what follows a failure."""
    text = shown(model(EVERYTHING))
    for part in (
        "a person, by hand", "the clock", "0 6 * * 1-5 Europe/Amsterdam", "an alert", "joins the open run",
        "shadow: nothing is sent", "owner soc", "5 open runs at most", "hours: number = 4",
        "asks every integration", "tried up to 5 times", "if it fails", "if an item fails",
        "if it fails, the run goes on", "covers block, disable,", "30m of silence: denied", "after 20m soc-lead too",
        "reminded every 10m", "nobody is asked if", "answers by mail", "4h of silence: {verdict: unsure}",
        "at most 30d", "until somebody undoes it", "then undone by itself", "undoes block", "is not waited for",
        "at the same time; the first", "for each address of", "5 at a time", "collects steps.inner.ok",
        "every 30s, at most 20 times", "until alert.time", "2h without one: expired", "otherwise", "yes", "no",
        "malicious", "stop: failure", "if the run fails", "undo all that the run did", "timeout 3h",
        "verdict = steps.verdict.output.",
    ):  # fmt: skip
        assert part in text, part


def test_the_drawing_of_everything_holds_every_kind_of_step() -> None:
    """So that what is tested of it is tested of each."""
    text = EVERYTHING.read_text()
    assert [kind for kind in STEPS if not re.search(rf"\b{kind}:", text)] == []


def test_an_approval_leads_to_what_it_covers_and_to_nothing_else() -> None:
    """Also where that stands inside a loop further down."""
    (main, *_) = areas(EVERYTHING)
    from orchestrator.language.drawing.covering import covering_wires  # noqa: PLC0415 - of this test alone

    named = {box.card.id: box for box in main.boxes if box.card and box.card.id}
    ends = {wire.points[-1] for wire in covering_wires(main)}
    assert ends == {(named[name].x, named[name].middle) for name in ("block", "disable", "inner")}


HOSTILE = """  - id: a
    name: "</text><script>alert(1)</script> & \\"] --> x\\n    click n1 call(1)"
    action: notify.send
    with: {channel: "%%{init: {}}%%", text: x}
  - approval: {ask: "`**x**` #quot; &lt; \\u202Eevil\\u0007 ]]>", covers: [a]}
"""


def test_text_of_a_playbook_means_nothing_in_svg() -> None:
    """It is neither markup nor script, and what turns the direction shows as a mark."""
    text = svg(small(HOSTILE, "why: \"</style><image href='x'/>\"\n"))
    root = ET.fromstring(text)  # noqa: S314 - our own drawing
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "style", "defs", "marker", "path", "rect", "g", "text",
    }  # fmt: skip
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name]
    assert "\u202e" not in text
    assert "\u0007" not in text
    assert "\ufffdevil\ufffd" in text


def test_text_of_a_playbook_means_nothing_in_mermaid() -> None:
    """One line stays one line, and nothing but letters, digits and harmless marks is written as it is."""
    harmless_lines = mermaid(small(HOSTILE.replace("\\n", " "))).count("\n")
    text = mermaid(small(HOSTILE))
    assert text.count("\n") == harmless_lines
    for label in re.findall(r'"([^"]*)"', text):
        inner = re.sub(r"#\d+;|<br/>|</?b>", "", label)
        assert not set(inner) & set("<>\"'`#&;%{}[]()|\\~*"), label


def test_the_same_playbook_gives_the_same_bytes_in_another_process() -> None:
    """Whatever the order in which sets come there."""
    command = [sys.executable, "-m", "orchestrator.cli.main", "graph", str(EVERYTHING), "--form", "svg"]
    runs = []
    for seed in ("1", "2"):
        environment = {**child_environment(), "PYTHONHASHSEED": seed, "PATH": os.environ["PATH"]}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        runs.append(done.stdout)
    assert runs[0] == runs[1]


def test_a_drawing_is_light_and_dark() -> None:
    """It follows the reader's choice, and has its own paper in both."""
    text = svg(model(EVERYTHING))
    assert "prefers-color-scheme:dark" in text
    assert '<rect class="paper"' in text
    assert not re.search(r"(href|url\((?!#)|@import|src=)", text)


def test_the_command_draws_a_playbook_by_its_name() -> None:
    """Of the playbooks' folder, as Mermaid unless told otherwise."""
    command = [sys.executable, "-m", "orchestrator.cli.main", "graph", "contain-brute-force"]
    done = subprocess.run(command, cwd=ROOT, env=child_environment(), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("flowchart TD")


def test_the_command_writes_a_file_in_the_form_that_its_name_asks_for(tmp_path: Path) -> None:
    """`.svg` is a picture, any other name is Mermaid."""
    graph(str(EVERYTHING), output=tmp_path / "deep" / "a.svg")
    graph(str(EVERYTHING), output=tmp_path / "a.mmd")
    assert (tmp_path / "deep" / "a.svg").read_text(encoding="utf-8").startswith("<svg ")
    assert (tmp_path / "a.mmd").read_text(encoding="utf-8").startswith("flowchart TD")


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "no such file"), ("title: x\nsteps: [{acton: x}]\n", "`tocsin check` says which"), ("a: [", "")],
)
def test_what_cannot_be_drawn_is_one_clear_sentence(text: str | None, says: str, tmp_path: Path) -> None:
    """With the file's name and what to do."""
    path = tmp_path / "a.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FilesRefused) as refused:
        graph(str(path))
    assert str(path) in str(refused.value)
    assert says in str(refused.value)


def test_long_text_is_broken_where_a_reader_would() -> None:
    """At blanks, else at dots; what is too long ends in a mark."""
    assert wrap("alert.user and steps.reputation.output.score >= 95", 200, 11.5, code=True) == [
        "alert.user and", "steps.reputation.output.", "score >= 95",
    ]  # fmt: skip
    assert wrap("word " * 100, 100, 12, most=2)[-1].endswith("\u2026")
    assert wrap("", 100, 12) == [""]
    assert all(width(line, 12) <= 100 for line in wrap("x" * 500, 100, 12, most=40))
    assert harmless("a\u202eb\x00c\n\td\u200b") == "a\ufffdb\ufffdc d"
