# SPDX-License-Identifier: GPL-2.0-only
"""Edits of a C file by function and place, so that a test can make a patch of a kernel's source without its text.

A place is the words that a statement has in it: ``place("write_lock_irq lock")`` is the first statement with both.
"""

from __future__ import annotations

import difflib
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tree_sitter import Node

from pfncache.csource.kvm.joined import tables
from pfncache.csource.parse import SourceFile, child, parse, text_of, walk
from tests.csource.kvm.trees import body_of

Edit = Callable[[str, str], str]
"""Takes the text of a file and the name of a function, and returns the text with the function changed."""
SIMPLE = {"expression_statement", "return_statement", "goto_statement", "declaration"}


@dataclass(frozen=True)
class Place:
    """The nth statement of a function that has some words in it; of an if statement, in its condition."""

    words: frozenset[str]
    nth: int


def place(words: str, nth: int = 1) -> Place:
    """Return the place of the nth statement with these words."""
    return Place(frozenset(words.split()), nth)


def drop(*places: Place) -> Edit:
    """Remove statements."""
    return lambda text, function: _replaced(text, [(_simple(text, function, p), ";") for p in places])


def insert(before: Place, ours: str) -> Edit:
    """Insert a statement of ours before another one."""

    def edit(text: str, function: str) -> str:
        node = _simple(text, function, before)
        return _replaced(text, [(node, f"{ours} {_original(text, node)}")])

    return edit


def both(first: Edit, second: Edit) -> Edit:
    """Make an edit, and another one in what it gives."""
    return lambda text, function: second(first(text, function), function)


def swap(first: Place, second: Place) -> Edit:
    """Exchange two statements."""

    def edit(text: str, function: str) -> str:
        one, other = _simple(text, function, first), _simple(text, function, second)
        return _replaced(text, [(one, _original(text, other)), (other, _original(text, one))])

    return edit


def condition(at: Place, ours: str) -> Edit:
    """Replace the condition of an if statement, or that of a do loop, by one of ours."""
    return lambda text, function: _replaced(text, [(_condition(text, function, at), f"({ours})")])


def part(at: Place, words: str, ours: str) -> Edit:
    """Replace the largest operand of ``&&`` and ``||`` in a condition that has no other words by one of ours."""

    def edit(text: str, function: str) -> str:
        wanted = frozenset(words.split())
        whole = _condition(text, function, at)
        operands = (n for n in walk(whole) if n != whole and n.parent is not None and _joins(n.parent))
        return _replaced(text, [(next(n for n in operands if _words(n) == wanted), ours)])

    return edit


def substitute(pattern: str, ours: str) -> Edit:
    """Replace the first text in a function that a pattern matches, which may be no statement, by one of ours."""

    def edit(text: str, function: str) -> str:
        start, end = body_of(text, function)
        body, count = re.subn(pattern, lambda _: ours, text[start:end], count=1)
        assert count, f"{function}() has nothing like {pattern}"
        return text[:start] + body + text[end:]

    return edit


def before_function(ours: str) -> Edit:
    """Insert a definition of ours before that of a function."""

    def edit(text: str, function: str) -> str:
        found = re.search(rf"^[\w \t*]*\b{function}\([^;{{]*\)\n\{{", text, re.M)
        assert found is not None, f"there is no function {function}()"
        return f"{text[: found.start()]}{ours}\n{text[found.start() :]}"

    return edit


def everywhere(new: str) -> Edit:
    """Give a function another name, in the whole file."""
    return lambda text, function: re.sub(rf"\b{function}\b", new, text)


@dataclass(frozen=True)
class Change:
    """An edit of a function of a file."""

    file: str
    function: str
    edit: Edit

    def apply(self, tree: Path) -> None:
        """Change the file in a tree."""
        path = tree / self.file
        path.write_text(self.edit(path.read_text(), self.function))


def mail(tree: Path, folder: Path, changes: Sequence[Change], name: str = "change") -> Path:
    """Write a patch mail with changes of files of a tree, which stays as it is. Returns its path."""
    files = sorted({change.file for change in changes})
    for file in files:
        (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / file, folder / name / file)
    for change in changes:
        change.apply(folder / name)
    path = folder / f"{name}.patch"
    path.write_text(diff(tree, folder / name, files, f"KVM: {name}"))
    return path


def diff(before: Path, after: Path, files: Sequence[str], subject: str) -> str:
    """Return what differs in files of two trees as a mail with a patch."""
    lines: list[str] = []
    for name in files:
        old, new = ((tree / name).read_text().splitlines(keepends=True) for tree in (before, after))
        lines += difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
    return f"From: A Tester <tester@example.org>\nSubject: [PATCH] {subject}\n\n{''.join(lines)}"


def _function(text: str, name: str) -> Node:
    known = tables()
    source: SourceFile = parse(text, "edited.c", known.config, {*known.calls, *known.each, *known.names})
    assert name in source.functions, f"there is no function {name}()"
    return source.functions[name].body


def _words(node: Node) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text_of(node)))


def _chosen(nodes: list[Node], at: Place, function: str) -> Node:
    found = [node for node in nodes if at.words <= _words(node)]
    assert len(found) >= at.nth, f"{function}() has {len(found)} places with {', '.join(sorted(at.words))}"
    return found[at.nth - 1]


def _simple(text: str, function: str, at: Place) -> Node:
    return _chosen([n for n in walk(_function(text, function)) if n.type in SIMPLE], at, function)


def _condition(text: str, function: str, at: Place) -> Node:
    body = _function(text, function)
    kinds = ("if_statement", "do_statement", "while_statement")
    return _chosen([child(n, "condition") for n in walk(body) if n.type in kinds], at, function)


def _joins(node: Node) -> bool:
    operator = node.child_by_field_name("operator")
    return node.type == "binary_expression" and operator is not None and text_of(operator) in ("&&", "||")


def _replaced(text: str, changes: list[tuple[Node, str]]) -> str:
    """Return the text with nodes replaced, the last one first, so that the places of the others stay right."""
    lines = text.split("\n")
    for node, ours in sorted(changes, key=lambda change: change[0].start_point, reverse=True):
        start, end = _span(lines, node)
        joined = "\n".join(lines)
        lines = (joined[:start] + ours + joined[end:]).split("\n")
    return "\n".join(lines)


def _original(text: str, node: Node) -> str:
    return text[slice(*_span(text.split("\n"), node))]


def _span(lines: list[str], node: Node) -> tuple[int, int]:
    """Return where a node is in the original text, which may have comments and other blanks in it."""
    offset = sum(len(line) + 1 for line in lines[: node.start_point[0]])
    tokens = re.findall(r'"(?:\\.|[^"\\])*"|\w+|[^\w\s]', text_of(node))
    gap = r"(?:\s|/\*(?:[^*]|\*(?!/))*\*/)*"
    found = re.compile(gap.join(map(re.escape, tokens))).search("\n".join(lines), offset)
    assert found is not None, f"the text has no {text_of(node)!r}"
    return found.start(), found.end()
