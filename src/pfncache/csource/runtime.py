# SPDX-License-Identifier: GPL-2.0-only
"""Functions that translated C calls where C has undefined behaviour: they report it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pfncache.lang.part_of import part_of_caller
from pfncache.lang.report import report


@part_of_caller
def read_unset() -> Any:
    """Report the read of a local that has no value."""
    report("uninitialised-read", "a local is read before it has a value")


@part_of_caller
def call_nothing() -> None:
    """Report a call through a pointer to a function that is NULL, or a stub for none."""
    report("null-dereference", "a function is called through a pointer to none")


RUNTIME: dict[str, Callable[..., Any]] = {f.__name__: f for f in (read_unset, call_nothing)}
"""By name."""
