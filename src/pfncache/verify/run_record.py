# SPDX-License-Identifier: GPL-2.0-only
"""What JSON documents of searches have in common: what was asked for, on what machine, and how the run ended."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(kw_only=True)
class RunRecord:
    """What was asked for, and how the run ended."""

    version: str
    """Of pfncache."""
    options: Mapping[str, Any] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    status: int = 0
    """The exit status."""
    error: str | None = None
    """What ended the run early, in one line."""

    def members(self, schema: int) -> dict[str, Any]:
        """Return the members of a document of a schema's version; what was found comes behind them."""
        return {
            "schema": schema,
            "version": self.version,
            "date": self.started.isoformat(timespec="seconds"),
            "options": dict(self.options),
            "host": host(),
            "status": self.status,
            "error": self.error,
            "seconds": round(self.seconds, 3),
        }


def host() -> dict[str, Any]:
    """Return what a time depends on."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cpus": os.cpu_count() or 1,
    }
