# SPDX-License-Identifier: GPL-2.0-only
"""The error for a name that does not exist, with the nearest names that do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UnknownName(LookupError):
    """No thing of a kind has the name. The message is one line."""

    def __init__(self, kind: str, name: str, known: Iterable[str], place: str = "") -> None:
        names = list(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or [n for n in names if name in n][:3]
        hint = f"nearest: {', '.join(near)}" if near else f"see `pfncache list {kind}s`"
        super().__init__(f"{place}no {kind} {name!r}; {hint}")

    @classmethod
    def because(cls, reason: str) -> UnknownName:
        """Return the error for a name whose form says what is wrong with it. `reason` is one line."""
        self = cls.__new__(cls)
        LookupError.__init__(self, reason)
        return self
