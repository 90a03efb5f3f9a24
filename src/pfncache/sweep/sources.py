# SPDX-License-Identifier: GPL-2.0-only
"""The version of the sources that determine a result of a sweep."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

ROOMS = ("check", "designs", "lang", "linux", "properties", "scenarios", "sweep", "verify")
"""Rooms of the package whose sources determine a result."""
DIGITS = 12
"""Hexadecimal digits of the digest."""


@functools.cache
def sources() -> str:
    """Return a digest of the sources as they were when this process first asked."""
    home = Path(__file__).parents[1]
    whole = hashlib.sha256()
    for room in ROOMS:
        for file in sorted((home / room).rglob("*.py")):
            content = file.read_bytes()
            whole.update(f"\n{file.relative_to(home).as_posix()} {len(content)}\n".encode() + content)
    return whole.hexdigest()[:DIGITS]
