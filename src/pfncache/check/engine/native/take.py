# SPDX-License-Identifier: GPL-2.0-only
"""A step of the search, native through Numba: by the native code of its place, or by the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from pfncache.check.engine.interpreter import OUT_CHOICES, read, step
from pfncache.check.engine.native.place import INTERPRET
from pfncache.check.engine.numba_cache import copy, njit, uint64
from pfncache.check.program.image import ACTOR, ACTOR_FIRST_YIELD, ACTORS


def _call(typing: Any, address: Any, arrays: Any, choice: Any) -> Any:
    """Return the types and the code generator of call()."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address, given, choice = args
        number = ir.IntType(64)
        values = zip(arrays, (builder.extract_value(given, n) for n in range(len(arrays))), strict=True)
        data = [context.make_array(kind)(context, builder, value).data for kind, value in values]
        kind = ir.FunctionType(number, [*(pointer.type for pointer in data), number])
        function = builder.inttoptr(address, kind.as_pointer())
        return builder.call(function, [*data, choice])

    return types.int64(address, arrays, choice), generate


call: Callable[[Any, tuple[Any, ...], Any], int] = cast(Any, intrinsic)(_call)
"""Call native code by its address, with pointers to the data of some arrays, and the outcome of a choice."""


@njit
def take(worker: Any, state: NDArray[np.uint64], after: NDArray[np.uint64], actor: int, choice: int) -> int:
    """Take one step of `actor` from `state` to `after`, resolving its nondeterministic choice as `choice`.

    Returns a result of interpreter.step(). Of a step that is taken, disabled or symmetric to another, only the entry
    OUT_CHOICES of `out` is set.
    """
    image, out = worker.image, worker.out
    row = uint64(image[ACTORS] + actor * ACTOR)
    copy(state, after)
    address = worker.native[uint64(image[row + uint64(ACTOR_FIRST_YIELD)]) + read(image, state, row)]
    if address != uint64(0):
        out[OUT_CHOICES] = 1
        result = call(address, (image, after, out, worker.cover), choice)
        if result != INTERPRET:
            return result
        copy(state, after)
    return step(image, after, worker.registers, out, worker.cover, actor, choice)
