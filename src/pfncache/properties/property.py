# SPDX-License-Identifier: GPL-2.0-only
"""A property of a system: its name, its meaning, and its probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Property:
    """A property that the checker checks.

    ``probe`` is a class whose methods override tracepoints of the kernel and report violations. It is None when the
    primitives of the model, or the search, report them.
    """

    name: str
    meaning: str
    probe: type[Any] | None = None
