# SPDX-License-Identifier: GPL-2.0-only
"""The file format of a compiled system: arrays of numbers and JSON. Reading one runs no code from the file.

A program is a graph of objects. Its leaves are numbers, strings and arrays. Each other object is a row: the numbers of
the objects that it is made of. Rows of one class and length form a batch, and batches are ordered so that an object
comes after its parts. A class is named by its module; only data types of the checker and records of the package can be
named. Records themselves belong to the reader's system, and are named by class and number.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

from pfncache.check.program.layout import Program
from pfncache.check.system import Heap, System
from pfncache.lang.records import Record

MAGIC = b"pfncache program 1\n"
"""Begins every file; the number is that of the format."""
DIGEST_BYTES = hashlib.sha256().digest_size
LENGTH_BYTES = 8
"""Bytes of the length before the JSON part."""
COMPRESSION = 1
"""zlib's fastest level."""
OWN_OBJECTS = 2
"""The first leaves are the system and its heap, which the reader has."""
Row = tuple[int, ...]
Make = Callable[[Iterable[tuple[Any, ...]]], Iterable[Any]]
"""Makes objects of rows."""


class FormatError(ValueError):
    """The content is not a program of that key."""


def encode(program: Program, key: str) -> bytes:
    """Return the content of the file for a program. Raises TypeError for a part that the format does not have."""
    writer = _Writer(program.compiled.system, program.compiled.heap)
    top = writer.add(program)
    numbers, children, batches = writer.batches()
    arrays = [*writer.arrays, np.array(children, dtype=np.uint32)]
    described = {
        "scalars": writer.scalars,
        "arrays": [[array.dtype.str, array.shape] for array in arrays],
        "batches": batches,
        "top": numbers[top],
    }
    text = json.dumps(described, separators=(",", ":")).encode()
    body = [len(text).to_bytes(LENGTH_BYTES, "little"), text, *(array.tobytes() for array in arrays)]
    content = zlib.compress(b"".join(body), COMPRESSION)
    return MAGIC + _digest(key, content) + content


def decode(content: bytes, key: str, system: System, heap: Heap) -> Program:
    """Return the program of a file's content, on the reader's system. Raises FormatError."""
    start = len(MAGIC) + DIGEST_BYTES
    if content[: len(MAGIC)] != MAGIC:
        raise FormatError("it is no compiled system")
    if content[len(MAGIC) : start] != _digest(key, content[start:]):
        raise FormatError("it is damaged, or that of another system")
    try:
        program = _decode(zlib.decompress(content[start:]), system, heap)
    except FormatError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, zlib.error) as error:
        raise FormatError(f"it is malformed ({type(error).__name__})") from None
    if type(program) is not Program or program.image.dtype != np.int64 or program.initial.dtype != np.uint64:
        raise FormatError("it is malformed (no program)")
    return program


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.sha256(MAGIC + key.encode() + b"\0" + content).digest()


def _decode(body: bytes, system: System, heap: Heap) -> Any:
    at = LENGTH_BYTES + int.from_bytes(body[:LENGTH_BYTES], "little")
    described = json.loads(body[LENGTH_BYTES:at])
    arrays = []
    for name, shape in described["arrays"]:
        dtype = np.dtype(name)
        if dtype.kind not in "iub":
            raise FormatError(f"it is malformed (an array of {dtype})")
        length = math.prod(shape) * dtype.itemsize
        arrays.append(np.frombuffer(body[at : at + length], dtype).reshape(shape).copy())
        at += length
    children = arrays.pop().tolist()
    objects: list[Any] = [system, heap, *arrays, *described["scalars"]]
    start = 0
    for maker, width, count in described["batches"]:
        end = start + width * count
        if min(width, count) < 0 or end > len(children):
            raise FormatError("it is malformed (a batch is longer than the file)")
        parts = map(objects.__getitem__, children[start:end])
        rows = zip(*[parts] * width, strict=True) if width else itertools.repeat((), count)
        objects += list(_maker(maker, heap)(rows))  # a list: the parts are read while it is made
        start = end
    return objects[described["top"]]


def _maker(name: str, heap: Heap) -> Make:
    """Return what makes objects of the rows of a batch."""
    if name == "record":
        return functools.partial(itertools.starmap, functools.partial(_record, heap))
    if name in _PLAIN:
        return functools.partial(map, _PLAIN[name])
    made = _class_named(name)
    if issubclass(made, tuple):
        return functools.partial(map, made._make)  # type: ignore[attr-defined]
    return functools.partial(itertools.starmap, made)


def _record(heap: Heap, kind: type[Record], number: int) -> Record:
    pool = heap.pools[kind]
    if not 1 <= number <= len(pool):
        raise FormatError(f"it is malformed (no {kind.__name__} {number})")
    return pool[number - 1]


def _record_class(row: tuple[str]) -> type[Record]:
    found = _named(row[0])
    if not issubclass(found, Record):
        raise FormatError(f"it is malformed ({row[0]} is no record)")
    return found


