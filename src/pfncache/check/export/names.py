# SPDX-License-Identifier: GPL-2.0-only
"""Names for what the model calls by expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass
class Names:
    """Names of a language for the model's, each once."""

    reserved: re.Pattern[str]
    """Words that mean something else: the language's, and what the export itself needs."""
    taken: set[str] = field(default_factory=set)

    def of(self, name: str) -> str:
        """A new name, as near as can be."""
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
