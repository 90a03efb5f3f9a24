# SPDX-License-Identifier: GPL-2.0-only
"""What determines a closed system apart from the functions of its kernel, as text: every record, and every call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pfncache.check.compile.source import unwrap
from pfncache.check.system import Heap, System
from pfncache.lang.records import Record

Other = Callable[[Any], str]
"""Returns the key of an object for which there is none here; or raises."""


def description(system: System, heap: Heap, other: Other) -> Iterator[str]:
    """Yield what determines the program of a system, apart from the sources and the classes of its kernel."""

    def key(value: Any) -> str:
        return key_of(system, heap, value, other)

    for name, value in sorted(vars(system.kernel).items()):
        if not name.startswith("host_") or isinstance(value, int):
            yield f"{name}={key(value)}"
    for kind, pool in heap.pools.items():
        yield key(kind)
        for record in pool:
            members = (f"{n}={key(v)}" for n, v in vars(record).items() if not n.startswith("host_"))
            yield f"{record.record_name}: {', '.join(members)}"
    for actor in system.actors:
        calls = "; ".join(
            f"{key(call.function)}{key(call.args)}{call.target!r}{key(call.result)}" for call in actor.calls
        )
        yield f"{actor.name} {key(actor.task)} {actor.interrupts} {actor.endless}: {calls}"
    if system.at_end is not None:
        yield f"at end: {key(system.at_end.function)}{key(system.at_end.args)} {key(system.at_end_task)}"


def key_of(system: System, heap: Heap, value: Any, other: Other) -> str:
    """Return the key of an initial value; distinct values have distinct keys."""
    if value is system.kernel:
        return "kernel"
    if isinstance(value, Record):
        number = heap.numbers.get(id(value))
        return other(value) if number is None else f"<{type(value).__name__} {number}>"
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(key_of(system, heap, item, other) for item in value)})"
    if isinstance(value, type) and value.__module__.startswith("pfncache."):
        return f"{value.__module__}.{value.__qualname__}"
    if callable(value) and is_plain(getattr(value, "__func__", value), str(getattr(value, "__module__", ""))):
        receiver = key_of(system, heap, getattr(value, "__self__", None), other)
        return f"{value.__module__}.{unwrap(value).__qualname__} of {receiver}"
    return other(value)


def is_plain(function: Any, module: str) -> bool:
    """Return whether a function is one of a module of the package, and not of another function there."""
    plain = unwrap(function)
    return (
        module.startswith("pfncache.")
        and hasattr(plain, "__code__")
        and plain.__module__ == module
        and "<" not in plain.__qualname__
    )
