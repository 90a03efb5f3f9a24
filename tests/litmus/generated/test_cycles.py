# SPDX-License-Identifier: GPL-2.0-only
"""Cycles of operations of ours, and their litmus tests."""

from __future__ import annotations

from pathlib import Path

from pfncache.litmus.event import EventKind
from pfncache.litmus.generated.cycles import Cycle, conflicts_of, cycles_of
from pfncache.litmus.generated.encode import encode
from pfncache.litmus.generated.marks import Marks
from pfncache.litmus.generated.recorded import Recorded, RecordedOperation, SourceFrame
from pfncache.litmus.source import KernelSource

FILE = "virt/kvm/ours.c"
C = """void writer(struct thing *t)
{
	t->data = 1;
	smp_wmb();
	WRITE_ONCE(t->flag, 1);
}
void reader(struct thing *t)
{
	if (!READ_ONCE(t->flag))
		return;
	n = t->data;
}
"""
READ, WRITE, LOCK, UNLOCK, FENCE = (
    EventKind.READ, EventKind.WRITE, EventKind.LOCK, EventKind.UNLOCK, EventKind.FENCE,
)  # fmt: skip


def event(kind: EventKind, name: str, function: str, line: int, value: str = "", old: str = "") -> Recorded:
    return Recorded(kind, name, (SourceFrame(FILE, line, function),), value, old)


WRITER = [
    event(WRITE, "t.data", "writer", 3, value="1", old="0"),
    event(FENCE, "smp_wmb", "writer", 4),
    event(WRITE, "t.flag", "writer", 5, value="1", old="0"),
]
READER = [
    event(READ, "t.flag", "reader", 9, value="1"),
    event(READ, "t.data", "reader", 11, value="1"),
]


def cycles_and_texts(tmp_path: Path, *operations: list[Recorded]) -> list[tuple[Cycle, str]]:
    """The cycles of one operation of each actor, and their tests with the marks of the C."""
    (tmp_path / FILE).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / FILE).write_text(C)
    marks = Marks(KernelSource(tmp_path))
    done = [RecordedOperation(chr(ord("a") + n), "f", tuple(events)) for n, events in enumerate(operations)]
    conflicts = conflicts_of(done, lambda one: marks.order(one) is not None)
    return [(cycle, encode(cycle, marks).race_text) for cycle in cycles_of(conflicts, marks.controls)]


def test_a_message_is_one_cycle(tmp_path: Path) -> None:
    ((_, text),) = cycles_and_texts(tmp_path, WRITER, READER)
    assert text == (
        "C cycle\n\n{}\n\n"
        "P0(int *x0, int *x1)\n{\n\t*x0 = 1;\n\tsmp_wmb();\n\tWRITE_ONCE(*x1, 1);\n}\n\n"
        "P1(int *x1, int *x0)\n{\n\tint r_x1;\n\tint r_x0;\n"
        "\tr_x1 = READ_ONCE(*x1);\n\tif (r_x1 == 1) { r_x0 = *x0; }\n}\n\n"
        "exists (1:r_x1=1 /\\ 1:r_x0=0)\n"
    )


def test_a_reader_that_has_found_the_old_flag_does_not_read_the_data_of_the_new_one(tmp_path: Path) -> None:
    old = event(READ, "t.flag", "reader", 9, value="0")
    assert cycles_and_texts(tmp_path, WRITER, [old, READER[1]]) == []


def test_what_one_lock_is_held_over_is_no_cycle(tmp_path: Path) -> None:
    def locked(events: list[Recorded]) -> list[Recorded]:
        return [event(LOCK, "l", "f", 1), *events, event(UNLOCK, "l", "f", 1)]

    assert cycles_and_texts(tmp_path, locked(WRITER), locked(READER)) == []
    assert len(cycles_and_texts(tmp_path, locked(WRITER), READER)) == 1


def test_a_lock_of_one_thread_is_in_its_test_where_it_ends_between_the_accesses(tmp_path: Path) -> None:
    events = [event(LOCK, "l", "f", 1), READER[0], event(UNLOCK, "l", "f", 1), READER[1]]
    ((_, text),) = cycles_and_texts(tmp_path, WRITER, events)
    assert "\tspin_lock(l0);\n\tr_x1 = READ_ONCE(*x1);\n\tspin_unlock(l0);\n" in text


def test_an_address_is_followed(tmp_path: Path) -> None:
    publish = [
        event(WRITE, "new.data", "writer", 3, value="1", old="0"),
        event(WRITE, "t.flag", "writer", 5, value="new", old="old"),
    ]
    follow = [
        event(READ, "t.flag", "reader", 9, value="new"),
        event(READ, "new.data", "reader", 11, value="1"),
    ]
    ((cycle, text),) = cycles_and_texts(tmp_path, publish, follow)
    assert cycle.segments[1].is_address_dependent
    assert "WRITE_ONCE(*x1, x0);" in text
    assert "r_x0 = *r_x1;" in text
    assert "exists (1:r_x1=x0 /\\ 1:r_x0=0)" in text


def test_three_actors(tmp_path: Path) -> None:
    first = [event(WRITE, "t.data", "writer", 3, value="1", old="0")]
    second = [event(READ, "t.data", "reader", 11, value="1"), event(WRITE, "t.flag", "writer", 5, value="1", old="0")]
    found = [cycle for cycle, _ in cycles_and_texts(tmp_path, first, second, READER) if len(cycle.segments) == 3]
    assert [[s.actor for s in cycle.segments] for cycle in found] == [["a", "b", "c"]]
    assert [[access.event.name for access in s.accesses] for s in found[0].segments] == [
        ["t.data"], ["t.data", "t.flag"], ["t.flag", "t.data"],
    ]  # fmt: skip
