# SPDX-License-Identifier: GPL-2.0-only
"""A test of ours beside C of ours: the same, changed in its order, and out of date."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.litmus.fit import Fitted, fit
from pfncache.litmus.protocol import Environment, LitmusTest, Thread
from pfncache.litmus.slice import Function, Slice
from pfncache.litmus.source import KernelSource

WRITER = "\tWRITE_ONCE(t->a, 1);\n\tsmp_wmb();\n\tt->b = 1;\n"
TEST = LitmusTest(
    name="ours/message",
    protects="the message",
    threads=(
        Thread(
            "writer",
            (
                Slice(
                    function=Function("ours.c", "f"),
                    tracks="a b lock",
                    body="""
                    WRITE_ONCE(*a, 1);
                    smp_wmb();
                    *b = 1;
                    """,
                ),
            ),
        ),
        Thread("reader", (Environment("a reader", "r0 = READ_ONCE(*b);\nsmp_rmb();\nr1 = READ_ONCE(*a);"),)),
    ),
    never="1:r0=1 /\\ 1:r1=0",
)


def fitted(tmp_path: Path, body: str) -> Fitted:
    (tmp_path / "ours.c").write_text(f"void f(struct thing *t)\n{{\n{body}}}\n")
    return fit(TEST, KernelSource(tmp_path))


def texts(found: Fitted) -> list[str]:
    return [step.text for step in found.threads[0]]


def test_the_same(tmp_path: Path) -> None:
    found = fitted(tmp_path, WRITER)
    assert texts(found) == ["WRITE_ONCE(*a, 1);", "smp_wmb();", "*b = 1;"]
    assert (found.differences, found.out_of_date) == ((), ())
    assert [step.event.place for step in found.threads[0]] == ["ours.c:3", "ours.c:4", "ours.c:5"]
    assert [step.is_environment for step in found.threads[1]] == [True, True, True]


@pytest.mark.parametrize(
    ("body", "expected", "differences"),
    [
        (
            WRITER.replace("\tsmp_wmb();\n", ""),
            ["WRITE_ONCE(*a, 1);", "*b = 1;"],
            ("f(): - smp_wmb()",),
        ),
        (
            "\tt->b = 1;\n\tsmp_wmb();\n\tWRITE_ONCE(t->a, 1);\n",
            ["*b = 1;", "smp_wmb();", "WRITE_ONCE(*a, 1);"],
            (
                "f(): - smp_wmb()", "f(): - write of b",
                "f(): + write of b at ours.c:3", "f(): + smp_wmb() at ours.c:4",
            ),
        ),
        (
            WRITER.replace("t->b = 1", "smp_store_release(&t->b, 1)"),
            ["WRITE_ONCE(*a, 1);", "smp_wmb();", "smp_store_release(b, 1);"],
            ("f(): - write of b", "f(): + smp_store_release(b) at ours.c:5"),
        ),
        (
            f"\tspin_lock(&t->lock);\n{WRITER}\tspin_unlock(&t->lock);\n",
            ["spin_lock(lock);", "WRITE_ONCE(*a, 1);", "smp_wmb();", "*b = 1;", "spin_unlock(lock);"],
            ("f(): + lock(lock) at ours.c:3", "f(): + unlock(lock) at ours.c:7"),
        ),
    ],
)  # fmt: skip
def test_another_order(tmp_path: Path, body: str, expected: list[str], differences: tuple[str, ...]) -> None:
    found = fitted(tmp_path, body)
    assert texts(found) == expected
    assert sorted(found.differences) == sorted(differences)
    assert found.out_of_date == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f"{WRITER}\tt->a = 0;\n", "f(): the C has 1 write of a more than the test"),
        ("\tsmp_wmb();\n\tt->b = 1;\n", "f(): the C has 1 write of a fewer than the test"),
        (WRITER.replace("t->b = 1", "atomic_inc(&t->b)"), "f(): the C has 1 atomic update of b more than the test"),
        (WRITER.replace("t->b = 1", "t->b = 1 +"), "f(): ours.c: f() cannot be read: 5: "),
    ],
)
def test_out_of_date(tmp_path: Path, body: str, reason: str) -> None:
    found = fitted(tmp_path, body)
    assert found.threads == ()
    assert found.out_of_date[0].startswith(reason)


def test_a_function_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "ours.c").write_text("void g(void)\n{\n}\n")
    assert fit(TEST, KernelSource(tmp_path)).out_of_date == ("f(): there is no function f() in ours.c",)
