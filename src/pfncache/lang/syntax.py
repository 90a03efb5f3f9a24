# SPDX-License-Identifier: GPL-2.0-only
"""Syntax trees of functions whose source is not Python: a front end registers them for the compiler."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import CodeType


@dataclass(frozen=True)
class Syntax:
    """The syntax tree of a function in the modelling language, with the line numbers of the file it was made from."""

    tree: ast.FunctionDef
    file: str
    """Path of the file, for its lines."""


class _Identity:
    """A code object by identity: two that are equal may come from different lines."""

    def __init__(self, code: CodeType) -> None:
        self.code = code

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.code is other.code

    def __hash__(self) -> int:
        return id(self.code)


_registered: dict[_Identity, Syntax] = {}
_shown: dict[str, str] = {}


def register(code: CodeType, tree: ast.FunctionDef, file: str, shown: str) -> None:
    """Register the syntax tree that `code` was compiled from, and the file whose lines its nodes have.

    `shown` is the name of the file for people.
    """
    _registered[_Identity(code)] = Syntax(tree, file)
    _shown[file] = shown


def shown_name(file: str) -> str | None:
    """Return the name for people of a file that syntax trees were made from; None for any other file."""
    return _shown.get(file)


def syntax_of(code: CodeType) -> Syntax | None:
    """Return the registered syntax tree of a code object; None for Python source."""
    return _registered.get(_Identity(code))
