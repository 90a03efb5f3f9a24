# SPDX-License-Identifier: GPL-2.0-only
"""What turns Python into a language for modelling a kernel.

The model is ordinary Python that runs when it is called. Three things make it checkable as well:

* shared state lives in the typed, bounded fields of :class:`Record`;
* what hardware or a primitive does in one go is an :func:`atomic` function; every other read or write of a
  record's field is a possible preemption point, with no marker in the source;
* whatever must never happen ends in :func:`report`.

The same functions are (a) called directly, (b) compiled from their own AST and searched, (c) replayed step by step
under a :class:`Tracer` that sees every access before it happens.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    ClassVar,
    NoReturn,
    ParamSpec,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

P = ParamSpec("P")
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


class KernelSplat(Exception):
    """The kernel did what must never happen: the model's BUG, WARN, KASAN report or oops.

    ``kind`` is the name of the property that is violated, ``detail`` says what happened, with values.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class WouldBlock(Exception):
    """A direct call waits for something that nobody else is there to do."""


class Scheduler(Protocol):
    """Direct calls with others beside them: a step that cannot be taken waits instead of failing."""

    def block(self, why: WouldBlock) -> None:
        """Run somebody else; return when the step may be tried again, raise `why` when nobody can run."""


class Tracer(Protocol):
    """Sees every preemption point of replayed code before it is passed."""

    def access(self, record: Record, field: str) -> None:
        """A field of `record` is about to be read or written."""

    def enter_atomic(self, function: Callable[..., Any]) -> None:
        """An atomic function is about to run."""

    def leave_atomic(self) -> None:
        """The atomic function is done."""

    def changed(self, record: Record, field: str, old: Any, new: Any) -> None:
        """A field of `record` went from `old` to `new`."""

    def choose(self, options: int) -> int:
        """Pick one of `options` outcomes."""


_tracer: Tracer | None = None
_running: Any = None


@contextmanager
def tracing(tracer: Tracer) -> Iterator[None]:
    """Let `tracer` see what model code does inside the block."""
    global _tracer
    saved, _tracer = _tracer, tracer
    try:
        yield
    finally:
        _tracer = saved


class Field:
    """A scalar of a record: shared state, so that each use of it can be seen."""

    def __init__(self, name: str, hint: Any, default: Any) -> None:
        self.name = name
        self.hint = hint
        self.default = default

    def __get__(self, record: Any, owner: type) -> Any:
        if record is None:
            return self
        if _tracer is not None:
            _tracer.access(record, self.name)
        if record.slab_owner is not None and self.name != "slab_state":
            record.check_slab()
        return record.__dict__[self.name]

    def __set__(self, record: Any, value: Any) -> None:
        if _tracer is not None:
            _tracer.access(record, self.name)
            _tracer.changed(record, self.name, record.__dict__[self.name], value)
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


def kzalloc(pool: tuple[T, ...]) -> T | None:
    """Allocate a zeroed object from `pool`; None when all are in use.

    Fresh objects go first, as with KASAN's quarantine, so that a freed one is recognised for as long as the pool lasts.
    """
    for wanted in (FRESH, FREED):
        for candidate in pool:
            if _claim(candidate, wanted):
                return candidate
    return None


def atomic(function: Callable[P, T]) -> Callable[P, T]:
    """One step: nobody else runs between its start and its end."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        tracer = _tracer
        if tracer is None:
            while True:
                try:
                    return function(*args, **kwargs)
                except WouldBlock as why:
                    _wait(why)
        tracer.enter_atomic(function)
        try:
            return function(*args, **kwargs)
        finally:
            tracer.leave_atomic()

    wrapper.is_atomic = True  # type: ignore[attr-defined]
    return wrapper


def _wait(why: WouldBlock) -> None:
    """Let others run until the step is worth another try, where the running task has a scheduler."""
    scheduler: Scheduler | None = getattr(_running, "host_scheduler", None)
    if scheduler is None:
        raise why
    scheduler.block(why)


@atomic
def _claim(candidate: Any, wanted: int) -> bool:
    if candidate.slab_state != wanted:
        return False
    candidate.slab_state = LIVE
    zero(candidate)
    return True


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


@atomic
def kfree(record: Any) -> None:
    """Free a slab object. Freeing one that is not allocated is reported."""
    if record.slab_state != LIVE:
        report("use-after-free", f"{record} is freed, but is not allocated")
    record.slab_state = FREED


def guard(function: Callable[P, Iterator[T]]) -> Callable[P, Any]:
    """A ``with`` block from a generator with a single ``yield``, which also runs its end when the block returns."""
    manager = contextmanager(function)
    manager.is_guard = True  # type: ignore[attr-defined]
    return manager


def block_until(condition: bool) -> None:
    """At the start of an :func:`atomic` function: the step cannot be taken while `condition` is false."""
    if not condition:
        raise WouldBlock(f"{sys._getframe(1).f_code.co_qualname} would wait for ever")


def choose(options: int) -> int:
    """An outcome that nothing in the model decides, from 0 to `options` - 1. Inside an :func:`atomic` function only."""
    return 0 if _tracer is None else _tracer.choose(options)


def alike(condition: bool) -> None:
    """Annotation for the reductions, after :func:`choose`: when `condition` holds, one outcome more is the same to all.

    The two differ in nothing but which of some things is meant that nobody can tell apart, so the other is enough.
    """


def report(kind: str, detail: str) -> NoReturn:
    """The property named `kind` is violated here. `detail` is built only when a trace is replayed."""
    raise KernelSplat(kind, detail)


def host_only(function: Callable[P, None]) -> Callable[P, None]:
    """What only direct execution does, like moving real bytes; the checker skips the call, and so does its replay.

    For methods of the kernel image, whose ``host_execution`` says which of the two it is for.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        if args[0].host_execution:  # type: ignore[attr-defined]
            function(*args, **kwargs)

    function.is_host_only = True  # type: ignore[attr-defined]
    return wrapper


def lock_acquire(lock: Record, exclusive: bool, excludes: bool = True, waits: bool = True) -> None:
    """Annotation for lockdep and the reductions: the running task now holds `lock`.

    `excludes` is False for what takes part in the lock order but keeps nobody out: an SRCU section, a raised counter.
    `waits` is False for a trylock, which cannot be a part of a deadlock by being taken.
    """


def lock_release(lock: Record) -> None:
    """Annotation for lockdep and the reductions: the running task lets go of `lock`."""


def running() -> Any:
    """The record of the task that executes, as ``current`` is in Linux."""
    return _running


@contextmanager
def run_as(task: Any) -> Iterator[None]:
    """Execute the block as `task`."""
    global _running
    saved, _running = _running, task
    try:
        yield
    finally:
        _running = saved


def switch_to(task: Any) -> None:
    """Make `task` the one that executes, as the scheduler does."""
    global _running
    _running = task
