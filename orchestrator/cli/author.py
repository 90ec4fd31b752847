"""`tocsin schema`, `graph` and `manual`: what helps whoever writes a playbook, or has to understand one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from orchestrator.actions.catalog import scan
from orchestrator.cli.console import say
from orchestrator.errors import FilesRefused, Finding, Place
from orchestrator.language.drawing import Paper, draw
from orchestrator.language.manual import Manual
from orchestrator.language.model import PlaybookDocument
from orchestrator.language.schema import schema_text
from orchestrator.language.yaml_reader import read_yaml
from orchestrator.policy.schema import policy_schema
from orchestrator.settings import load_settings


def schema(*, of: Literal["playbook", "policy"] = "playbook", output: Path | None = None) -> None:
    """Write the JSON schema of playbooks, or of the policy, with which editors complete and explain them.

    Name it in the first line of a playbook: `# yaml-language-server: $schema=./playbook.schema.json`

    Parameters
    ----------
    of
        What the schema is for.
    output
        The file to write, as `playbooks/playbook.schema.json`; printed where none is named.
    """
    capabilities = scan().capabilities
    _write(schema_text(capabilities) if of == "playbook" else policy_schema(capabilities), output)


def graph(playbook: str, *, form: Paper = "mermaid", output: Path | None = None) -> None:
    """Draw a playbook: what starts it, its steps, who is asked, what is done when something fails.

    Parameters
    ----------
    playbook
        A file, or the name of a playbook of the playbooks' folder.
    form
        `mermaid`, which many pages and editors draw by themselves, or `svg`, a picture for light and dark pages.
    output
        The file to write; printed where none is named. A name that ends in `.svg` asks for that form.
    """
    path = _found(playbook)
    if output is not None and output.suffix == ".svg":
        form = "svg"
    _write(draw(path.stem, _read(path), scan().capabilities, form), output)


def manual(*, output: Path | None = None, examples: Path = Path("docs/examples")) -> None:
    """Write the page that says everything of the playbook language, for the capabilities of this installation.

    Parameters
    ----------
    output
        The file to write, as `docs/language.md`, with its pictures beside it; printed where none is named.
    examples
        The folder of the example playbooks.
    """
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(examples.glob("*.yaml"))}
    if not texts:
        raise FilesRefused([Finding(Place(str(examples), 1), "no_folder", "no example playbooks there")])
    made = Manual(scan().capabilities, texts)
    _write(made.text(), output)
    if output is not None:
        for place, drawing in made.pictures().items():
            _write(drawing, output.parent / place)


def _found(playbook: str) -> Path:
    """The file that is meant."""
    named = load_settings().playbooks / f"{playbook}.yaml"
    for path in (Path(playbook), named):
        if path.is_file():
            return path
    raise FilesRefused([Finding(Place(playbook, 1), "unreadable", f"no such file, and there is no {named} either")])


def _read(path: Path) -> PlaybookDocument:
    """The model of a file. One with mistakes that only the checker sees can be drawn all the same."""
    try:
        document = read_yaml(path.read_text(encoding="utf-8"), str(path))
        return PlaybookDocument.model_validate(document.data)
    except ValidationError as error:
        message = f"cannot be drawn, {error.error_count()} things in it are not of the language"
        raise FilesRefused([Finding(Place(str(path), 1), "shape", message, "`tocsin check` says which")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise FilesRefused([Finding(Place(str(path), 1), "unreadable", f"cannot be read: {error}")]) from None


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    say(f"{output} is written", "green")
