# SPDX-License-Identifier: GPL-2.0-only
"""Map functions of the model to functions of Linux, for traces, tables and errors.

A function of the model has the name of the Linux function that it models. Python mangles names that begin with two
underscores, so such a function has one less. A function that Linux does not have is marked as a part of one.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

CALLER = ""
"""The name of a function whose lines belong to its caller."""
_parts: dict[CodeType, str] = {}


def part_of(linux_function: str) -> Callable[[F], F]:
    """Mark a function that Linux does not have: its lines are lines of `linux_function`, which Linux has."""

    def mark(function: F) -> F:
        _parts[_code(function)] = linux_function
        return function

    return mark


def part_of_caller(function: F) -> F:
    """Mark a function that Linux does not have: its lines are lines of each of its callers."""
    _parts[_code(function)] = CALLER
    return function


def linux_name(code: CodeType) -> str:
    """Return the Linux function that a code object belongs to; CALLER where its lines belong to its caller."""
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
