# SPDX-License-Identifier: GPL-2.0-only
"""Compiles the steps of a long search to native code, on a thread, while the interpreter searches on."""

from __future__ import annotations

import threading
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from pfncache.check.engine.native.place import PlaceFunction
from pfncache.check.engine.native.rows import ProgramRows, places_of
from pfncache.user_cache import Notice, notify

NATIVE_MIN_STATES = 2_000_000
"""States that a search has found when its steps are compiled. Compilation takes the processor about as long as native
steps save on so many states more (docs/results/performance.md)."""


THREAD = "native steps"
"""Name of the thread that compiles."""


class NativeSteps:
    """The native code of a program's places, as far as it is compiled. The object owns the code."""

    def __init__(self, image: NDArray[np.int64]) -> None:
        self._image = image
        self.addresses = np.zeros(places_of(image), dtype=np.uint64)
        """By place: the address of its code; 0 as long as there is none."""
        self.error: Exception | None = None
        """Why there is no more native code: the compiler's error."""
        self._fresh: list[tuple[int, int]] = []
        """Places and addresses that a search does not use yet."""
        self._code: list[Any] = []
        """Owners of the code."""
        self._thread: threading.Thread | None = None
        self.compiled = 0
        """Actors whose code is compiled."""
        self._is_stopped = False

    def advance(self, states: int) -> None:
        """Begin to compile if a search has found enough states; use what is compiled. No worker may run meanwhile."""
        if self._thread is None and states >= NATIVE_MIN_STATES:
            self._is_stopped = False
            self._thread = threading.Thread(target=self._run, name=THREAD)
            self._thread.start()
        while self._fresh:
            place, address = self._fresh.pop()
            self.addresses[place] = address

    def stop(self) -> None:
        """End the thread, after the actor that it compiles. The next search goes on with the others."""
        self._is_stopped = True
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self.error is not None:
            notify(Notice.ENGINE, f"steps are interpreted, not native: {type(self.error).__name__}: {self.error}")

    def compile(self) -> None:
        """Compile everything, and use it."""
        self._is_stopped = False
        self._run()
        self.advance(0)

    def _run(self) -> None:
        try:
            rows = ProgramRows(self._image)
            for places in rows.places[self.compiled :]:
                if self._is_stopped:
                    return
                functions = [PlaceFunction(rows, place) for place in places]
                code = _native("\n".join(function.text for function in functions))
                self._code.append(code)
                self._fresh += [(one.place, code.get_function_address(one.name)) for one in functions]
                self.compiled += 1
        except Exception as error:  # whatever LLVM reports: the interpreter goes on
            self.error = error


def _native(text: str) -> Any:
    """Compile a module of LLVM's language. Returns the owner of its code.

    Nothing is optimized: the code is in SSA form, and optimization takes longer than it saves.
    """
    target = llvm.Target.from_default_triple()
    module = llvm.parse_assembly(text)
    module.triple = target.triple
    features = llvm.get_host_cpu_features().flatten()
    machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=0, jit=True)
    code = llvm.create_mcjit_compiler(module, machine)
    code.finalize_object()
    return code
