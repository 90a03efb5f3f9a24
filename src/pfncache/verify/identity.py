# SPDX-License-Identifier: GPL-2.0-only
"""Which functions of two kernels are the same, so that a scenario that runs no other ones is searched once."""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    CodeType,
    FrameType,
    FunctionType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any

from pfncache.check.compile.queries import MARKS
from pfncache.check.compile.source import unwrap
from pfncache.designs.design import Design
from pfncache.lang.part_of import linux_name
from pfncache.lang.syntax import Syntax, syntax_of
from pfncache.properties import PROBES
from pfncache.verify import unknown
from pfncache.verify.user_source import PLAIN, file_of, source_of


def digest(parts: Iterable[str]) -> str:
    """Return a digest of some texts, in their order."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(f"{len(part)} ".encode() + part.encode())
    return whole.hexdigest()


@functools.lru_cache(maxsize=65_536)
def functions_digest(kernel: type, names: frozenset[str]) -> str:
    """Return a digest of what the functions of some names are in a kernel: equal ones do the same."""
    return digest(part for name in sorted(names) for part in (name, *definitions(kernel, name)))


@functools.lru_cache(maxsize=262_144)
def definitions(kernel: type, name: str) -> tuple[str, ...]:
    """Return a digest of each function of a name in a kernel: of the one that is called, and of those by super().

    Digests are the same in every process, but for functions whose source is not known, as of the Python prompt.
    """
    found = []
    for owner in kernel.__mro__:
        function = vars(owner).get(name)
        if callable(function):
            found.append(function_digest(function))
            if not _calls_super(function):
                break
    return tuple(found)


@functools.lru_cache(maxsize=256)
def function_names(kernel: type) -> str:
    """Return a digest of the names of all functions of a kernel: what hasattr() says of them."""
    return digest(sorted({n for owner in kernel.__mro__ for n, value in vars(owner).items() if callable(value)}))


def _calls_super(function: Any) -> bool:
    code = getattr(unwrap(function), "__code__", None)
    return code is not None and "__class__" in code.co_freevars


def function_digest(function: Any) -> str:
    """Return what a function is distinguished by: code and module, as equal code reads other constants elsewhere.

    Macros, constants, structures and entries of the tables that a function made from C reads are in its syntax tree.
    """
    inner = unwrap(function)
    if isinstance(inner, WrapperDescriptorType | MethodDescriptorType | ClassMethodDescriptorType):
        return f"{inner.__objclass__.__qualname__}.{inner.__name__} of Python"
    if isinstance(inner, BuiltinFunctionType) and isinstance(inner.__self__, type):
        return f"{inner.__self__.__qualname__}.{inner.__name__} of Python"
    if not isinstance(inner, FunctionType):
        return unknown.name_of(function)
    registered = syntax_of(inner.__code__)
    if registered is not None:  # made from C: the same text on other lines is the same function
        return digest((registered.file.rpartition("/")[2], inner.__name__, _dumped(registered)))
    marks = [getattr(function, mark, False) for mark in MARKS]
    return digest((
        code_digest(inner.__code__), _source(inner), linux_name(inner.__code__), repr(marks), *_captured(inner),
    ))  # fmt: skip


def _source(function: FunctionType) -> str:
    """Return where the names that a function refers to are found: in a module of the package, or in a user's file."""
    marked = source_of(function)
    if marked is not None:
        return marked
    module = sys.modules.get(function.__module__ or "")
    if function.__module__.startswith("pfncache.") and getattr(module, "__dict__", None) is function.__globals__:
        return function.__module__
    return unknown.name_of(function.__globals__)


def _captured(function: FunctionType) -> Iterator[str]:
    """Yield what a function has from the one around it. The class that super() starts from differs in each kernel."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name == "__class__":
            continue
        value = cell.cell_contents
        if isinstance(value, FunctionType):
            yield f"{name} {function_digest(value)}"
        else:
            yield f"{name} {value!r}" if isinstance(value, PLAIN) else f"{name} {unknown.name_of(value)}"


def code_digest(code: CodeType) -> str:
    """Return a digest of compiled code, with its lines."""
    known = _codes.get(id(code))
    if known is None:
        known = _codes[id(code)] = code, _code_digest(code)
    return known[1]


_codes: dict[int, tuple[CodeType, str]] = {}
"""By identity: code, which is kept, and its digest."""


def _code_digest(code: CodeType) -> str:
    numbers = (
        code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags, code.co_firstlineno,
        code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_filename, code.co_qualname,
    )  # fmt: skip
    tables = (code.co_code, code.co_linetable, code.co_exceptiontable)
    return digest((repr(numbers), *(table.hex() for table in tables), *map(_constant, code.co_consts)))


def _constant(value: object) -> str:
    if isinstance(value, CodeType):
        return code_digest(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(_constant, value))})"
    if isinstance(value, frozenset):  # in an order that is another one in each process
        return f"{{{', '.join(sorted(map(_constant, value)))}}}"
    return f"{type(value).__name__} {value!r}"


@functools.lru_cache(maxsize=4096)
def _dumped(syntax: Syntax) -> str:
    """Return a digest of a syntax tree, without its line numbers."""
    return hashlib.sha256(ast.dump(syntax.tree).encode()).hexdigest()


def class_digest(kind: type) -> str:
    """Return what a structure is distinguished by: a class of the package by its name, a user's also by its content."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__ in sys.stdlib_module_names:
        return name
    module = sys.modules.get(kind.__module__)
    if kind.__module__.startswith("pfncache.") and getattr(module, kind.__name__, None) is kind:
        return name
    if kind.__module__.startswith("pfncache."):  # that patches of the package make of two
        source = kind.__module__
    else:
        source = file_of(module) or unknown.name_of(kind)
    methods = (f"{n} {function_digest(value)}" for n, value in sorted(vars(kind).items()) if callable(value))
    return digest((name, source, *map(class_digest, kind.__bases__), *methods))


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
