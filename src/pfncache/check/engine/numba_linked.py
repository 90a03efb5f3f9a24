# SPDX-License-Identifier: GPL-2.0-only
"""Native functions that are optimized and translated to machine code once for each entry point, not for each function.

Numba optimizes each function by itself, generates its machine code, and does the same again in every function that
calls it, and in their callers. Here a function is LLVM IR alone, which is linked into its native callers. What Python
calls is an entry point: a function of one line that calls this one, and the only place where LLVM works on all of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numba._dynfunc
import numba.core.codegen
import numba.core.compiler

Function = TypeVar("Function", bound=Callable[..., Any])
_numba: Any = numba
_codegen: Any = numba.core.codegen
_compiler: Any = numba.core.compiler
_make_function: Any = _numba._dynfunc.make_function


class LinkedLibrary(_codegen.JITCodeLibrary):  # type: ignore[misc]
    """The IR of a function and of those that it calls, for their callers to optimize."""

    def _optimize_final_module(self) -> None:
        """Leave that to the entry points."""

    def _finalize_final_module(self) -> None:
        """As the base class, but for machine code."""
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class _FixedFlags(_compiler.Flags):  # type: ignore[misc]
    """Flags that do not change any more. Numba compares them for each operation to which it gives a type."""

    def __init__(self, flags: Any) -> None:
        super().__init__(flags)
        self._options = super().values()
        self._hash: int = super().__hash__()

    def values(self) -> Any:
        """Return all options."""
        return self._options

    def __eq__(self, other: object) -> bool:
        return self is other or bool(super().__eq__(other))

    def __hash__(self) -> int:
        return self._hash


class _Flags(_compiler.Flags):  # type: ignore[misc]
    def copy(self) -> _FixedFlags:
        """Return the flags that are in force while a function is compiled."""
        return _FixedFlags(self)


class LinkedCompiler(_compiler.Compiler):  # type: ignore[misc]
    """Compiles a function to a LinkedLibrary, without the wrappers by which Python or C would call it."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        """Compile a function."""
        state = self.state
        state.flags = _Flags(state.flags)
        state.library = LinkedLibrary(state.targetctx.codegen(), func.__qualname__)
        state.flags.no_compile = True
        state.flags.no_cpython_wrapper = True
        state.flags.no_cfunc_wrapper = True
        result = super().compile_extra(func)
        name, key = func.__name__, (result.library,)
        function = _make_function(inspect.getmodule(func), name, "", 0, result.environment, key)
        result.target_context.insert_user_function(function, result.fndesc, [result.library])
        return result._replace(entry_point=function)


def linked(function: Function, **options: Any) -> Any:
    """Return the dispatcher of the entry point of a function, whose native callers have the function linked in."""
    inner = _numba.njit(pipeline_class=LinkedCompiler, **options)(function)
    entry = _numba.njit(no_cfunc_wrapper=True, **options)(_caller(function, inner))
    entry.get_call_template = inner.get_call_template
    entry.get_overload = inner.get_overload
    entry.linked = inner
    return entry


def _caller(function: Function, inner: Any) -> Function:
    """Return a function of the same parameters that calls `inner`."""
    names = ", ".join(inspect.signature(function).parameters)
    scope: dict[str, Any] = {"inner": inner, "__name__": function.__module__}
    exec(f"def caller({names}): return inner({names})", scope)
    caller: Function = scope["caller"]
    for attribute in ("__name__", "__qualname__", "__doc__", "__annotations__"):
        setattr(caller, attribute, getattr(function, attribute))
    return caller
