# SPDX-License-Identifier: GPL-2.0-only
"""Which functions of two kernels are the same, so that a scenario that runs no other ones is searched once."""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, FunctionType
from typing import Any

from pfncache.check.compile.source import unwrap
from pfncache.designs.design import Design
from pfncache.lang.syntax import Syntax, syntax_of
from pfncache.properties import PROBES
from pfncache.verify.user_source import source_of


def signature(kernel: type, used: Iterable[str], start: tuple[object, ...]) -> tuple[Any, ...]:
    """Return what determines a search: every definition of each used function, and the initial state."""
    return tuple((name, definitions(kernel, name)) for name in sorted(used)), start


@functools.lru_cache(maxsize=65_536)
def definitions(kernel: type, name: str) -> tuple[Any, ...]:
    """Return the identity of each function of a name in a kernel, the one that is called first."""
    return tuple(_identity(vars(owner)[name]) for owner in kernel.__mro__ if callable(vars(owner).get(name)))


def _identity(function: Any) -> tuple[Any, ...]:
    """Return what a function is distinguished by: code and module, as equal code reads other constants elsewhere.

    Macros, constants, structures and entries of the tables that a function made from C reads are in its syntax tree.
    """
    inner = unwrap(function)
    registered = syntax_of(inner.__code__)
    if registered is not None:  # made from C: the same text on other lines is the same function
        return registered.file.rpartition("/")[2], inner.__name__, _dumped(registered)
    return inner.__code__, source_of(inner) or id(inner.__globals__)


@functools.lru_cache(maxsize=4096)
def _dumped(syntax: Syntax) -> str:
    """Return a digest of a syntax tree, without its line numbers."""
    return hashlib.sha256(ast.dump(syntax.tree).encode()).hexdigest()


def is_from_c(design: Design) -> bool:
    """Return whether functions of a design are made of a kernel's C."""
    return any(patch.source_key for patch in design.patches)


def changed_functions(base: Design, design: Design) -> frozenset[str]:
    """Return the names of the functions that differ between a design and its base: changed, new and removed ones."""
    first, second = base.kernel(*PROBES), design.kernel(*PROBES)
    names = {
        name
        for kernel in (first, second)
        for layer in kernel.__mro__
        for name, value in vars(layer).items()
        if not name.startswith("__") and callable(value) and isinstance(unwrap(value), FunctionType)
    }
    return frozenset(name for name in names if definitions(first, name) != definitions(second, name))


@contextmanager
def recorded_calls() -> Iterator[set[str]]:
    """Record the names of all functions in Python that are called in the block. A profiler pauses meanwhile."""
    names: set[str] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            names.add(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield names
    finally:
        enable = getattr(before, "enable", None)
        if enable is not None:  # cProfile's, which is no function
            enable()
        else:
            sys.setprofile(before)