def _class_named(name: str) -> type:
    found = _named(name)
    if not _is_data(found):
        raise FormatError(f"it is malformed ({name} is no data type)")
    return found


def _is_data(kind: type) -> bool:
    """Whether a class is a data type of the checker."""
    named = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return kind.__module__.startswith("pfncache.check.") and (named or is_dataclass(kind) or issubclass(kind, Enum))


def _named(name: str) -> type:
    module, _, inner = name.partition(":")
    found = getattr(sys.modules.get(module), inner, None) if module.startswith("pfncache.") else None
    if not isinstance(found, type):
        raise FormatError(f"it is malformed (no class {name})")
    return found


def _name(kind: type) -> str:
    name = f"{kind.__module__}:{kind.__qualname__}"
    if _named(name) is not kind:
        raise TypeError(f"a class of which there are two: {name}")
    return name


def _to_dict(row: tuple[Any, ...]) -> dict[Any, Any]:
    return dict(zip(row[::2], row[1::2], strict=True))


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple, "list": list, "set": set, "frozenset": frozenset, "dict": _to_dict, "class": _record_class,
}  # fmt: skip
"""What makes the objects of Python's own types, and classes of records."""


class _Writer:
    """Collects the leaves and rows of a graph of objects; equal immutable rows are stored once."""

    def __init__(self, system: System, heap: Heap) -> None:
        self.system, self.heap = system, heap
        self.scalars: list[Any] = []
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.rows: list[tuple[str, Row, int]] = []
        """Class, parts and depth of each row. Parts are keys: of a leaf (kind, index), of a row its index."""
        self.at_id: dict[int, Any] = {id(system): ("own", 0), id(heap): ("own", 1)}
        self.scalar_at: dict[tuple[type, Any], Any] = {}
        self.row_at: dict[tuple[str, Row], Any] = {}

    def add(self, value: Any) -> Any:
        """Return the key of an object, which is stored with its parts."""
        if type(value) in (bool, int, str, float, type(None)):
            found = self.scalar_at.get((type(value), value))
            if found is None:
                found = self.scalar_at[type(value), value] = ("scalar", len(self.scalars))
                self.scalars.append(value)
            return found
        found = self.at_id.get(id(value))
        if found is None:
            found = self.at_id[id(value)] = self._add(value)
        return found

    def _add(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "iub":
                raise TypeError(f"an array of {value.dtype}")
            self.arrays.append(np.ascontiguousarray(value))
            return "array", len(self.arrays) - 1
        maker, parts, shared = self._parts(value)
        row = tuple([self.add(part) for part in parts])
        if shared and (maker, row) in self.row_at:
            return self.row_at[maker, row]
        depth = 1 + max([0, *(self.rows[part][2] for part in row if isinstance(part, int))])
        self.rows.append((maker, row, depth))
        self.row_at[maker, row] = len(self.rows) - 1
        return len(self.rows) - 1

    def _parts(self, value: Any) -> tuple[str, Iterable[Any], bool]:
        """Return an object's class and parts, and whether an equal object may stand for it."""
        kind = type(value)
        if isinstance(value, Record):
            return "record", (kind, self.heap.numbers[id(value)]), True
        if isinstance(value, type) and issubclass(value, Record):
            return "class", (_name(value),), True
        if kind in (tuple, list):
            return kind.__name__, value, kind is tuple
        if kind in (set, frozenset):
            return kind.__name__, sorted(value, key=str), kind is frozenset
        if kind is dict:
            return "dict", itertools.chain.from_iterable(value.items()), False
        if not _is_data(kind):
            raise TypeError(f"a program has a {kind.__name__}, for which program_format.py has no form")
        if isinstance(value, Enum):
            return _name(kind), (value.value,), True
        if isinstance(value, tuple):
            return _name(kind), value, True
        inside = [getattr(value, field.name) for field in fields(value) if field.init]
        return _name(kind), inside, bool(kind.__dataclass_params__.frozen)

    def batches(self) -> tuple[dict[Any, int], list[int], list[tuple[str, int, int]]]:
        """Return the number of each object, by its key, and the rows in batches."""
        keys: Iterator[Any] = itertools.chain(
            (("own", i) for i in range(OWN_OBJECTS)),
            (("array", i) for i in range(len(self.arrays))),
            (("scalar", i) for i in range(len(self.scalars))),
        )
        numbers = {key: number for number, key in enumerate(keys)}

        def group(index: int) -> tuple[int, str, int]:
            maker, row, depth = self.rows[index]
            return depth, maker, len(row)

        children: list[int] = []
        batches = []
        for (_, maker, width), members in itertools.groupby(sorted(range(len(self.rows)), key=group), group):
            indices = list(members)
            for index in indices:
                numbers[index] = len(numbers)
                children += (numbers[part] for part in self.rows[index][1])
            batches.append((maker, width, len(indices)))
        return numbers, children, batches
