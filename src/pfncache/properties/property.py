# SPDX-License-Identifier: GPL-2.0-only
"""A property: what must never happen, and how a trace says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Property:
    """A property by name.

    ``probe`` is a class whose methods override tracepoints of the kernel and report a violation; None when the kernel's
    own primitives, or the search, do.
    """

    name: str
    meaning: str
    probe: type[Any] | None = None
