# SPDX-License-Identifier: GPL-2.0-only
"""Excerpts of source files, as tokens that a page colours."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pygments.lexer import Lexer
from pygments.lexers.c_cpp import CLexer
from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType

AROUND = 9
"""Lines before and after one that is shown, as in source.mjs."""
CLASSES = (
    (Comment, "c"),
    (String, "s"),
    (Number, "n"),
    (Keyword, "k"),
    (Name.Function, "f"),
    (Name.Class, "f"),
    (Name.Decorator, "d"),
    (Operator.Word, "k"),
)
"""Kinds of tokens that are coloured, and their class in the page; the first one that fits counts."""
COLOURS = {
    "c": ("#57606a", "#9aa4b0"),
    "s": ("#0a5c36", "#8fd6a8"),
    "n": ("#8a3b00", "#ffb27a"),
    "k": ("#8b1a6b", "#f5a3dc"),
    "f": ("#0b57a4", "#7cb7ff"),
    "d": ("#6f3aa8", "#cfa8ff"),
}
"""By class: the colour on a light ground and on a dark one."""

Tokens = list[str]
"""Of a line: class and text of each token in turn; "" for one that is not coloured."""
Sources = dict[str, dict[str, Tokens]]
"""By file, as in the kernel tree: by line number, the tokens."""


def style() -> str:
    """Return the style sheet of the tokens."""
    return "\n".join(f".t-{name} {{ color: light-dark({light}, {dark}); }}" for name, (light, dark) in COLOURS.items())


def add_excerpt(sources: Sources, file: str, path: str, line: int) -> None:
    """Add the lines around one of a file; a file that is gone has none."""
    lines = _lines(path)
    known = sources.setdefault(file, {})
    for number in range(max(1, line - AROUND), min(len(lines), line + AROUND) + 1):
        known[str(number)] = lines[number - 1]


@lru_cache(maxsize=256)
def _lines(path: str) -> list[Tokens]:
    """Return the lines of a file as tokens."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lexer: Lexer = (CLexer if path.endswith((".c", ".h")) else PythonLexer)(stripnl=False)
    return list(_split(lexer, text))


def _split(lexer: Lexer, text: str) -> Iterator[Tokens]:
    line: Tokens = []
    for kind, value in lexer.get_tokens(text):
        first, *rest = value.split("\n")
        _append(line, kind, first)
        for part in rest:
            yield line
            line = []
            _append(line, kind, part)


def _append(line: Tokens, kind: _TokenType, text: str) -> None:
    """Add a token to a line; neighbours of one class are one."""
    name = next((name for family, name in CLASSES if kind in family), "")
    if text and line and line[-2] == name:
        line[-1] += text
    elif text:
        line += [name, text]
