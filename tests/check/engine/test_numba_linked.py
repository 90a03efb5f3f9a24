# SPDX-License-Identifier: GPL-2.0-only
"""A native function is one entry point for Python, and linked into its native callers."""

from __future__ import annotations

from typing import Any

import pytest

from pfncache.check.engine.numba_linked import LinkedLibrary, linked


def twice(x: int) -> int:
    """Return twice a number."""
    return 2 * x


native_twice: Any = linked(twice, _nrt=False)


def twice_and_one(x: int, y: int) -> int:
    """Return the sum of a number and twice another one, and 1."""
    return int(y + native_twice(x) + 1)


native_sum: Any = linked(twice_and_one, _nrt=False)


def test_python_and_native_code_call_the_same_function() -> None:
    assert native_twice(21) == 42
    assert native_sum(3, 4) == native_sum(y=4, x=3) == 11
    assert (native_sum.__name__, native_sum.__doc__) == ("twice_and_one", twice_and_one.__doc__)
    with pytest.raises(TypeError):
        native_sum(1)


def test_only_what_python_calls_is_machine_code() -> None:
    """The callee is in the entry point's library; its own has no machine code."""
    native_sum(3, 4)
    (entry,) = native_sum.overloads.values()
    assert type(entry.library) is not LinkedLibrary
    library = native_twice.linked.overloads[entry.signature.args[:1]].library
    assert type(library) is LinkedLibrary
    (function,) = (name for name in map(str, library._final_module.functions) if "twice" in name.split("(")[0])
    assert function.startswith("define")
    assert (
        library.get_pointer_to_function(native_twice.linked.overloads[entry.signature.args[:1]].fndesc.mangled_name)
        == 0
    )
