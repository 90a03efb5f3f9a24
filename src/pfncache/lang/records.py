# SPDX-License-Identifier: GPL-2.0-only
"""Records: shared state in typed, bounded fields. Each access to a field is a possible preemption point."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pfncache.lang import tracing
from pfncache.lang.report import report

T = TypeVar("T")
R = TypeVar("R", bound="Record")


@dataclass(frozen=True)
class Bound:
    """Range of an integer field in the checker, ``low`` to ``high`` inclusive. Direct execution has no bound.

    Beside an environment actor, which loops forever, a counter counts modulo ``wraps``, unless that is 0.
    """

    low: int
    high: int
    wraps: int = 0


Count = Annotated[int, Bound(-1, 6)]
"""A reference or nesting count, at most 6. It must not become negative; -1 is in the range so that this is detected."""


class Field:
    """A scalar of a record, whose accesses are traced."""

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
    """A fixed array of records. A negative index is out of bounds."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        """Return the element, or a slice."""
        if isinstance(index, int) and index < 0:
            raise IndexError(f"index {index} of an array")
        return super().__getitem__(index)


FRESH, LIVE, FREED = 0, 1, 2
"""States of a record that is allocated dynamically."""


class Record:
    """A structure. Annotated ``bool``, ``int`` and ``SomeRecord | None`` members are :class:`Field` scalars.

    A member whose type is a record or a tuple of records is embedded: it is created with its owner and never replaced.
    Members whose name starts with ``host_`` exist in direct execution only, such as the bytes of a page, and are not
    part of the state. Instances of ``class X(Record, slab=True)`` are allocated dynamically: an access while one is
    not allocated is a use after free. ``class X(SomeRecord, extends=True)`` is that structure with more members, for a
    patch that adds some: :func:`make` makes it in the place of the other.
    """

    is_slab: ClassVar[bool] = False
    root: ClassVar[type[Record]]
    """The structure that this one extends, or itself."""
    registry: ClassVar[dict[str, type[Record]]] = {}
    fields: ClassVar[dict[str, Field]] = {}
    parts: ClassVar[dict[str, Any]] = {}
    record_name: str
    role: str
    """Class and member of which the record is an instance; locks of one role are one class in the lock order."""
    slab_owner: Record | None
    """The dynamically allocated record that this record is, or is embedded in."""

    def __init_subclass__(cls, slab: bool = False, extends: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.is_slab = slab or cls.is_slab
        cls.root = cast("type[Record]", cls.__bases__[0]).root if extends else cls
        Record.registry[cls.__name__] = cls

    @classmethod
    def _finalise(cls) -> None:
        """Divide the annotations into fields and parts, once, when every class that they name exists."""
        spaces = [vars(sys.modules[base.__module__]) for base in cls.__mro__ if base.__module__ in sys.modules]
        # what a module itself calls by that name precedes a record of another one, such as of another user's file
        scope = {name: record for name, record in Record.registry.items() if _means(name, record, spaces)}
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

    @classmethod
    def add_field(cls, name: str, hint: Any) -> None:
        """Add a scalar, which is zero in each new record: a member that a patched kernel's structure has."""
        if cls._finalised is not cls:
            cls._finalise()
        cls.fields[name] = Field(name, hint, None if record_of(hint) is not None else False if hint is bool else 0)
        cls.__annotations__[name] = hint
        setattr(cls, name, cls.fields[name])

    def __init__(self, record_name: str = "", **values: Any) -> None:
        cls = type(self)
        if cls._finalised is not cls:
            cls._finalise()
        self.record_name = record_name or cls.__name__
        self.role = cls.root.__name__
        for name, field in cls.fields.items():
            self.__dict__[name] = values.pop(name, field.default)
        for name, hint in cls.parts.items():
            if name in values:
                given = values.pop(name)
                self.__dict__[name] = Array(given) if isinstance(given, tuple) else given
            elif isinstance(hint, type) and issubclass(hint, Record):
                part = _structs.get(hint, hint)(f"{self.record_name}.{name}")
                part.role = f"{cls.root.__name__}.{name}"
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
        """Report an access to a record that is, or is embedded in, a dynamic record that is not allocated."""
        owner = self.slab_owner
        if owner is not None and owner.__dict__["slab_state"] != LIVE:
            word = "was freed" if owner.__dict__["slab_state"] == FREED else "was never allocated"
            report("use-after-free", f"{self.record_name} is used, but {owner.record_name} {word}")

    def __repr__(self) -> str:
        return self.record_name


Structs = Mapping[type[Record], type[Record]]
"""By structure: the one that extends it."""
_structs: Structs = {}
"""Those of the record that is being made."""


def make(kind: type[R], structs: Structs, name: str, **values: Any) -> R:
    """Return a new record of class `kind`, or of the one in `structs` that extends it; so are the embedded ones."""
    global _structs
    before, _structs = _structs, structs
    try:
        return cast(R, structs.get(kind, kind)(name, **values))
    finally:
        _structs = before


def _means(name: str, record: type[Record], spaces: list[dict[str, Any]]) -> bool:
    """Return whether a name means the record in each of the modules that have it."""
    return all(space.get(name, record) is record for space in spaces)


def _inherited_default(cls: type[Record], name: str, hint: Any) -> Any:
    for base in cls.__mro__[1:]:
        if isinstance(base.__dict__.get(name), Field):
            return base.__dict__[name].default
        if name in base.__dict__:
            return base.__dict__[name]
    return None if record_of(hint) is not None else (False if hint is bool else 0)


def record_of(hint: Any) -> type[Record] | None:
    """Return the record class of a ``SomeRecord | None`` annotation, or None for any other annotation."""
    if get_origin(hint) in (Union, types.UnionType):
        members = [m for m in get_args(hint) if m is not type(None)]
        if len(members) == 1 and isinstance(members[0], type) and issubclass(members[0], Record):
            return members[0]
    return None


def is_scalar(hint: Any) -> bool:
    """Return whether an annotation makes a :class:`Field`: ``bool``, ``int`` (bounded or not), ``Record | None``."""
    base = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return base in (bool, int) or record_of(hint) is not None


def zero(record: Any) -> None:
    """Set every scalar of `record`, and of the records embedded in it, to its default."""
    for name in scalar_names(record):
        setattr(record, name, scalar_default(record, name))
    for part in parts_of(record):
        zero(part)


def parts_of(record: Any) -> tuple[Any, ...]:
    """Return the records that are embedded in `record`."""
    found: list[Any] = []
    for name in type(record).parts:
        part = record.__dict__[name]
        found.extend(part if isinstance(part, tuple) else (part,))
    return tuple(found)


def scalar_names(record: Any) -> tuple[str, ...]:
    """Return the names of a record's scalars, without the allocation state."""
    return tuple(name for name in type(record).fields if name != "slab_state")


def scalar_default(record: Any, name: str) -> Any:
    """Return the default of a record's scalar."""
    return type(record).fields[name].default
