# SPDX-License-Identifier: GPL-2.0-only
"""The functions, structures and macros of a C file as text, so that two versions of the file can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pfncache.csource.errors import SourceError
from pfncache.csource.kvm.joined import tables
from pfncache.csource.lexer import compiled_lines, prepare, without_comments
from pfncache.csource.parse import SourceFile, line_of, parse, text_of
from pfncache.series.change import ItemKind

TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\w+|[^\w\s]')
STATEMENT = re.compile(r"[;{}]")


@dataclass(frozen=True)
class Item:
    """A definition in a C file."""

    kind: ItemKind
    name: str
    line: int
    text: str
    """Its tokens, without comments, separated by blanks."""

    @property
    def is_function_like(self) -> bool:
        """True for a macro with arguments."""
        return self.kind is ItemKind.MACRO and self.text.startswith("Macro(")

    @property
    def statements(self) -> list[str]:
        """The statements of a function, in the order of the text."""
        return [part.strip() for part in STATEMENT.split(self.text)]


def tokens(text: str) -> str:
    """Return C without comments, its tokens separated by blanks."""
    return " ".join(TOKEN.findall(without_comments(text)))


def items_of(text: str, file: str) -> dict[tuple[ItemKind, str], Item]:
    """Return the definitions of a C file or header. Raises SourceError for text that is no C."""
    known = tables()
    keep = frozenset({*known.calls, *known.each, *known.names})
    prepared = prepare(text, known.config, keep, file)
    _require_balance(prepared.text, file)
    source = parse(text, file, known.config, keep)
    return {(item.kind, item.name): item for item in _items(source, text, prepared.text, prepared.macros)}


def _items(source: SourceFile, text: str, prepared: str, macros: object) -> Iterator[Item]:
    for name, function in source.functions.items():
        yield Item(ItemKind.FUNCTION, name, function.line, tokens(text_of(function.node)))
    for name, error in source.refused.items():
        yield Item(ItemKind.FUNCTION, name, error.line, _span(prepared, error.line))
    for name, members in source.structs.items():
        yield Item(ItemKind.STRUCT, name, _line(text, rf"struct\s+{name}\s*\{{"), repr(list(members.items())))
    words = {n: repr(value) for n, value in (macros.items() if isinstance(macros, dict) else ())}
    for name, body in {**source.constants, **words}.items():
        yield Item(ItemKind.MACRO, name, _line(text, rf"#\s*define\s+{name}\b"), body)
    for name, value in source.enumerators.items():
        if name not in source.constants:
            yield Item(ItemKind.ENUMERATOR, name, _line(text, rf"\b{name}\b"), str(value))
    for name, node in source.statics.items():
        yield Item(ItemKind.VARIABLE, name, line_of(node), tokens(text_of(node)))


def _line(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    return text.count("\n", 0, found.start()) + 1 if found is not None else 1


def _span(text: str, line: int) -> str:
    """Return the text around a line, between the ends of the functions before and after it."""
    lines = text.split("\n")
    first = next((n for n in range(line - 2, -1, -1) if lines[n].startswith("}")), -1) + 1
    last = next((n for n in range(line - 1, len(lines)) if lines[n].startswith("}")), len(lines) - 1)
    return tokens("\n".join(lines[first : last + 1]))


def _require_balance(text: str, file: str) -> None:
    """Require that each function's braces are closed where it ends, as kernel style has them in the first column."""
    depth, opened = 0, 1
    for number, line in enumerate(re.sub(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", "0", text).split("\n"), 1):
        if line.startswith("{") and depth:
            raise SourceError(file, opened, "a brace that this line opens is not closed")
        for character in line:
            if character == "{":
                opened = number if depth == 0 else opened
                depth += 1
            elif character == "}":
                depth -= 1
        if depth < 0:
            raise SourceError(file, number, "a brace is closed that is not open")
    if depth:
        raise SourceError(file, opened, "a brace that this line opens is not closed")


def not_compiled(old: str, new: str, file: str) -> list[int]:
    """Return the lines of `new` that `old` does not have and that the configuration leaves out."""
    before = {line.strip() for line in without_comments(old).split("\n")}
    plain = without_comments(new)
    kept = compiled_lines(plain, tables().config, file).text.split("\n")
    found, continued = [], False
    for number, (line, left) in enumerate(zip(plain.split("\n"), kept, strict=False), 1):
        directive = line.lstrip().startswith("#") or continued
        continued = directive and line.rstrip().endswith("\\")
        if line.strip() and not directive and not left.strip() and line.strip() not in before:
            found.append(number)
    return found
