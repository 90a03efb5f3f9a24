# SPDX-License-Identifier: GPL-2.0-only
"""The values of all variables after a step, as conjuncts of TLA+."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pfncache.check.export.tla.text import listing


@dataclass(frozen=True)
class Assignment:
    """The variables of a module, in nested groups."""

    groups: Mapping[str, list[str]]
    """Members of each group: variables or groups. "vars" has all of them."""

    def conjuncts(self, new: Mapping[str, str]) -> list[str]:
        """Return the conjuncts of a step that gives the variables in `new` these values, and changes no others."""
        lines = [f"/\\ {name}' = {value}" for name, value in new.items()]
        same = self._unchanged("vars", new)
        return [*lines, f"/\\ UNCHANGED {listing(same) if len(same) > 1 else same[0]}"]

    def _unchanged(self, name: str, new: Mapping[str, str]) -> list[str]:
        """Return what of a group is not in `new`, as the fewest groups and variables."""
        if name not in self.groups:
            return [] if name in new else [name]
        members = self.groups[name]
        same = [kept for member in members for kept in self._unchanged(member, new)]
        return [name] if same == members else same
