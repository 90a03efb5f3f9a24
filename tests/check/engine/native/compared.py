# SPDX-License-Identifier: GPL-2.0-only
"""Native steps beside the interpreter's, each called on its own."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine import interpreter
from pfncache.check.engine.interpreter import BLOCKED, OUT_CHOICES, STEPPED, SYMMETRIC, counter_of, may_run
from pfncache.check.engine.native.place import INTERPRET
from pfncache.check.engine.native.steps import NativeSteps
from pfncache.check.program.image import ACTOR, ACTOR_FIRST_YIELD, ACTORS, N_ACTORS, REGISTERS

POINTER = ctypes.c_void_p
FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int64, POINTER, POINTER, POINTER, POINTER, ctypes.c_int64)


class Compared:
    """A program with both kinds of steps. A step in which they differ fails the test."""

    def __init__(self, image: NDArray[np.int64], covered: int = 1, has_long_steps: bool = False) -> None:
        self.image = image
        self.has_long_steps = has_long_steps
        """Whether a step that the interpreter takes may be too long for a native one."""
        self.native = NativeSteps(image)
        self.native.compile()
        assert self.native.error is None
        self.registers = np.zeros(int(image[REGISTERS]) + 1, dtype=np.int64)
        interpreter.prepare(image, self.registers)
        self.out, self.native_out = interpreter.new_out(image), interpreter.new_out(image)
        self.cover, self.native_cover = np.zeros((2, max(1, covered)), dtype=np.uint8)
        self.results: Counter[int] = Counter()
        """How often a native step has had which result."""

    def step(self, state: NDArray[np.uint64], actor: int, choice: int = 0) -> tuple[int, NDArray[np.uint64]]:
        """Take a step in both ways. Returns the interpreter's result and state."""
        image, native_after, after = self.image, state.copy(), state.copy()
        place = image[image[ACTORS] + actor * ACTOR + ACTOR_FIRST_YIELD] + counter_of(image, state, actor)
        address = int(self.native.addresses[place])
        assert address
        self.native_out[OUT_CHOICES] = 1
        arrays: Sequence[NDArray[Any]] = image, native_after, self.native_out, self.native_cover
        found = FUNCTION(address)(*(array.ctypes.data for array in arrays), choice)
        result = interpreter.step(image, after, self.registers, self.out, self.cover, actor, choice)
        self.results[found] += 1
        if result in (STEPPED, BLOCKED, SYMMETRIC) and not (self.has_long_steps and found == INTERPRET):
            assert (found, self.native_out[OUT_CHOICES]) == (result, self.out[OUT_CHOICES]), (state, actor, choice)
            assert result != STEPPED or native_after.tolist() == after.tolist(), (state, actor, choice)
        else:
            assert found == INTERPRET, (state, actor, choice)
        assert not (self.native_cover & ~self.cover).any()
        self.native_cover[:] = self.cover
        return result, after

    def steps(self, states: Iterable[NDArray[np.uint64]]) -> None:
        """Take every step from some states in both ways."""
        for state in states:
            for actor in range(self.image[N_ACTORS]):
                if not may_run(self.image, state, actor):
                    continue
                choice, choices = 0, 1
                while choice < choices:
                    if self.step(state, actor, choice)[0] == BLOCKED:
                        break
                    choice, choices = choice + 1, int(self.out[OUT_CHOICES])
