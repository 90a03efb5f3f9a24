# SPDX-License-Identifier: GPL-2.0-only
"""The functions and members of structures that a series only renames."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pfncache.csource.errors import SourceError
from pfncache.csource.kvm.joined import tables
from pfncache.csource.lexer import without_comments
from pfncache.csource.parse import CType, parse
from pfncache.csource.renames import Renames
from pfncache.series.change import ItemKind
from pfncache.series.items import Item, items_of
from pfncache.series.trees import KernelTree, read_names

Items = Mapping[tuple[ItemKind, str], Item]
WORD = re.compile(r"[A-Za-z_]\w*")


def renames_between(old: KernelTree, new: KernelTree) -> Renames:
    """Return what has another name in the new tree: the old one is gone, and the new one was nowhere before.

    A function is renamed if its text is the same but for the name, a member of a structure if it is the only one that
    is gone, and another of the same type the only one that is new.
    """
    read = {*read_names(), *old.sources, *new.sources}
    texts = {n: tuple(t.texts.get(n, b"").decode(errors="replace") for t in (old, new)) for n in sorted(read)}
    changed = {name: (first, second) for name, (first, second) in texts.items() if first != second}
    if not changed:
        return Renames()
    words = tuple({w for both in texts.values() for w in WORD.findall(without_comments(both[n]))} for n in (0, 1))
    functions: dict[str, str] = {}
    members: dict[str, str] = {}
    for file, (first, second) in changed.items():
        try:
            functions |= _functions(items_of(first, file), items_of(second, file))
            members |= _members(_structs(first, file), _structs(second, file))
        except SourceError:  # changes_between() reports it
            continue
    return Renames(
        {n: o for n, o in functions.items() if n not in words[0] and o not in words[1]},
        {n: o for n, o in members.items() if n not in words[0]},
    )


def renamed_from(item: Item, gone: Items) -> str:
    """Return the name under which an item is gone; empty for a new one."""
    for (kind, name), old in gone.items():
        if kind == item.kind and old.text.replace(f" {name} ", f" {item.name} ") == item.text:
            return name
    return ""


def _functions(was: Items, now: Items) -> dict[str, str]:
    gone = {key: item for key, item in was.items() if key not in now and item.kind is ItemKind.FUNCTION}
    new = [item for key, item in now.items() if key not in was and item.kind is ItemKind.FUNCTION]
    return {item.name: name for item in new if (name := renamed_from(item, gone))}


def _structs(text: str, file: str) -> dict[str, dict[str, CType]]:
    known = tables()
    return parse(text, file, known.config, {*known.calls, *known.each, *known.names}).structs


def _members(was: Mapping[str, Mapping[str, CType]], now: Mapping[str, Mapping[str, CType]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for struct, members in was.items():
        after = now.get(struct, {})
        gone = [name for name in members if name not in after]
        new = [name for name in after if name not in members]
        if len(gone) == len(new) == 1 and members[gone[0]] == after[new[0]]:
            found[new[0]] = gone[0]
    return found
