# SPDX-License-Identifier: GPL-2.0-only
"""Images of one actor, made by hand: its registers are saved whenever it stands still."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pfncache.check.ops import Op
from pfncache.check.program.image import (
    ACTOR,
    ACTORS,
    AT_END,
    CODE,
    CONSTANTS,
    COUNTER_FIRST_EVENT,
    FANOUT,
    HEADER,
    INSTR,
    INSTR_A,
    N_ACTORS,
    N_CONSTANTS,
    REGISTERS,
    SAVES,
    TABLES,
    VARIABLES,
    WORD,
    WORDS,
    YIELDS,
)

REGISTER_COUNT = 6
"""Registers that are saved, each in a word of its own, the first in word 1."""
CONSTANT_VALUES = (-7, 0, 1, 2, 3, 5)
"""Values of the registers behind these."""
VARIABLE_WORD = REGISTER_COUNT + 1
COLUMN = ((VARIABLE_WORD, 3, 4, -3), (VARIABLE_WORD, 20, 8, 0), (0, 0, 0, 9), (VARIABLE_WORD, 40, 1, 0))
"""Slots of a column: one of them is a constant."""
TABLE = (3, 1, 4, 1, 5)
LOW, BITS = -(1 << 62), 63
"""The slot of a register."""
COUNTER_BITS = 6


def image_of(code: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Return the image of an actor that first stands before `code`, and then at the events in it that remain."""
    rows = [[*row, *[0] * (INSTR - len(row))] for row in ((Op.EVENT, COUNTER_FIRST_EVENT), *code)]
    places = {row[INSTR_A]: at + 1 for at, row in enumerate(rows) if row[0] == Op.EVENT and row[INSTR_A] >= 0}
    assert sorted(places) == list(range(COUNTER_FIRST_EVENT, COUNTER_FIRST_EVENT + len(places)))
    yields = [(0, 0, 0), (0, 0, 0), *((places[counter], 0, REGISTER_COUNT) for counter in sorted(places))]
    saves = [(register, register + 1, 0, BITS, LOW) for register in range(REGISTER_COUNT)]
    actor = (0, 0, COUNTER_BITS, 0, WORD, (REGISTER_COUNT + 1) * WORD, -1, COUNTER_FIRST_EVENT)
    constants = [(REGISTER_COUNT + n, value) for n, value in enumerate(CONSTANT_VALUES)]
    header = np.zeros(HEADER, dtype=np.int64)
    parts: list[NDArray[np.int64]] = [header]
    tables = ((CODE, rows), (VARIABLES, COLUMN), (TABLES, TABLE), (YIELDS, yields), (SAVES, saves), (ACTORS, [actor]))
    for entry, table in (*tables, (CONSTANTS, constants)):
        header[entry] = sum(map(len, parts))
        parts.append(np.array(table, dtype=np.int64).reshape(-1))
    header[N_ACTORS], header[N_CONSTANTS], header[FANOUT] = 1, len(constants), ACTOR
    header[WORDS], header[REGISTERS], header[AT_END] = VARIABLE_WORD + 1, REGISTER_COUNT + len(constants), -1
    return np.concatenate(parts)


def state_of(registers: Sequence[int], variables: int = 0) -> NDArray[np.uint64]:
    """Return the state before the code of image_of(), with these registers, and with bits of the variables' word."""
    values = [*registers, *[0] * (REGISTER_COUNT - len(registers))]
    return np.array([COUNTER_FIRST_EVENT, *(value - LOW for value in values), variables], dtype=np.uint64)


def registers_of(state: NDArray[np.uint64]) -> list[int]:
    """Return the registers that are saved in a state."""
    return [int(word) + LOW for word in state[1 : REGISTER_COUNT + 1]]
