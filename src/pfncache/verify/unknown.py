# SPDX-License-Identifier: GPL-2.0-only
"""Names for objects that have no content to compare: each is itself alone, and that in this process alone."""

from __future__ import annotations

import secrets

_PROCESS = secrets.token_hex(8)
"""No other process has it, so that nothing on disk equals a name of this one."""
_numbers: dict[int, tuple[object, int]] = {}
"""By identity: the object, which is kept so that its identity remains its own, and its number."""


def name_of(thing: object) -> str:
    """Return a name that stands for this object, and for no other one in any process."""
    return f"{_PROCESS} {_numbers.setdefault(id(thing), (thing, len(_numbers)))[1]}"
