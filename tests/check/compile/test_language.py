# SPDX-License-Identifier: GPL-2.0-only
"""What the model's language does not have is refused with file, line and what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.source import CompileError
from pfncache.check.ops import Op
from pfncache.lang.atomic import block_until, host_only
from pfncache.lang.choose import choose
from pfncache.lang.report import report
from tests.check import toys
from tests.check.toys import Box


def with_try(shared: Box) -> None:
    try:
        shared.count = 1
    finally:
        shared.count = 2


def with_lambda(shared: Box) -> None:
    one: Callable[[], int] = lambda: 1  # noqa: E731
    shared.count = one()


def with_comprehension(shared: Box) -> None:
    values = [c.value for c in shared.cells]
    shared.count = len(values)


def with_list_to_walk(shared: Box) -> None:
    for cell in range(shared.count):
        shared.count = cell


def with_unknown_member(shared: Box) -> None:
    shared.colour = 1  # type: ignore[attr-defined]


def with_recursion(shared: Box) -> None:
    with_recursion(shared)


def with_choice_outside_atomic(shared: Box) -> None:
    shared.count = choose(2)


def with_wait_outside_atomic(shared: Box) -> None:
    block_until(shared.flag)


def with_computed_kind(shared: Box) -> None:
    report(f"kind {shared.count}", "no")


def with_plain_guard(shared: Box) -> None:
    with open("file"):
        shared.count = 1


def with_host_call(shared: Box) -> None:
    print(shared)


def with_part_replaced(shared: Box) -> None:
    shared.lock = shared.other


class Bytes:
    """A kernel image with a function that moves real bytes."""

    host_execution = False

    @host_only
    def host_put(self, count: int) -> None:
        """Nothing to move here."""


BYTES = Bytes()


def with_host_only_read(shared: Box) -> None:
    BYTES.host_put(shared.count + 1)


def with_host_only_read_later(shared: Box) -> None:
    BYTES.host_put(
        count=shared.count,
    )


def with_host_only_local(shared: Box) -> None:
    count = shared.count
    BYTES.host_put(count + 1)


@pytest.mark.parametrize(
    ("function", "offset", "what"),
    [
        (with_try, 1, "try is not in the model's language: use if, while, for, with, return and assignments"),
        (with_lambda, 1, "a lambda is not in the model's language"),
        (with_comprehension, 1, "a list comprehension is not in the model's language"),
        (with_list_to_walk, 1, "range() requires constants: compare and branch instead"),
        (with_unknown_member, 1, "Box has no scalar 'colour'; its scalars: count, flag, sequence, thing"),
        (with_recursion, 1, "calls nest too deeply: the model's language has no recursion"),
        (with_choice_outside_atomic, 1, "choose() requires a constant number of outcomes, inside an atomic function"),
        (with_wait_outside_atomic, 1, "block_until() belongs at the start of an atomic function"),
        (with_computed_kind, 1, "an f-string is not in the model's language: use a plain expression"),
        (with_plain_guard, 1, "open is not a guard: decorate it with @guard"),
        (with_host_call, 1, "'print' is not a model function and not in the model's language"),
        (with_host_only_read, 1, "shared.count + 1 reads shared state, but BYTES.host_put() is host_only"),
        (
            with_host_only_read_later,
            2,
            "shared.count reads shared state, but BYTES.host_put() is host_only",
        ),
        (with_part_replaced, 1, "Box has no scalar 'lock'; its scalars: count, flag, sequence, thing"),
    ],
)
def test_refusal(function: Callable[..., Any], offset: int, what: str) -> None:
    with pytest.raises(CompileError) as caught:
        compile_system(toys.system(toys.increment, function))
    assert what in caught.value.what
    assert caught.value.where.file == __file__
    assert caught.value.where.line == function.__code__.co_firstlineno + offset


def test_a_local_may_be_given_to_host_only() -> None:
    compiled = compile_system(toys.system(toys.increment, with_host_only_local))
    assert sum(instr.op == Op.EVENT for instr in compiled.codes[1].instrs) == 1
