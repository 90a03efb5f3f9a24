# SPDX-License-Identifier: GPL-2.0-only
"""The image of a program in Python has what the linker put into it."""

from __future__ import annotations

from pfncache.check.engine.native.rows import ProgramRows, places_of
from pfncache.check.ops import Op
from pfncache.check.program.image import COUNTER_FIRST_EVENT
from tests.check import toys
from tests.check.engine.native.images import BITS, LOW, REGISTER_COUNT, image_of


def test_places_are_those_of_events() -> None:
    program = toys.program([toys.increment], [toys.set_flag, toys.first_then_other])
    rows = ProgramRows(program.image)
    assert [len(places) for places in rows.places] == [len(events) - COUNTER_FIRST_EVENT for events in program.events]
    assert places_of(program.image) == sum(map(len, program.events))
    assert [rows.actor_of(place) for places in rows.places for place in places] == [
        actor for actor, places in enumerate(rows.places) for _ in places
    ]
    assert [counter.mask for counter in rows.counters] == [slot.mask for slot in program.actor_slots]


def test_saved_registers() -> None:
    rows = ProgramRows(image_of([(Op.HALT,)]))
    resume = rows.resume(COUNTER_FIRST_EVENT)
    assert resume.at == 1
    assert [(register, slot.word, slot.bits, slot.low) for register, slot in resume.saves] == [
        (n, n + 1, BITS, LOW) for n in range(REGISTER_COUNT)
    ]
    assert rows.cleared(0) == {0: 63} | dict.fromkeys(range(1, REGISTER_COUNT + 1), (1 << 64) - 1)
