# SPDX-License-Identifier: GPL-2.0-only
"""The user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def folder(name: str) -> Path:
    """A folder of ours in the user's cache."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = base / "pfncache" / name
    path.mkdir(parents=True, exist_ok=True)
    return path
