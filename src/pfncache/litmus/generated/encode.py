# SPDX-License-Identifier: GPL-2.0-only
"""A cycle as a litmus test: the state that it asks for is reached by no sequentially consistent execution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pfncache.litmus.event import EventKind, MemoryEvent, Order
from pfncache.litmus.generated.cycles import Cycle
from pfncache.litmus.generated.marks import Marks
from pfncache.litmus.generated.recorded import Recorded
from pfncache.litmus.generated.segment import Segment, SharedAccess
from pfncache.litmus.protocol import LitmusTest
from pfncache.litmus.render import render
from pfncache.litmus.step import Step, marked

Threads = tuple[tuple[Step, ...], ...]
_SECTIONS = {EventKind.LOCK: EventKind.UNLOCK, EventKind.SRCU_LOCK: EventKind.SRCU_UNLOCK}
_ENDS = {end: begin for begin, end in _SECTIONS.items()}
_KEPT = {*_SECTIONS, *_ENDS, EventKind.FENCE, EventKind.SRCU_SYNC}
_FULL_BARRIER = Step(MemoryEvent(EventKind.FENCE, "smp_mb"))


@dataclass(frozen=True, kw_only=True)
class CycleTest:
    """A litmus test of a cycle. Two of the same text are the same question."""

    cycle: Cycle
    test: LitmusTest
    threads: Threads
    gaps: tuple[tuple[int, int], ...]
    """By thread with two accesses: its number, and the place of its last access."""
    unseen: tuple[str, ...]
    """Barriers that the C has in functions that are by hand in the model: the test is without them."""

    @property
    def order_text(self) -> str:
        """The test with each access marked."""
        return self.text(tuple(marked(steps) for steps in self.threads))

    @property
    def race_text(self) -> str:
        """The test with the marks of the C."""
        return self.text(self.threads)

    def text(self, threads: Threads) -> str:
        """Return the test with other threads."""
        return render(self.test, threads)


def encode(cycle: Cycle, marks: Marks) -> CycleTest:
    """Return the litmus test of a cycle, with canonical names."""
    return _Encoder(cycle, marks).encoded()


class _Encoder:
    def __init__(self, cycle: Cycle, marks: Marks) -> None:
        self._cycle = cycle
        self._marks = marks
        self._names: dict[str, str] = {}
        lists = [_locked(segment) for segment in cycle.segments]
        self._readers = {lock.name for locks in lists for lock in locks if not lock.is_exclusive}
        self._writers = {lock.name for locks in lists for lock in locks if lock.is_exclusive}
        counts = [{lock.name for lock in locks} for locks in lists]
        self._common = {name for names in counts for name in names if sum(name in other for other in counts) > 1}
        self._has_grace_period = any(e.kind is EventKind.SRCU_SYNC for s in cycle.segments for e in s.between)
        self._values = self._written()
        dependent = [segment for segment in cycle.segments if segment.is_address_dependent]
        self._addresses = {s.first.event.name: self._name(s.last.event.name, "x") for s in dependent}
        """By variable that has an address: the variable of the test that is there."""
        self._pointers = [self._name(name, "x") for name in self._addresses]

    def encoded(self) -> CycleTest:
        threads, gaps, unseen = [], [], []
        for number, segment in enumerate(self._cycle.segments):
            steps = _shortened(list(self._thread(number, segment)))
            threads.append(tuple(steps))
            if not segment.is_single:
                gaps.append((number, max(n for n, step in enumerate(steps) if step.event.is_access)))
                unseen += self._unseen(segment)
        never = " /\\ ".join(self._outcome())
        test = LitmusTest(
            name="cycle", protects="sequential consistency", threads=(), never=never,
            init=" ".join(f"{name}=nothing;" for name in self._pointers), pointers=" ".join(self._pointers),
        )  # fmt: skip
        return CycleTest(
            cycle=self._cycle, test=test, threads=tuple(threads), gaps=tuple(gaps), unseen=tuple(dict.fromkeys(unseen))
        )

    def _written(self) -> dict[int, int]:
        """Return what each write of the cycle writes, by its access: 1, or 2 if it comes after another write."""
        values: dict[int, int] = {}
        for before, after in self._cycle.edges:
            if before.event.writes:
                values.setdefault(id(before), 1)
            if after.event.writes:
                values[id(after)] = values.get(id(before), 0) + 1
        return values

    def _outcome(self) -> Iterator[str]:
        """Yield the conditions of the state: a read finds what is before it in the cycle, and nothing later."""
        numbers = {id(a): n for n, segment in enumerate(self._cycle.segments) for a in segment.accesses}
        for before, after in self._cycle.edges:
            if not after.event.writes:
                yield f"{numbers[id(after)]}:{self._register(after)}={self._value(before)}"
            elif not before.event.writes:
                yield f"{numbers[id(before)]}:{self._register(before)}={self._values[id(after)] - 1}"
            else:
                yield f"{self._name(after.event.name, 'x')}={self._values[id(after)]}"

    def _value(self, access: SharedAccess) -> str:
        """Return what a write writes."""
        return self._addresses.get(access.event.name, str(self._values[id(access)]))

    def _register(self, access: SharedAccess) -> str:
        return f"r_{self._name(access.event.name, 'x')}"

    def _name(self, of: str, prefix: str) -> str:
        key = f"{prefix} {of}"
        if key not in self._names:
            self._names[key] = f"{prefix}{sum(known.startswith(f'{prefix} ') for known in self._names)}"
        return self._names[key]

    # Threads

    def _thread(self, number: int, segment: Segment) -> Iterator[Step]:
        held = [lock for lock in segment.first.held if self._is_kept(segment, lock)]
        for lock in held:
            yield from self._section(number, lock)
        yield from self._access(segment.first)
        if not segment.is_single:
            for event in segment.between:
                if event.is_call or event.kind not in _KEPT:
                    yield from self._full(event)
                    continue
                begins = event.kind in _SECTIONS
                if event.kind in _ENDS:
                    taken = [e for e in held if (e.kind, e.name) == (_ENDS[event.kind], event.name)]
                    if not taken:
                        continue
                    held.remove(taken[-1])
                elif begins:
                    if not self._is_kept(segment, event):
                        continue
                    held.append(event)
                yield from self._section(number, event)
            yield from self._access(segment.last, after=segment.first)
        for lock in reversed(held):
            yield from self._section(number, replace(lock, kind=_SECTIONS[lock.kind]))

    def _is_kept(self, segment: Segment, lock: Recorded) -> bool:
        """Whether a lock is in the test: others take it, or it is not held over the whole of the segment."""
        if lock.kind is EventKind.SRCU_LOCK and not self._has_grace_period:
            return any(e.name == "smp_mb__after_srcu_read_unlock" for e in segment.between)
        if lock.name in self._common:
            return True
        return not (lock in segment.first.held and lock in segment.last.held)

    def _section(self, number: int, event: Recorded) -> Iterator[Step]:
        if event.kind is EventKind.FENCE:
            yield Step(MemoryEvent(EventKind.FENCE, event.name))
            return
        own = ""
        if event.kind in (EventKind.LOCK, EventKind.UNLOCK) and event.name in self._readers:
            # Readers do not exclude each other: each has a lock of its own, which orders its accesses alone.
            own = f" {number}" if event.name not in self._writers else ""
        yield Step(MemoryEvent(event.kind, self._name(event.name + own, "l")))

    def _access(self, access: SharedAccess, after: SharedAccess | None = None) -> Iterator[Step]:
        event = access.event
        order = self._marks.order(event)
        conditions: tuple[str, ...] = ()
        through = ""
        if after is not None and after.event.name in self._addresses:
            through = self._register(after)
        elif after is not None and not after.event.writes and self._marks.controls(after.event, event):
            before = next(one for one, other in self._cycle.edges if other is after)
            conditions = (f"{self._register(after)} == {self._value(before)}",)
        if order is Order.FULL:
            yield _FULL_BARRIER
        name = self._name(event.name, "x")
        kind = EventKind.WRITE if event.writes else EventKind.READ
        shown = Order.ONCE if order in (Order.FULL, Order.RELAXED) else order or Order.PLAIN
        done = MemoryEvent(
            kind, name, shown, place=f"{event.frame.file}:{event.frame.line}", function=event.frame.function
        )
        if event.writes:
            yield Step(done, conditions, value=self._value(access), through=through)
        else:
            yield Step(done, conditions, register=self._register(access), through=through)
        if order is Order.FULL:
            yield _FULL_BARRIER

    def _full(self, event: Recorded) -> Iterator[Step]:
        """Yield the barrier of an atomic update that is a full one."""
        if event.is_access and self._marks.order(event) is Order.FULL:
            yield _FULL_BARRIER

    def _unseen(self, segment: Segment) -> list[str]:
        calls = [event.stack[-1] for event in segment.between if event.is_call]
        return [f"{name}() in {frame.function}()" for frame in calls for name in self._marks.barriers(frame)]


def _locked(segment: Segment) -> Sequence[Recorded]:
    """Return the locks that a segment holds and takes."""
    taken = () if segment.is_single else (e for e in segment.between if e.kind in _SECTIONS)
    return [lock for lock in (*segment.first.held, *taken) if lock.kind is EventKind.LOCK]


def _shortened(steps: list[Step]) -> list[Step]:
    """Return the steps without what is more than two empty sections of one lock in a row: it orders no more."""
    found: list[Step] = []
    for step in steps:
        found.append(step)
        if step.event.kind is EventKind.UNLOCK and found[-6:-4] == found[-4:-2] == found[-2:]:
            del found[-2:]
    return found
