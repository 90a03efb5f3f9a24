# SPDX-License-Identifier: GPL-2.0-only
"""Detects that a user's file changes the model itself, which would change every design, instead of patching it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from pfncache.lang.records import Record

ROOMS = ("pfncache.linux.", "pfncache.properties.", "pfncache.lang.records", "pfncache.lang.atomic")
"""Beginnings of the names of the modules that are compared."""
KEPT = (type, int, staticmethod, classmethod, property)
"""Types of the values, besides callables, that never change by themselves."""
LAZY = "_finalised"
"""Member of a record class that is set when the first record is made."""
MISSING = object()


class KernelSnapshot:
    """The functions, classes and constants of the model at one time."""

    def __init__(self) -> None:
        self._before = {place: (owner, _values(owner)) for place, owner in _owners()}
        self._records = {n: r for n, r in Record.registry.items() if r.__module__.startswith("pfncache.")}

    def restore(self) -> str | None:
        """Undo what was changed since; return the name of the first that was, or None."""
        changed: str | None = None
        for place, (owner, before) in self._before.items():
            now = _values(owner)
            if now == before:
                continue
            for name in [*before, *(now.keys() - before.keys())]:
                old, new = before.get(name, MISSING), now.get(name, MISSING)
                if old is new or (old is MISSING and not isinstance(owner, type)):
                    continue  # what is new in a module hides nothing
                changed = changed or f"{place}.{name}"
                delattr(owner, name) if old is MISSING else setattr(owner, name, old)
        for name, record in self._records.items():
            if Record.registry.get(name) is not record:
                changed = changed or f"the record {name}"
                Record.registry[name] = record
        return changed


def _owners() -> Iterator[tuple[str, Any]]:
    """Yield the modules of the model that are imported, and their classes, by name."""
    for name, module in list(sys.modules.items()):
        if name.startswith(ROOMS):
            yield name.rpartition(".")[2], module
            for value in list(vars(module).values()):
                if isinstance(value, type) and value.__module__ == name:
                    yield value.__name__, value


def _values(owner: Any) -> dict[str, Any]:
    values = {n: v for n, v in vars(owner).items() if n != LAZY and not n.startswith("__")}
    return {n: v for n, v in values.items() if callable(v) or isinstance(v, KEPT)}
