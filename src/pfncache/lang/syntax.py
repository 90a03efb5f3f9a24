# SPDX-License-Identifier: GPL-2.0-only
"""Syntax trees of functions whose source is not Python: a front end registers them, the compiler takes them from here."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import CodeType


@dataclass(frozen=True)
class Syntax:
    """The syntax tree of a function in the modelling language, with the line numbers of the file it was made from."""

    tree: ast.FunctionDef
    file: str


class _Identity:
    """A code object by identity: two that are equal may come from different lines."""

    def __init__(self, code: CodeType) -> None:
        self.code = code

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.code is other.code

    def __hash__(self) -> int:
        return id(self.code)


_registered: dict[_Identity, Syntax] = {}


def register(code: CodeType, tree: ast.FunctionDef, file: str) -> None:
    """Register the syntax tree that `code` was compiled from, and the file whose lines its nodes have."""
    _registered[_Identity(code)] = Syntax(tree, file)


def syntax_of(code: CodeType) -> Syntax | None:
    """Return the registered syntax tree of a code object; None for Python source."""
    return _registered.get(_Identity(code))
