# SPDX-License-Identifier: GPL-2.0-only
"""Members of structures that a series adds or removes, where the structure is a record of the model."""

from __future__ import annotations

from collections.abc import Mapping

from pfncache.csource.kinds import Layout, member_kind
from pfncache.csource.parse import CType
from pfncache.csource.tables import Tables

Structs = Mapping[str, Mapping[str, CType]]
"""Structures by name, with their members by name."""


def added_members(layout: Layout, before: Structs | None) -> dict[tuple[str, str], CType]:
    """Return the members that structures of `before` did not have, by the record and the name."""
    found: dict[tuple[str, str], CType] = {}
    for struct, members in (before or {}).items():
        record = layout.tables.record_of_struct(struct)
        for name, kind in layout.structs.get(struct, {}).items() if record is not None else ():
            if record is not None and name not in members:
                found[record.__name__, name] = kind
    return found


def removed_members(tables: Tables, struct: str, before: Structs, after: Structs) -> list[str]:
    """Return the members that the model's record has, and that a structure has no longer."""
    record = tables.record_of_struct(struct)
    if record is None or struct not in after:
        return []
    return [n for n in before.get(struct, {}) if n not in after[struct] and member_kind(record, n) is not None]
