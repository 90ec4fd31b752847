"""From source to Jinja's tree, refused where it is too large, and what a tree names before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.lexer import TokenStream

from orchestrator.errors import ExpressionError
from orchestrator.language.expressions import limits
from orchestrator.language.expressions.nodes import path_of
from orchestrator.language.expressions.tools import called, is_literal, literal

Path = tuple[str, ...]
BEFORE, AFTER = "{{ (", "\n) }}"
"""what a bare expression is parsed in: in brackets, so that it may be one only"""


class _Parser(Environment):
    """Jinja's parser, with the place in the source where nodes and errors have only their line.

    The place counts characters from 1, those aside that stand before what the author wrote.
    """

    def __init__(self, before: str = "") -> None:
        super().__init__(autoescape=False, keep_trailing_newline=True)
        self._shift = 1 - len(before)

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        tokens = self._placed(source, self.lexer.tokeniter(source, name, filename, state))
        return TokenStream(self.lexer.wrap(tokens, name, filename), name, filename)

    def _placed(self, source: str, tokens: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
        place = 0
        for _, kind, value in tokens:
            place = max(place, source.find(value, place))
            yield place + self._shift, kind, value
            place += len(value)


_TEMPLATES = _Parser()
_EXPRESSIONS = _Parser(BEFORE)
_APPLYING = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}


def bounded(source: str) -> None:
    """Raise where the source is longer than an author would write."""
    if len(source) > limits.SOURCE:
        raise ExpressionError(f"longer than {limits.SOURCE} characters")


def parse_expression(source: str) -> nodes.Expr:
    """The one expression that stands bare in the source."""
    bounded(source)
    if not source.strip():
        raise ExpressionError("an empty expression")
    if "{{" in source or "{%" in source:
        raise ExpressionError("an expression stands here bare, without {{ }}")
    expression = single(_parsed(_EXPRESSIONS, BEFORE + source + AFTER, source))
    if expression is None:
        raise ExpressionError("not one expression")
    return expression


def parse_template(source: str) -> list[nodes.Node]:
    """The parts of a template."""
    return _parsed(_TEMPLATES, source, source)


def _parsed(parser: _Parser, text: str, source: str) -> list[nodes.Node]:
    try:
        tree = parser.parse(text)
    except TemplateSyntaxError as error:
        line, column = line_and_column(source, error.lineno)
        message = "something is missing at its end" if error.lineno > len(source) else error.message
        raise ExpressionError(f"cannot be read: {message}", line=line, column=column) from None
    except RecursionError:
        raise ExpressionError(f"nested more than {limits.DEPTH} deep") from None
    except ValueError:  # the lexer's int() of thousands of digits
        raise ExpressionError("holds a number of more than 64 bits") from None
    _count(tree)
    return list(tree.body)


def _count(tree: nodes.Node) -> None:
    """Walk without recursion: a tree that is too large or too deep is refused before anything recurses over it."""
    for seen, (_, depth) in enumerate(_every_node([tree])):
        if seen > limits.NODES:
            raise ExpressionError(f"has more than {limits.NODES} parts")
        if depth > limits.DEPTH + 3:
            raise ExpressionError(f"nested more than {limits.DEPTH} deep")


def _every_node(body: Iterable[nodes.Node]) -> Iterator[tuple[nodes.Node, int]]:
    waiting = [(node, 0) for node in body]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting += [(child, depth + 1) for child in node.iter_child_nodes()]


def weight(body: Iterable[nodes.Node]) -> int:
    """How many steps one turn over this takes at least: one a node."""
    return sum(1 for _ in _every_node(body))


def single(body: list[nodes.Node]) -> nodes.Expr | None:
    """The one expression that a template is, blanks around it aside."""
    if len(body) != 1 or not isinstance(body[0], nodes.Output):
        return None
    found = [part for part in body[0].nodes if not (isinstance(part, nodes.TemplateData) and not part.data.strip())]
    if len(found) == 1 and not isinstance(found[0], nodes.TemplateData):
        return found[0]
    return None


def calls_of(body: Iterable[nodes.Node]) -> frozenset[str]:
    """The filters, tests and functions that are used, those that `select` and its kin apply too."""
    found: set[str] = set()
    for node, _ in _every_node(body):
        if isinstance(node, nodes.Filter | nodes.Test):
            found.add(node.name)
            place = _APPLYING.get(node.name, len(node.args))
            if place < len(node.args) and is_literal(node.args[place]):
                found.add(str(literal(node.args[place])))
        elif isinstance(node, nodes.Call):
            found.add(called(node) or "")
    return frozenset(found - {""})


def paths_of(body: Iterable[nodes.Node]) -> frozenset[Path]:
    """Every path that is named, up to the first computed place; names that a loop makes are not of the outside."""
    found: set[Path] = set()
    for node in body:
        _walk(node, frozenset(), found)
    return frozenset(found)


def _walk(node: nodes.Node, mine: frozenset[str], found: set[Path]) -> None:
    if isinstance(node, nodes.For):
        _walk(node.iter, mine, found)
        names = mine | {"loop"} | ({node.target.name} if isinstance(node.target, nodes.Name) else set())
        for child in (*node.body, *node.else_, *([node.test] if node.test else [])):
            _walk(child, names, found)
        return
    path = path_of(node)
    if path is not None:
        if path[0] not in mine:
            found.add(path[: path.index("*")] if "*" in path else path)
        for argument in _computed(node):
            _walk(argument, mine, found)
        return
    for child in node.iter_child_nodes():
        if not (isinstance(node, nodes.Call) and child is node.node and called(node) != "now"):
            _walk(child, mine, found)


def _computed(node: nodes.Node) -> Iterator[nodes.Node]:
    """What stands in the brackets along a path."""
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getitem):
            yield node.arg
        node = node.node


def line_and_column(source: str, place: int) -> tuple[int, int]:
    """Where the place that a node has stands in the source, from 1; its end for what is missing there."""
    before = source[: max(0, min(place - 1, len(source)))]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
