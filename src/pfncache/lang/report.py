# SPDX-License-Identifier: GPL-2.0-only
"""Report of a violated property, which ends the function that detects it."""

from __future__ import annotations

from typing import NoReturn


class PropertyViolated(Exception):
    """A property is violated.

    ``kind`` is the name of the property; ``detail`` describes the violation, with values.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def report(kind: str, detail: str) -> NoReturn:
    """Report a violation of the property named `kind`. `detail` is evaluated only when a trace is replayed."""
    raise PropertyViolated(kind, detail)
