# SPDX-License-Identifier: GPL-2.0-only
"""Memory barriers that a change adds, drops or moves: a search does not see them, as each of its steps is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from pfncache.csource.facts import BARRIERS
from pfncache.series.change import ItemKind
from pfncache.series.items import Item

Edit = tuple[int, str]
"""A statement that is only in one version, with the number of barriers before it."""


def moved_barriers(old: Item | None, new: Item) -> tuple[str, ...]:
    """Return the barriers that are new, gone, or on the other side of a statement, each name once."""
    if new.kind is not ItemKind.FUNCTION:
        return ()
    before, after = old.statements if old is not None else [], new.statements
    gone, come = _edits(before, after)
    found = [name for _, text in (*gone, *come) for name in _names(text)]
    both = {text for _, text in gone} & {text for _, text in come} - {""}
    for text in sorted(both):
        sides = [{count for count, other in edits if other == text} for edits in (gone, come)]
        if sides[0] != sides[1]:
            found += [name for statement in after for name in _names(statement)]
    return tuple(dict.fromkeys(f"{name}()" for name in found))


def _edits(before: Sequence[str], after: Sequence[str]) -> tuple[list[Edit], list[Edit]]:
    gone: list[Edit] = []
    come: list[Edit] = []
    counts = [_counts(before), _counts(after)]
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            gone += [(counts[0][at], before[at]) for at in range(a, b)]
            come += [(counts[1][at], after[at]) for at in range(c, d)]
    return gone, come


def _counts(statements: Sequence[str]) -> list[int]:
    """Return, for each statement, the number of barriers before it."""
    found, count = [], 0
    for statement in statements:
        found.append(count)
        count += len(list(_names(statement)))
    return found


def _names(statement: str) -> Iterator[str]:
    return (word for word in statement.split() if word in BARRIERS)
