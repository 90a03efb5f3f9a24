# SPDX-License-Identifier: GPL-2.0-only
"""Members that every JSON document of a run on machines has: schema, version, host, options, and how the run ended."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Ended:
    """How a run ended."""

    how: str = "complete"
    """complete, interrupted, or failed."""
    error: str | None = None
    """Why it failed, in a line."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record how the block ends; an exception is passed on."""
        try:
            yield
        except Exception as error:
            self.how, self.error = "failed", (str(error) or type(error).__name__).splitlines()[0]
            raise
        except BaseException:
            self.how = "interrupted"
            raise


def run_members(schema: int, options: dict[str, Any], ended: Ended) -> dict[str, Any]:
    """Return the first members of a document."""
    return {
        "schema": schema,
        "version": getattr(sys.modules["pfncache"], "__version__", ""),
        "host": {"release": os.uname().release, "machine": platform.machine(), "processors": os.cpu_count()},
        "options": options,
        "ended": ended.how,
        "error": ended.error,
    }
