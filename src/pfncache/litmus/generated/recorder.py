# SPDX-License-Identifier: GPL-2.0-only
"""Executes a scenario's operations, one after the other in each order, and records what each of them does.

The functions are those of the kernel's C, translated. An operation that other actors do not interleave takes one path
through them; each order of the operations gives it another state to begin with.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pfncache.lang
from pfncache.check.replay import SOURCE_ERRORS
from pfncache.check.system import Heap, System
from pfncache.lang import locks
from pfncache.lang.atomic import WouldBlock
from pfncache.lang.part_of import CALLER, linux_name
from pfncache.lang.records import Record
from pfncache.lang.tracing import run_as, tracing
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemslots
from pfncache.linux.kernel.rcu.srcutree import SrcuStruct
from pfncache.litmus.event import EventKind
from pfncache.litmus.generated.recorded import Recorded, RecordedOperation, SourceFrame
from pfncache.litmus.primitives import FENCES
from pfncache.verify.trace import KERNEL

MAX_ORDERS = 64
"""Orders of a scenario's operations."""
MAX_EVENTS = 20_000
"""Events of one operation; one that does not end alone is cut there."""
RCU = {"__rcu_read_lock": "rcu_read_lock", "__rcu_read_unlock": "rcu_read_unlock", "rcu_do_batch": "synchronize_rcu"}
_LANGUAGE = str(Path(pfncache.lang.__file__).parent)
_CITED = re.compile(r"Linux: (\S+\.[ch]) ")
_FENCE = re.compile(rf"\b({'|'.join(FENCES)})\(\)")


class _TooLong(Exception):
    """An operation that does not end."""


def record(system: System, tree: Path) -> list[RecordedOperation]:
    """Return what each operation does in each order, without repetitions. `tree` is the kernel tree of the C."""
    pools = Heap.of(system).pools
    saved = [(r, dict(r.__dict__)) for pool in pools.values() for r in pool]
    found: dict[RecordedOperation, None] = {}
    for order in itertools.islice(_orders([len(actor.calls) for actor in system.actors]), MAX_ORDERS):
        following = [iter(actor.calls) for actor in system.actors]
        try:
            for number in order:
                actor, call = system.actors[number], next(following[number])
                recorder = _Recorder(tree, pools)
                done = recorder.run(call.function, call.args, actor.task)
                found[RecordedOperation(actor.name, call.function.__name__, tuple(recorder.events), done)] = None
                if not done:
                    break
        finally:
            for one, values in saved:
                one.__dict__.clear()
                one.__dict__.update(values)
    return list(found)


