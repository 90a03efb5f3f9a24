# SPDX-License-Identifier: GPL-2.0-only
"""The control flow of a step: where it joins, whether it loops, and what is live."""

from __future__ import annotations

from pfncache.check.engine.native.region import StepRegion
from pfncache.check.engine.native.rows import ProgramRows
from pfncache.check.ops import Op
from pfncache.check.program.image import COUNTER_FIRST_EVENT
from tests.check.engine.native.images import REGISTER_COUNT, image_of

ALL = frozenset(range(REGISTER_COUNT))
END = (Op.EVENT, COUNTER_FIRST_EVENT + 1)


def test_a_branch_joins_behind_it() -> None:
    code = [(Op.JZ, 0, 4), (Op.MOVE, 1, 2), (Op.JUMP, 4), (Op.MOVE, 2, 0), END, (Op.HALT,)]
    region = StepRegion(ProgramRows(image_of(code)), 0, 1)
    assert region.successors == {1: (2, 4), 2: (3,), 3: (4,), 4: (5,), 5: ()}
    assert (region.joins, region.loops) == ({4}, False)
    live = region.live()
    assert (live[5], live[4], live[2]) == (ALL, ALL - {2}, ALL - {1})


def test_a_loop_begins_at_a_join() -> None:
    code = [(Op.ADD, 1, 1, 0), (Op.JNZ, 0, 1), (Op.HALT,)]
    region = StepRegion(ProgramRows(image_of(code)), 0, 1)
    assert (region.joins, region.loops) == ({1}, True)
    assert region.live() == {1: {0, 1}, 2: {0, 1}, 3: frozenset()}
