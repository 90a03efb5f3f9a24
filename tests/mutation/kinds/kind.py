# SPDX-License-Identifier: GPL-2.0-only
"""The kinds of mutants, and a change of a function's syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from pfncache.check.compile.source import FunctionSource

Edit = Callable[[ast.FunctionDef], None]
"""Changes a tree."""
NodeEdit = Callable[[ast.FunctionDef, ast.AST], None]
"""Changes a tree at one of its nodes."""


class Kind(StrEnum):
    """What is wrong with a mutant."""

    MISSING_LOCK = "missing lock"
    LOCK_TOO_SHORT = "lock too short"
    LOCK_TOO_LONG = "lock too long"
    MISSING_TEST = "missing test"
    OFF_BY_ONE = "off by one"
    WRONG_ORDER = "wrong order"
    WRONG_SLOT = "wrong slot"
    MISSING_NOTIFICATION = "missing notification"
    MISSING_FLUSH = "missing flush"
    FORGOTTEN_ZAP = "forgotten zap"
    FORGOTTEN_WAKE = "forgotten wake"
    FORGOTTEN_RELEASE = "forgotten release"
    LIFETIME = "lifetime"
    ERROR_PATH = "error path"
    REFUSES_EVERYTHING = "refuses everything"
    LOST_WRITE = "lost write"
    """What is stored or marked dirty is forgotten; of the C alone."""


@dataclass(frozen=True)
class Change:
    """A change of a function."""

    kind: Kind
    what: str
    """What is changed, in words and source; a part of the mutant's name."""
    line: int
    """The line of the function, from 1, that has to be executed for the change to matter."""
    edit: Edit


def change_at(kind: Kind, what: str, source: FunctionSource, node: ast.AST, edit: NodeEdit) -> Change:
    """Return a change of a function at one of its nodes."""
    number, line = _places(source.tree)[node]

    def apply(tree: ast.FunctionDef) -> None:
        edit(tree, next(other for i, other in enumerate(ast.walk(tree)) if i == number))

    return Change(kind, what, line, apply)


@lru_cache(maxsize=16)
def _places(tree: ast.FunctionDef) -> dict[ast.AST, tuple[int, int]]:
    """Return for each node its number in a walk, and the first line of the innermost statement that has it."""
    lines: dict[ast.AST, int] = {tree: tree.body[0].lineno}
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            lines[child] = child.lineno if isinstance(child, ast.stmt) else lines[node]
    return {node: (number, lines[node]) for number, node in enumerate(ast.walk(tree))}