def _orders(counts: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield each order of the operations of all actors that keeps the order of each of them."""
    if not any(counts):
        yield ()
    for number, count in enumerate(counts):
        if count:
            for rest in _orders([c - (n == number) for n, c in enumerate(counts)]):
                yield number, *rest


class _Recorder:
    """A tracer of accesses, and of the lines and calls of C, of locks and of functions by hand."""

    def __init__(self, tree: Path, pools: Mapping[type[Record], Sequence[Record]]) -> None:
        self._pools = pools
        self.events: list[Recorded] = []
        self._tree = f"{tree}/"
        self._fences: dict[str, dict[int, list[str]]] = {}

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...], task: Any) -> bool:
        """Execute an operation. Returns whether it has come to its end."""
        before = sys.gettrace()
        try:
            with run_as(task), tracing(self):
                sys.settrace(self._trace)
                function(*arguments)
        except (*SOURCE_ERRORS, WouldBlock, _TooLong):
            return False
        finally:
            sys.settrace(before)
        return True

    # The interface of lang.tracing.Tracer

    def access(self, record: Record, field: str) -> None:
        """Record an access as a read; `changed` makes it a write."""
        value = str(record.__dict__[field])
        self._add(Recorded(EventKind.READ, f"{record}.{field}", self._stack(sys._getframe(2)), value, value))

    def changed(self, record: Record, field: str, old: Any, new: Any) -> None:
        """Make the last access a write."""
        last = self.events[-1]
        is_private = any(last.is_of(str(one)) for one in self._inactive())
        self.events[-1] = Recorded(EventKind.WRITE, last.name, last.stack, str(new), str(old), is_private=is_private)

    def _inactive(self) -> Iterator[Record]:
        """Return the sets of memslots that are not active."""
        active = [kvm.__dict__["memslots"] for kvm in self._pools.get(Kvm, ())]
        return (one for one in self._pools.get(KvmMemslots, ()) if not any(one is other for other in active))

    def enter_atomic(self, function: Callable[..., Any]) -> None:
        """Ignore the start of an atomic step: `_trace` sees its calls."""

    def leave_atomic(self) -> None:
        """Ignore its end."""

    def choose(self, options: int) -> int:
        """Return the first outcome."""
        return 0

    def _add(self, event: Recorded) -> None:
        if len(self.events) == MAX_EVENTS:
            raise _TooLong
        self.events.append(event)

    # Lines and calls

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        is_c = code.co_filename.startswith(self._tree)
        if event == "call":
            self._call(frame, code, is_c)
        elif event == "line" and is_c:
            for name in self._fences_of(code.co_filename).get(frame.f_lineno, ()):
                self._add(Recorded(EventKind.FENCE, name, self._stack(frame)))
        return self._trace if is_c else None

    def _call(self, frame: FrameType, code: CodeType, is_c: bool) -> None:
        values = frame.f_locals
        if code is locks.lock_acquire.__code__:
            self._lock(values["lock"], values["exclusive"], values["excludes"], frame)
        elif code is locks.lock_release.__code__:
            lock = values["lock"]
            kind = EventKind.SRCU_UNLOCK if isinstance(lock, SrcuStruct) else EventKind.UNLOCK
            self._add(Recorded(kind, str(lock), self._stack(frame)))
        elif not is_c and code.co_filename.startswith(f"{KERNEL}/"):
            name = linux_name(code)
            if name in RCU:
                self._add(Recorded(EventKind.FENCE, RCU[name], self._stack(frame)))
            elif name != CALLER:
                self._add(Recorded(EventKind.FENCE, name, self._stack(frame), is_call=True))

    def _lock(self, lock: Record, exclusive: bool, excludes: bool, frame: FrameType) -> None:
        stack = self._stack(frame)
        if excludes:
            self._add(Recorded(EventKind.LOCK, str(lock), stack, is_exclusive=exclusive))
        elif isinstance(lock, SrcuStruct):
            kind = EventKind.SRCU_SYNC if exclusive else EventKind.SRCU_LOCK
            self._add(Recorded(kind, str(lock), stack))

    def _fences_of(self, file: str) -> dict[int, list[str]]:
        """Return the fences of a C file by line."""
        if file not in self._fences:
            lines = enumerate(Path(file).read_text().splitlines(), 1)
            self._fences[file] = {n: [FENCES[f] for f in found] for n, line in lines if (found := _FENCE.findall(line))}
        return self._fences[file]

    def _stack(self, frame: FrameType | None) -> tuple[SourceFrame, ...]:
        found: list[SourceFrame] = []
        while frame is not None and frame.f_code.co_filename != __file__:
            code = frame.f_code
            if code.co_filename.startswith(self._tree):
                found.append(SourceFrame(code.co_filename.removeprefix(self._tree), frame.f_lineno, linux_name(code)))
            elif code.co_filename.startswith(f"{KERNEL}/"):
                found.append(self._by_hand(code, frame.f_lineno))
            frame = frame.f_back
        return tuple(reversed(found))

    def _by_hand(self, code: CodeType, line: int) -> SourceFrame:
        text = code.co_consts[0] if code.co_consts and isinstance(code.co_consts[0], str) else ""
        cited = _CITED.search(text)
        file = code.co_filename.removeprefix(f"{KERNEL}/")
        return SourceFrame(file, line, linux_name(code), cited[1] if cited is not None else "", is_c=False)
