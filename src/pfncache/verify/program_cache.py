# SPDX-License-Identifier: GPL-2.0-only
"""Compiled systems, kept on disk: building one takes longer than searching it. No verdict is ever kept."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import pickle
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import pfncache
from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.memo import Memo
from pfncache.check.compile.source import unwrap
from pfncache.check.program.layout import Program, link
from pfncache.check.system import Heap, System
from pfncache.lang.records import Record
from pfncache.user_cache import root

SOURCES = ("check", "designs", "lang", "linux", "properties", "scenarios", "verify")
"""Rooms of the package that a compiled system is made from."""
GENERATIONS = 3
"""Versions of the sources whose systems are kept."""
DIGEST = hashlib.sha256().digest_size
_memo = Memo()
"""Of this process: designs and scenarios have many actors in common."""


def program_of(system: System, reduction: bool = True) -> Program:
    """The program of `system`: from the cache, or compiled, linked and kept there. Raises CompileError.

    A system is kept under everything that its program is made from: the sources of the package, the classes that its
    kernel is made of, the state that it starts in, and the calls of its actors. One of which this cannot be said for
    certain, as of a design in a user's file, is compiled each time. The step code itself, which no search wants, is
    not kept.
    """
    heap = Heap.of(system)
    try:
        path = _path(system, heap, reduction)
    except _NotKept:
        return link(compile_system(system, _memo), reduction)
    program = _read(path, system, heap)
    if program is None:
        program = link(compile_system(system, _memo), reduction)
        _write(path, program)
    return program


class _NotKept(Exception):
    """The system has something that the cache cannot tell from something else."""


# The name of a system


@functools.cache
def _generation() -> str:
    """What stands for the sources, where they are (events say so), and what compiles and writes them."""
    home = Path(pfncache.__file__).parent
    whole = hashlib.sha256(f"{sys.version} {np.__version__} {home}".encode())
    for room in SOURCES:
        for file in sorted((home / room).rglob("*.py")):
            content = file.read_bytes()
            whole.update(f"\n{file.relative_to(home)} {len(content)}\n".encode() + content)
    return whole.hexdigest()[:16]


def _path(system: System, heap: Heap, reduction: bool) -> Path:
    """Where the program of a system is kept."""
    name = hashlib.sha256()
    for part in _description(system, heap):
        name.update(part.encode() + b"\n")
    return root() / "systems" / _generation() / f"{name.hexdigest()[:40]}{'' if reduction else '-full'}"


def _description(system: System, heap: Heap) -> Iterator[str]:
    """Everything that the program of a system is made from, but the sources."""
    yield from _layers(type(system.kernel))
    word = functools.partial(_word, system, heap)
    for name, value in sorted(vars(system.kernel).items()):
        if not name.startswith("host_") or isinstance(value, int):
            yield f"{name}={word(value)}"
    for kind, pool in heap.pools.items():
        yield word(kind)
        for record in pool:
            members = (f"{n}={word(v)}" for n, v in vars(record).items() if not n.startswith("host_"))
            yield f"{record.record_name}: {', '.join(members)}"
    for actor in system.actors:
        calls = "; ".join(f"{word(call.function)}{word(call.args)}" for call in actor.calls)
        yield f"{actor.name} {word(actor.task)} {actor.interrupts} {actor.endless}: {calls}"
    if system.at_end is not None:
        yield f"at end: {word(system.at_end.function)}{word(system.at_end.args)}"


def _layers(kernel: type) -> tuple[str, ...]:
    """The classes that a kernel is made of, by names that mean the same in every process."""
    return tuple(f"{layer.__module__}.{layer.__name__}" for layer in kernel.__mro__ if _is_ours(layer))


def _is_ours(layer: type) -> bool:
    """True: the class is a part of the package's sources, function by function."""
    if layer.__module__ in sys.stdlib_module_names:
        return True
    if not layer.__module__.startswith("pfncache."):
        raise _NotKept
    original = getattr(sys.modules[layer.__module__], layer.__name__, None)
    if original is None:
        raise _NotKept
    for name, value in vars(layer).items():
        if callable(value):
            _check_function(value, layer.__module__)
            if unwrap(value).__code__ is not getattr(unwrap(vars(original).get(name)), "__code__", None):
                raise _NotKept
    return True


def _check_function(function: Any, module: str) -> None:
    plain = unwrap(function)
    if not hasattr(plain, "__code__") or plain.__module__ != module or "<" in plain.__qualname__:
        raise _NotKept


def _word(system: System, heap: Heap, value: Any) -> str:
    """A value that a system starts with, in a word that no other value has."""
    if value is system.kernel:
        return "kernel"
    if isinstance(value, Record):
        number = heap.numbers.get(id(value))
        if number is None:
            raise _NotKept
        return f"<{type(value).__name__} {number}>"
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(_word(system, heap, item) for item in value)})"
    if isinstance(value, type) and value.__module__.startswith("pfncache."):
        return f"{value.__module__}.{value.__qualname__}"
    receiver = getattr(value, "__self__", None)
    if callable(value) and str(getattr(value, "__module__", "")).startswith("pfncache."):
        _check_function(getattr(value, "__func__", value), value.__module__)
        return f"{value.__module__}.{unwrap(value).__qualname__} of {_word(system, heap, receiver)}"
    raise _NotKept


# Reading and writing


class _Pickler(pickle.Pickler):
    """Says "the record of this number" instead of the record: the reader has a system of its own."""

    def __init__(self, file: io.BytesIO, system: System, heap: Heap) -> None:
        super().__init__(file, protocol=5)
        self.system, self.heap = system, heap

    def persistent_id(self, thing: Any) -> Any:
        """What stands for a thing that the reader has."""
        if isinstance(thing, Record):
            return type(thing).__name__, self.heap.numbers[id(thing)]
        return "system" if thing is self.system else "heap" if thing is self.heap else None


class _Unpickler(pickle.Unpickler):
    """Puts the reader's system in."""

    def __init__(self, file: io.BytesIO, system: System, heap: Heap) -> None:
        super().__init__(file)
        self.pools = {kind.__name__: pool for kind, pool in heap.pools.items()}
        self.own = {"system": system, "heap": heap}

    def persistent_load(self, name: Any) -> Any:
        """The thing that a name stands for."""
        return self.own[name] if isinstance(name, str) else self.pools[name[0]][name[1] - 1]


def _read(path: Path, system: System, heap: Heap) -> Program | None:
    """The program that is kept at `path`; None when there is none, or when the file is not whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
        return None
    program = _Unpickler(io.BytesIO(zlib.decompress(content[DIGEST:])), system, heap).load()
    assert isinstance(program, Program)
    return program


def _write(path: Path, program: Program) -> None:
    """Keep a program. Readers and other writers see all of it or nothing."""
    compiled = program.compiled
    buffer = io.BytesIO()
    _Pickler(buffer, compiled.system, compiled.heap).dump(replace(program, compiled=replace(compiled, codes=[])))
    content = zlib.compress(buffer.getvalue(), 1)
    with contextlib.suppress(OSError):  # a full disk, or a home that cannot be written: then it is compiled again
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _forget_old(path.parent)
        handle, part = tempfile.mkstemp(prefix=".part-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(part, path)
        except BaseException:
            os.unlink(part)
            raise


def _forget_old(newest: Path) -> None:
    """Remove the systems of all but the last few versions of the sources."""
    others = [path for path in newest.parent.iterdir() if path != newest]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in others[GENERATIONS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
