# SPDX-License-Identifier: GPL-2.0-only
"""How accesses are marked in C of ours, and what conditions decide about."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.litmus.event import EventKind, Order
from pfncache.litmus.generated.marks import Marks
from pfncache.litmus.generated.recorded import Recorded, SourceFrame
from pfncache.litmus.source import KernelSource

READ, WRITE = EventKind.READ, EventKind.WRITE
FILE = "virt/kvm/ours.c"


def marks(tmp_path: Path, body: str) -> Marks:
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text(f"int f(struct thing *t, int n)\n{{\n{body}\n}}\n")
    return Marks(KernelSource(tmp_path))


def at(kind: EventKind, member: str, line: int) -> Recorded:
    return Recorded(kind, f"thing.{member}", (SourceFrame(FILE, line, "f"),))


@pytest.mark.parametrize(
    ("statement", "kind", "order"),
    [
        ("n = t->a;", READ, Order.PLAIN),
        ("n = t->b;", READ, None),
        ("t->a = t->b;", WRITE, Order.PLAIN),
        ("t->a = t->b;", READ, None),
        ("t->a++;", READ, Order.PLAIN),
        ("t->a += n;", WRITE, Order.PLAIN),
        ("n = READ_ONCE(t->a);", READ, Order.ONCE),
        ("n = t->a + READ_ONCE(t->a);", READ, None),
        ("WRITE_ONCE(t->a, t->b);", WRITE, Order.ONCE),
        ("n = smp_load_acquire(&t->a);", READ, Order.ACQUIRE),
        ("rcu_assign_pointer(t->a[n], t);", WRITE, Order.RELEASE),
        ("n = test_and_set_bit(n, &t->a);", WRITE, Order.FULL),
        ("other(&t->a);", READ, None),
        ("if (READ_ONCE(t->a))\n\t\tt->a = 1;", READ, Order.ONCE),
    ],
)
def test_marks_of_a_line(tmp_path: Path, statement: str, kind: EventKind, order: Order | None) -> None:
    assert marks(tmp_path, f"\t{statement}").order(at(kind, "a", 3)) is order


def test_of_a_function_by_hand_all_accesses_have_to_agree(tmp_path: Path) -> None:
    def by_hand() -> Recorded:
        return Recorded(READ, "thing.a", (SourceFrame("ours.py", 9, "f", FILE, is_c=False),))

    assert marks(tmp_path / "one", "\tn = READ_ONCE(t->a);\n\tn = READ_ONCE(t->a);").order(by_hand()) is Order.ONCE
    assert marks(tmp_path / "both", "\tn = READ_ONCE(t->a);\n\tn = t->a;").order(by_hand()) is None


def test_barriers_of_a_function_by_hand(tmp_path: Path) -> None:
    frame = SourceFrame("ours.py", 9, "f", FILE, is_c=False)
    assert marks(tmp_path / "one", "\tsmp_rmb();\n\trcu_read_lock();").barriers(frame) == ("smp_rmb",)
    assert marks(tmp_path / "other", "\tsmp_rmb();").barriers(frame._replace(file="kernel/locking/ours.py")) == ()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("\tif (t->a)\n\t\tt->b = 1;", True),
        ("\tif (t->a)\n\t\treturn 1;\n\tt->b = 1;", True),
        ("\tif (t->a)\n\t\tn = 1;\n\tt->b = 1;", False),
        ("\tn = t->a;\n\tif (n)\n\t\tt->b = 1;", True),
        ("\tn = t->a;\n\tt->b = 1;", False),
    ],
)
def test_conditions(tmp_path: Path, body: str, expected: bool) -> None:
    line = next(number for number, text in enumerate(body.splitlines(), 3) if "t->b" in text)
    assert marks(tmp_path, body).controls(at(READ, "a", 3), at(WRITE, "b", line)) is expected
