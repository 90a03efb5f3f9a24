# SPDX-License-Identifier: GPL-2.0-only
"""Operands that an operation is tried with: zero, the ends of the model's ranges, and both sides of them."""

from __future__ import annotations

import itertools

from pfncache.check.ops import OPERATIONS, Op

EDGES = (-32769, -129, -128, -2, -1, 0, 1, 2, 3, 127, 128, 255, 256, 32767, 2**31 - 1)
SHIFTS = (0, 1, 2, 7, 15)


def operands_of(op: Op) -> list[tuple[int, ...]]:
    """Values of the registers that an operation reads, where its result is defined and fits 64 bits."""
    if op in (Op.SHL, Op.SHR):
        return list(itertools.product(EDGES, SHIFTS))
    divides = op in (Op.DIV, Op.MOD)
    return [values for values in itertools.product(EDGES, repeat=OPERATIONS[op].reads) if not divides or values[1] > 0]
