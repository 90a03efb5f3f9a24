# SPDX-License-Identifier: GPL-2.0-only
"""Functions of files whose C is not read: the model has them by hand, and its docstrings cite them."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from pfncache.series.change import ItemKind, SourceChange, Status
from pfncache.series.items import tokens
from pfncache.series.trees import MODEL

CITATION = re.compile(r"^\s*Linux: (.*?)(?=^\s*\w+: |\Z)", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"\b[a-z0-9_]+(?:/[\w.-]+)*/[\w.-]+\.[ch]\b")
FUNCTION = re.compile(r"\b(\w+)\(\)")
BY_HAND = "the model has it by hand, and its C is not read"


@functools.cache
def citations() -> dict[str, frozenset[str]]:
    """Return the functions that the model's docstrings cite, by the kernel's file; some may be in another of them."""
    found: dict[str, set[str]] = {}
    for path in sorted(MODEL.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for cited in CITATION.findall(ast.get_docstring(node) or ""):
                    for file in FILE.findall(cited):
                        found.setdefault(file, set()).update(FUNCTION.findall(cited))
    return {file: frozenset(names) for file, names in sorted(found.items())}


def changes_by_hand(old: Path, new: Path, read: Collection[str]) -> Iterator[SourceChange]:
    """Yield the functions that differ between two trees, in files that the model cites and that are not `read` as C."""
    for file, names in citations().items():
        if file in read or not (old / file).is_file():
            continue
        before = (old / file).read_text(errors="replace")
        if not (new / file).is_file():
            yield _change("file", file, file, 0, "removed")
            continue
        after = (new / file).read_text(errors="replace")
        if before == after:
            continue
        for name in sorted(names):
            (line, was), (at, now) = (definition(text, name) for text in (before, after))
            if was != now:
                how = "changed" if was and now else "removed" if was else "new"
                yield _change(ItemKind.FUNCTION, name, file, at or line, how)


def _change(kind: str, name: str, file: str, line: int, how: str) -> SourceChange:
    return SourceChange(kind=kind, name=name, file=file, line=line, how=how, status=Status.BY_HAND, what=BY_HAND)


def definition(text: str, name: str) -> tuple[int, str]:
    """Return the line of a function's first definition in a C file and the tokens of all; 0 and nothing without one."""
    pattern = rf"^(?:[A-Za-z_][^\n;{{}}]*)?\b{name}\([^;{{}}]*\)\s*\n\{{.*?^\}}"
    found = list(re.finditer(pattern, text, re.MULTILINE | re.DOTALL))
    line = text.count("\n", 0, found[0].start()) + 1 if found else 0
    return line, "\n".join(tokens(match[0]) for match in found)
