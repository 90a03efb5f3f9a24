# SPDX-License-Identifier: GPL-2.0-only
"""Names that a series changes: the tables and the model know the old ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Renames:
    """Functions and members of structures that have another name after a series, each as new name to old name."""

    functions: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)

    def undone(self, text: str, file: str) -> str:
        """Return C with the old names. Each line stays where it is."""
        for new, old in self.functions.items():
            text = re.sub(rf"\b{new}\b", old, text)
        for new, old in self.members.items():
            before = "" if file.endswith(".h") else r"(?<=->)|(?<=\.)"
            text = re.sub(rf"(?:{before})\b{new}\b", old, text)
        return text

    def shown(self, function: str) -> str:
        """Return the name of a function after the series."""
        return next((new for new, old in self.functions.items() if old == function), function)
