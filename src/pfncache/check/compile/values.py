# SPDX-License-Identifier: GPL-2.0-only
"""Values of expressions at compile time: constants, or registers with known bounds."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pfncache.lang.records import Bound, Record, record_of


class IntKind(NamedTuple):
    """An integer from ``low`` to ``high``."""

    low: int
    high: int


class RefKind(NamedTuple):
    """A record of class ``record``, by its number; 0 is None."""

    record: type[Record]
    role: str = ""
    """Of what is embedded in one of several records: the role that all of them have; empty if they have several."""


Kind = IntKind | RefKind
BOOL = IntKind(0, 1)
ANY_INT = IntKind(-128, 127)


class Const(NamedTuple):
    """A constant: a number, a record, a function, a tuple."""

    value: Any


class Reg(NamedTuple):
    """A value in a register. ``variable`` registers belong to a local that is assigned more than once."""

    number: int
    kind: Kind
    variable: bool = False


@dataclass(frozen=True)
class Tuple:
    """A tuple of values that are not all constants, such as the results of a function."""

    items: tuple[Value, ...]


@dataclass(frozen=True)
class Parts:
    """A tuple of records that is embedded in a record whose number is in the register ``owner``."""

    owner: Reg
    rows: tuple[tuple[Record, ...], ...]
    """By owner number - 1; they may be of unequal length."""

    @property
    def least_width(self) -> int:
        """Length of the shortest row."""
        return min(map(len, self.rows))

    @property
    def most_width(self) -> int:
        """Length of the longest row."""
        return max(map(len, self.rows))


@dataclass(frozen=True)
class Method:
    """A function bound to a receiver."""

    function: Any
    receiver: Value
    owner: type
    """The class in which the function was found: super() continues behind it."""
    query: tuple[Any, ...]
    """The query that found it."""


@dataclass(frozen=True)
class Super:
    """super() inside a method of ``owner``."""

    receiver: Value
    owner: type
    query: tuple[Any, ...] | None
    """The query that found the method."""


Value = Const | Reg | Tuple | Parts | Method | Super
NONE = Const(None)


def kind_of_hint(hint: Any) -> Kind | None:
    """Return the kind of value that an annotation allows; None if it has no kind."""
    record = record_of(hint)
    if record is not None:
        return RefKind(record)
    if isinstance(hint, type) and issubclass(hint, Record):
        return RefKind(hint)
    if hint is bool:
        return BOOL
    if get_origin(hint) is Annotated:
        for extra in get_args(hint)[1:]:
            if isinstance(extra, Bound):
                return IntKind(extra.low, extra.high)
    return ANY_INT if hint is int else None


def wraps_at(hint: Any) -> int:
    """Return the modulus of a scalar in systems with an environment actor; 0 if it does not wrap."""
    return next((extra.wraps for extra in get_args(hint)[1:] if isinstance(extra, Bound)), 0)


def is_tuple_hint(hint: Any) -> bool:
    """Return whether an annotation is ``tuple[...]``."""
    return get_origin(hint) is tuple


def is_optional(hint: Any) -> bool:
    """Return whether an annotation is ``X | None``."""
    return get_origin(hint) in (Union, types.UnionType)


def join(a: Kind, b: Kind) -> Kind:
    """Return the smallest kind that holds the values of both. Raises TypeError if there is none."""
    if isinstance(a, IntKind) and isinstance(b, IntKind):
        return IntKind(min(a.low, b.low), max(a.high, b.high))
    if isinstance(a, RefKind) and isinstance(b, RefKind) and a.record is b.record:
        return a if a.role == b.role else RefKind(a.record)
    raise TypeError(f"{describe(a)} and {describe(b)}")


def describe(kind: Kind) -> str:
    """Return a description of a kind, for a compile error."""
    return kind.record.__name__ if isinstance(kind, RefKind) else f"an integer from {kind.low} to {kind.high}"
