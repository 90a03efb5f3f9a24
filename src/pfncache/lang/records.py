# SPDX-License-Identifier: GPL-2.0-only
"""Records: shared state in typed, bounded fields, each use of which is a possible preemption point."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from pfncache.lang import tracing
from pfncache.lang.report import report

T = TypeVar("T")


@dataclass(frozen=True)
class Bound:
    """The values from ``low`` to ``high`` that the checker gives room to; direct calls may use any integer.

    A counter that counts for ever where an actor is endless is counted modulo ``wraps`` there.
    """

    low: int
    high: int
    wraps: int = 0


Count = Annotated[int, Bound(-1, 6)]
"""A reference or nesting count. It must not go below zero; the room for -1 lets the kernel notice that it did."""


class Field:
    """A scalar of a record: shared state, so that each use of it can be seen."""

    def __init__(self, name: str, hint: Any, default: Any) -> None:
        self.name = name
        self.hint = hint
        self.default = default

    def __get__(self, record: Any, owner: type) -> Any:
        if record is None:
            return self
        if tracing.active is not None:
            tracing.active.access(record, self.name)
        if record.slab_owner is not None and self.name != "slab_state":
            record.check_slab()
        return record.__dict__[self.name]

    def __set__(self, record: Any, value: Any) -> None:
        if tracing.active is not None:
            tracing.active.access(record, self.name)
            tracing.active.changed(record, self.name, record.__dict__[self.name], value)
        if record.slab_owner is not None and self.name != "slab_state":
            record.check_slab()
        record.__dict__[self.name] = value


class Array(tuple[T, ...]):
    """A C array of records: what is below its first element is out of its bounds too."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        """The element, or a slice."""
        if isinstance(index, int) and index < 0:
            raise IndexError(f"index {index} of an array")
        return super().__getitem__(index)


FRESH, LIVE, FREED = 0, 1, 2


class Record:
    """A C structure. Annotated ``bool``, ``int`` and ``SomeRecord | None`` members are :class:`Field` scalars.

    A member whose type is a record or a tuple of records is embedded: it is made with its owner and never replaced.
    Members whose name starts with ``host_`` belong to direct execution alone (the bytes of a page) and are no state.
    ``class X(Record, slab=True)`` comes from :func:`kzalloc` and goes by :func:`kfree`; touching it before or after is
    reported as KASAN would.
    """

    is_slab: ClassVar[bool] = False
    registry: ClassVar[dict[str, type[Record]]] = {}
    fields: ClassVar[dict[str, Field]] = {}
    parts: ClassVar[dict[str, Any]] = {}
    record_name: str
    role: str
    """The member that the record is of which structure; locks of one role are one lockdep class."""
    slab_owner: Record | None
    """The slab object that the record is, or is embedded in."""

    def __init_subclass__(cls, slab: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.is_slab = slab or cls.is_slab
        Record.registry[cls.__name__] = cls

    @classmethod
    def _finalise(cls) -> None:
        """Sort the annotations into fields and parts, once, when every class that they name exists."""
        scope = dict(Record.registry)
        hints = get_type_hints(cls, localns=scope, include_extras=True)
        cls.fields, cls.parts = {}, {}
        for name, hint in hints.items():
            if (
                get_origin(hint) is ClassVar
                or name in ("record_name", "role", "slab_owner")
                or name.startswith("host_")
            ):
                continue
            if is_scalar(hint):
                default = cls.__dict__.get(name, _inherited_default(cls, name, hint))
                cls.fields[name] = Field(name, hint, default)
            else:
                cls.parts[name] = hint
        if cls.is_slab:
            cls.fields["slab_state"] = Field("slab_state", Annotated[int, Bound(0, 2)], FRESH)
        for name, field in cls.fields.items():
            setattr(cls, name, field)
        cls._finalised = cls

    _finalised: ClassVar[Any] = None

    def __init__(self, record_name: str = "", **values: Any) -> None:
        cls = type(self)
        if cls._finalised is not cls:
            cls._finalise()
        self.record_name = record_name or cls.__name__
        self.role = cls.__name__
        for name, field in cls.fields.items():
            self.__dict__[name] = values.pop(name, field.default)
        for name, hint in cls.parts.items():
            if name in values:
                given = values.pop(name)
                self.__dict__[name] = Array(given) if isinstance(given, tuple) else given
            elif isinstance(hint, type) and issubclass(hint, Record):
                part = hint(f"{self.record_name}.{name}")
                part.role = f"{cls.__name__}.{name}"
                self.__dict__[name] = part
            else:
                raise TypeError(f"{cls.__name__}.{name} must be given when the record is made")
        self.slab_owner = None
        if cls.is_slab:
            self._belongs_to(self)
        for name, value in values.items():
            if not name.startswith("host_"):
                raise TypeError(f"{cls.__name__} has no member {name!r}")
            self.__dict__[name] = value

    def _belongs_to(self, owner: Record) -> None:
        self.slab_owner = owner
        for name in type(self).parts:
            part = self.__dict__[name]
            for record in part if isinstance(part, tuple) else (part,):
                record._belongs_to(owner)

    def check_slab(self) -> None:
        """KASAN's check: report the use of a slab object, or of what is embedded in one, that is not allocated."""
        owner = self.slab_owner
        if owner is not None and owner.__dict__["slab_state"] != LIVE:
            word = "was freed" if owner.__dict__["slab_state"] == FREED else "was never allocated"
            report("use-after-free", f"{self.record_name} is used, but {owner.record_name} {word}")

    def __repr__(self) -> str:
        return self.record_name


def _inherited_default(cls: type[Record], name: str, hint: Any) -> Any:
    for base in cls.__mro__[1:]:
        if isinstance(base.__dict__.get(name), Field):
            return base.__dict__[name].default
        if name in base.__dict__:
            return base.__dict__[name]
    return None if record_of(hint) is not None else (False if hint is bool else 0)


def record_of(hint: Any) -> type[Record] | None:
    """The record class that a ``SomeRecord | None`` annotation refers to, or None for any other annotation."""
    if get_origin(hint) in (Union, types.UnionType):
        members = [m for m in get_args(hint) if m is not type(None)]
        if len(members) == 1 and isinstance(members[0], type) and issubclass(members[0], Record):
            return members[0]
    return None


def is_scalar(hint: Any) -> bool:
    """True for the annotations that make a :class:`Field`: ``bool``, ``int`` (bounded or not), ``Record | None``."""
    base = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return base in (bool, int) or record_of(hint) is not None


def zero(record: Any) -> None:
    """Set every scalar of `record`, and of what is embedded in it, to its default, as a zeroed allocation does."""
    for name in scalar_names(record):
        setattr(record, name, scalar_default(record, name))
    for part in parts_of(record):
        zero(part)


def parts_of(record: Any) -> tuple[Any, ...]:
    """The records that are embedded in `record`."""
    found: list[Any] = []
    for name in type(record).parts:
        part = record.__dict__[name]
        found.extend(part if isinstance(part, tuple) else (part,))
    return tuple(found)


def scalar_names(record: Any) -> tuple[str, ...]:
    """The names of a record's scalars, without the allocator's own."""
    return tuple(name for name in type(record).fields if name != "slab_state")


def scalar_default(record: Any, name: str) -> Any:
    """The value that a zeroed allocation gives to a record's scalar."""
    return type(record).fields[name].default
