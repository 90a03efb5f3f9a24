# SPDX-License-Identifier: GPL-2.0-only
"""Adapters: functions of the model that call the C's function, which takes or returns something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import unwrap
from types import FunctionType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
FLAGS = ("_given", "_set", "_is")
"""Endings of parameters that the C does not have."""
_adapted: dict[Callable[..., Any], tuple[str, tuple[str, ...]]] = {}


def adapts(c_function: str, *parameters: str) -> Callable[[F], F]:
    """Mark an adapter as one to a C function with these parameters: other versions of the kernel have others."""

    def mark(function: F) -> F:
        _adapted[function] = c_function, parameters
        return function

    return mark


def adapters(classes: tuple[type, ...], functions: Mapping[str, FunctionType]) -> dict[str, FunctionType]:
    """Return the adapters whose C functions are there, with the parameters that they pass."""
    found: dict[str, FunctionType] = {}
    for owner in classes:
        for name, function in vars(owner).items():
            plain = unwrap(function)
            if name in found or not isinstance(plain, FunctionType):
                continue
            called = [word for word in plain.__code__.co_names if word.startswith("c_")]
            if all(word in functions for word in called) and _fits(function, functions):
                found[name] = function
    return found


def _fits(function: Any, functions: Mapping[str, FunctionType]) -> bool:
    if function not in _adapted:
        return True
    name, parameters = _adapted[function]
    code = functions[f"c_{name}"].__code__
    own = code.co_varnames[1 : code.co_argcount]
    return parameters == tuple(word for word in own if not word.endswith(FLAGS))
