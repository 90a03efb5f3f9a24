# SPDX-License-Identifier: GPL-2.0-only
"""One call while it is compiled: what its code depends on, and what it writes."""

from __future__ import annotations

from typing import Any

from pfncache.check.compile.facts import RUNNING, SystemFacts
from pfncache.check.compile.function_code import FunctionCode
from pfncache.check.compile.memo import Memo
from pfncache.check.compile.queries import Queries
from pfncache.check.compile.values import Const, Kind, RefKind, kind_of_hint
from pfncache.check.compile.writes import Assumed, Writes
from pfncache.check.ir import Column, Variable
from pfncache.check.system import Heap
from pfncache.lang.records import Record


class Unit:
    """The system as the code of one call sees it. Whatever is read of it is recorded."""

    def __init__(self, memo: Memo, facts: SystemFacts, assumed: Assumed, coverage: bool = False) -> None:
        self.memo = memo
        self.facts = facts
        self.assumed = assumed
        self.coverage = coverage
        """Mark each line."""
        self.needed = 0
        """Mask of the facts that the code depends on."""
        self.entry = assumed.varying
        """What varies in any case; what varies later does so because the code itself writes it."""
        self.asked = 0
        """Mask of the places of which it matters whether they vary at the entry."""
        self.varying = 0
        """Those of `asked` that vary."""
        self.writes = Writes()
        self.used = 0
        """Mask of the names of the kernel's functions that the code is compiled from."""

    def inner(self) -> Unit:
        """Return the unit of an inlined call."""
        return Unit(self.memo, self.facts, self.assumed, self.coverage)

    @property
    def heap(self) -> Heap:
        """Every record of the system."""
        return self.facts.queries.heap

    @property
    def queries(self) -> Queries:
        """The system without its actors."""
        return self.facts.queries

    def find(self, key: object) -> FunctionCode | None:
        """Return code of the memo that is valid here; None if there is none."""
        return self.memo.find(key, self.facts, self.assumed)

    def include(self, code: FunctionCode) -> None:
        """Depend on all that the code of an inlined call depends on."""
        self.needed |= code.facts
        self._ask(code.asked, code.varying)
        self.write(code.writes)
        self.used |= code.used

    def key_of(self, value: Any) -> object:
        """Return the key of a constant."""
        return self.facts.key(value)

    # What the code depends on

    def depend_on(self, *query: Any) -> None:
        """Record that the code depends on the answer to a query: on ``query[0](queries, *query[1:])``."""
        self.needed |= self.facts.bit(query)

    def initial(self, record: Record, name: str) -> Const:
        """Return the value of a scalar that no actor writes."""
        self.depend_on(Queries.scalar, self.heap.variable(record, name))
        return Const(record.__dict__[name])

    def part(self, record: Record, name: str) -> Any:
        """Return what is embedded in a record: another one, or a tuple of them."""
        self.depend_on(Queries.part, *self.heap.ref(record), name)
        return record.__dict__[name]

    def slab_owner(self, record: Record) -> Record | None:
        """Return the dynamically allocated record that a record is a part of."""
        self.depend_on(Queries.slab_owner, *self.heap.ref(record))
        return record.slab_owner

    def role(self, record: Record) -> str:
        """Return the role of a record."""
        self.depend_on(Queries.role, *self.heap.ref(record))
        return record.role

    def pool(self, kind: type[Record]) -> list[Record]:
        """Return the records of a class, by number from 1."""
        self.depend_on(Queries.size, kind)
        return self.heap.pools.get(kind, [])

    def kind_of_hint(self, hint: Any) -> Kind | None:
        """Return the kind of value that an annotation allows; of a structure that a patch extends, the longer one."""
        kind = kind_of_hint(hint)
        if isinstance(kind, RefKind):
            self.depend_on(Queries.extension, kind.record)
        return self.heap.kind(kind)

    def running(self) -> Const:
        """Return the task that runs the code."""
        self.depend_on(*RUNNING)
        return Const(self.queries.task)

    def inspect(self, value: Any) -> None:
        """Depend on all that a function of Python may read of a record, or of records in a tuple."""
        if isinstance(value, Record):
            for name in type(value).parts:
                self.part(value, name)
        elif isinstance(value, tuple | list):
            for item in value:
                self.inspect(item)

    def varies(self, variable: Variable) -> bool:
        """Return Written.varies() for the writes of all actors."""
        return self._varies(variable)

    def varies_any(self, column: Column) -> bool:
        """Return whether some actor may write some variable of a column."""
        return self._varies(column)

    def _varies(self, place: Variable | Column) -> bool:
        bit = self.memo.places.bit(place)
        varying = self.assumed.varying & bit
        self._ask(bit, varying)
        return bool(varying)

    def _ask(self, places: int, varying: int) -> None:
        """Record that it matters that of some places, these vary and the others do not."""
        self.asked |= places & (self.entry | ~varying)
        self.varying |= varying & self.entry

    # What it writes

    def write(self, writes: Writes) -> None:
        """Record what is written. What is compiled from here on is compiled beside it."""
        self.writes |= writes
        self.assumed.add(writes)

    def store(self, variable: Variable) -> None:
        """Record that a scalar of a known record is written."""
        self.write(Writes(variables=self.memo.places.bit(variable)))

    def store_any(self, column: Column) -> None:
        """Record that a scalar of some record is written."""
        self.write(Writes(columns=self.memo.places.bit(column)))

    def mix(self, column: Column) -> None:
        """Record that a scalar of some record is read, although some other one may be the only one that is written."""
        self.write(Writes(mixed=self.memo.places.bit(column)))

    def use(self, name: str) -> None:
        """Record that a function of the kernel is used."""
        self.used |= self.memo.names.bit(name)
