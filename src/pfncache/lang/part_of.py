# SPDX-License-Identifier: GPL-2.0-only
"""Which function of Linux a function of the model is, for traces, tables and errors.

A function of the model has the name of the Linux function that it is. Python has no room for a name that begins with
two underscores: such a function has one less. A function that Linux does not have says which one it is a part of.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

CALLER = ""
"""The name of a function that is a part of whichever function calls it."""
_parts: dict[CodeType, str] = {}


def part_of(linux_function: str) -> Callable[[F], F]:
    """Mark a function that Linux does not have: its lines are lines of `linux_function`, which Linux has."""

    def mark(function: F) -> F:
        _parts[_code(function)] = linux_function
        return function

    return mark


def part_of_caller(function: F) -> F:
    """Mark a function that Linux does not have, and that stands for lines of each function that calls it."""
    _parts[_code(function)] = CALLER
    return function


def linux_name(code: CodeType) -> str:
    """Return the Linux function that a code object belongs to; CALLER for a part of its caller."""
    name = _parts.get(code)
    if name is not None:
        return name
    return f"_{code.co_name}" if code.co_name.startswith("_") else code.co_name


def is_part(function: Callable[..., Any]) -> bool:
    """Return whether a function is marked as one that Linux does not have."""
    return _code(function) in _parts


def _code(function: Any) -> CodeType:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code: CodeType = function.__code__
    return code
