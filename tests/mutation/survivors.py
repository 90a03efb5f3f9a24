# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that no scenario notices, each with the reason, by what they are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

REASONS = Path(__file__).parent / "survivors.json"
"""By standing and reason, the mutants."""


class Standing(StrEnum):
    """What a mutant that survives is."""

    EQUIVALENT = "equivalent"
    """It does nothing wrong: another test or lock does the same, it is a hint, or it costs time alone."""
    OUTSIDE = "outside the model"
    """A fault of Linux, in something that the model does not have."""
    UNREACHED = "not executed"
    """A fault in a line that no scenario of the catalogue and no point of the array executes."""
    UNFOUND = "not found"
    """A fault that no scenario of the catalogue shows."""


@dataclass(frozen=True)
class Survivor:
    """Why a mutant survives."""

    standing: Standing
    reason: str


SURVIVORS: dict[str, Survivor] = {
    name: Survivor(Standing(standing), reason)
    for standing, reasons in json.loads(REASONS.read_text()).items()
    for reason, names in reasons.items()
    for name in names
}
"""By mutant."""
