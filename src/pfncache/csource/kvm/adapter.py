# SPDX-License-Identifier: GPL-2.0-only
"""Adapters: functions of the model that call the C's function, which takes or returns something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import unwrap
from types import FunctionType
from typing import Any, TypeVar

from pfncache.csource.load import Loaded
from pfncache.csource.result import Refusal
from pfncache.lang.part_of import linux_name

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


def unadapted(kernel: type, loaded: Loaded, functions: Mapping[str, FunctionType]) -> dict[str, Refusal]:
    """Return the C functions that the model would go on to call by hand, as they have another form and no adapter."""
    found: dict[str, Refusal] = {}
    for name, c in loaded.translated.items():
        own = c.method.removeprefix("c_")
        if c.method == own or own in functions or not hasattr(kernel, own):
            continue
        callers = sorted(_callers(kernel, own, functions, loaded))
        if callers:
            what = f"the model's {own}() takes or returns something else, and {callers[0]}() calls it"
            hint = "write an adapter"
            found[name] = Refusal(name=name, file=c.file, line=c.line, what=what, hint=hint)
    return found


def _callers(kernel: type, name: str, functions: Mapping[str, FunctionType], loaded: Loaded) -> set[str]:
    """Return the functions by hand that call one, but parts of functions that are translated."""
    found = set()
    for layer in kernel.__mro__:
        for caller, function in vars(layer).items():
            code = getattr(unwrap(function), "__code__", None) if callable(function) else None
            if code is None or name not in code.co_names or caller in functions:
                continue
            if linux_name(code) not in loaded.translated:
                found.add(caller)
    return found
