# SPDX-License-Identifier: GPL-2.0-only
"""What a violation is: the end of the function that found it."""

from __future__ import annotations

from typing import NoReturn


class PropertyViolated(Exception):
    """The kernel did what must never happen: the model's BUG, WARN, KASAN report or oops.

    ``kind`` is the name of the property that is violated, ``detail`` says what happened, with values.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def report(kind: str, detail: str) -> NoReturn:
    """The property named `kind` is violated here. `detail` is built only when a trace is replayed."""
    raise PropertyViolated(kind, detail)
