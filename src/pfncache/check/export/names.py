# SPDX-License-Identifier: GPL-2.0-only
"""Identifiers of the exported language for the model's names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass
class Names:
    """Unique identifiers of a language."""

    reserved: re.Pattern[str]
    """Reserved words: those of the language, and those that the export itself uses."""
    taken: set[str] = field(default_factory=set)

    def of(self, name: str) -> str:
        """Return a new identifier that is similar to `name`."""
        plain = re.sub(r"\W+", "_", name).strip("_")
        if plain[:1].isdigit():
            plain = f"x{plain}"
        elif self.reserved.fullmatch(plain):
            plain = f"{plain}_"
        unique, count = plain, 1
        while unique in self.taken:
            count += 1
            unique = f"{plain}_{count}"
        self.taken.add(unique)
        return unique
