# SPDX-License-Identifier: GPL-2.0-only
"""A cache of compiled systems on disk: compiling one takes longer than searching it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from pfncache import user_cache
from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.memo import Memo
from pfncache.check.compile.source import unwrap
from pfncache.check.program.layout import Program, link
from pfncache.check.system import Heap, System
from pfncache.verify.generation import newest_folder, remove_old
from pfncache.verify.program_format import FormatError, decode, encode
from pfncache.verify.system_key import description, is_plain

MADE_FROM_C = "pfncache.designs.from_c"
"""Module of the classes that are made of C, each of which has a digest of all that was read for it."""
_memo = Memo()
"""Compiled actors of this process: designs and scenarios have many in common."""
_covering_memo = Memo()
"""The same, compiled for coverage."""


def covering_program_of(system: System, reduction: bool = True) -> Program:
    """Return the program of `system` in which each line is a target. It is not cached. Raises CompileError."""
    return link(compile_system(system, _covering_memo, coverage=True), reduction)


def whole_program_of(system: System) -> Program:
    """Return the program without reductions, with its step code, which no cached program has."""
    return link(compile_system(system, _memo), reduction=False)


def program_of(system: System, reduction: bool = True, final: bool = False, keep: bool = True) -> Program:
    """Return the program of `system`: from the cache, or compiled, linked and written there. Raises CompileError.

    With `final`, its search distinguishes final states by every variable. Without `keep`, it is not written: where the
    outcome of the search is kept, no later run needs the program.

    The key of a system is everything that determines its program: the sources of the package, the classes of its
    kernel, its initial state, and the calls of its actors. A system of which this is not known for certain, as of a
    design in a user's file, is compiled each time. The step code itself, which no search reads, is not cached.
    """
    heap = Heap.of(system)
    try:
        path = _path(system, heap, f"{'' if reduction else '-full'}{'-final' * final}")
    except _Uncacheable:
        path = None
    if path is None:
        return link(compile_system(system, _memo), reduction, final)
    program = _read(path, system, heap)
    if program is None:
        program = link(compile_system(system, _memo), reduction, final)
        if keep:
            _write(path, program)
    return program


class _Uncacheable(Exception):
    """The system has a part for which there is no key."""


# The key of a system


def _path(system: System, heap: Heap, suffix: str) -> Path | None:
    """Return the file of a system's program; None if there is no folder for it. Raises _Uncacheable."""
    folder = newest_folder()
    if folder is None:
        return None
    name = hashlib.sha256()
    for part in _description(system, heap):
        name.update(part.encode() + b"\n")
    return folder / f"{name.hexdigest()[:40]}{suffix}"


def _description(system: System, heap: Heap) -> Iterator[str]:
    """Yield everything that determines the program of a system, apart from the sources. Raises _Uncacheable."""
    yield from layers_of(type(system.kernel))
    yield from description(system, heap, _refuse)


def _refuse(value: object) -> NoReturn:
    raise _Uncacheable


def layers_of(kernel: type) -> tuple[str, ...]:
    """Return the classes of a kernel, by names that are the same in every process."""
    return tuple(f"{layer.__module__}.{layer.__name__}{_made_of(layer)}" for layer in kernel.__mro__ if _is_ours(layer))


def _made_of(layer: type) -> str:
    """Return the digest of what a class was made of, if it was not written down in the package's sources."""
    return str(vars(layer).get("source_key", ""))


def _is_ours(layer: type) -> bool:
    """Return True if each function of the class is in the package's sources. Raises _Uncacheable if not."""
    if layer.__module__ in sys.stdlib_module_names:
        return True
    if layer.__module__ == MADE_FROM_C and _made_of(layer):
        return True
    if not layer.__module__.startswith("pfncache."):
        raise _Uncacheable
    original = getattr(sys.modules[layer.__module__], layer.__name__, None)
    if original is None:
        raise _Uncacheable
    for name, value in vars(layer).items():
        if callable(value):
            if not is_plain(value, layer.__module__):
                raise _Uncacheable
            if unwrap(value).__code__ is not getattr(unwrap(vars(original).get(name)), "__code__", None):
                raise _Uncacheable
    return True


# Reading and writing


def _read(path: Path, system: System, heap: Heap) -> Program | None:
    """Return the program in the file `path`; None if there is none, or, with a notice, if it is not that program."""
    content = user_cache.read(path)
    if content is None:
        return None
    try:
        return decode(content, _key_of(path), system, heap)
    except FormatError as error:
        user_cache.notify(user_cache.Notice.PROGRAM, f"{path} is compiled anew: {error}")
        return None


def _write(path: Path, program: Program) -> None:
    """Write a program, atomically for readers and other writers. Without space for it, it is compiled again."""
    content = encode(replace(program, compiled=replace(program.compiled, codes=[])), _key_of(path))
    try:
        remove_old(path.parent)
        user_cache.write(path, content)
    except OSError as error:
        notice = f"compiled systems are not kept: {user_cache.explain(error)}"
        user_cache.notify(user_cache.Notice.UNWRITABLE, notice)


def _key_of(path: Path) -> str:
    """Return what the content of a file is bound to: the version of the sources, and the system."""
    return f"{path.parent.name}/{path.name}"
