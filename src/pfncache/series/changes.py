# SPDX-License-Identifier: GPL-2.0-only
"""What a series changes, and which of it is checked from its own C."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import FunctionType

from pfncache.csource.errors import SourceError
from pfncache.csource.kvm.joined import mirrored, tables
from pfncache.csource.kvm.translation import Translation
from pfncache.csource.lexer import compiled_lines, without_comments
from pfncache.csource.members import removed_members
from pfncache.linux.vmlinux import Vmlinux
from pfncache.series.barriers import moved_barriers
from pfncache.series.change import ItemKind, SourceChange, Status
from pfncache.series.items import Item, items_of, not_compiled, tokens
from pfncache.series.renames import Items, renamed_from
from pfncache.series.trees import KernelTree, is_by_hand, read_names


def changes_between(old: KernelTree, new: KernelTree, before: Translation, after: Translation) -> list[SourceChange]:
    """Return what differs between two trees, refusals first. Raises SourceError for a file that is no C."""
    found: list[SourceChange] = []
    for name in sorted({*old.texts, *new.texts}):
        texts = [tree.texts.get(name, b"").decode(errors="replace") for tree in (old, new)]
        if texts[0] == texts[1]:
            continue
        if name not in {*read_names(), *new.sources, *old.sources}:
            found.append(_file(name))
            continue
        found += _changes(name, texts[0], texts[1], before, after)
    return sorted(found, key=lambda change: list(Status).index(change.status))


def _file(name: str) -> SourceChange:
    """Return the change of a file whose C is not read: the model may have it by hand."""
    if is_by_hand(name):
        status, what = Status.BY_HAND, "the model has this file by hand, and its C is not read"
    else:
        status, what = Status.OUTSIDE, "the model has none of the file"
    return SourceChange(kind="file", name=name, file=name, line=0, status=status, what=what)


def _changes(file: str, old: str, new: str, before: Translation, after: Translation) -> Iterator[SourceChange]:
    was, now = items_of(old, file), items_of(new, file)
    gone = {key: item for key, item in was.items() if key not in now}
    _require_parsed(file, new, gone)
    count = 0
    for key, item in now.items():
        previous = was.get(key)
        if previous is not None and previous.text == item.text:
            continue
        count += 1
        origin = renamed_from(item, gone) if previous is None else ""
        how = "changed" if previous is not None else f"renamed from {origin}" if origin else "new"
        if origin in after.renamed.functions.values():
            gone = {key: other for key, other in gone.items() if key[1] != origin}
        yield _changed(item, file, how, before, after, moved_barriers(previous, item))
    for item in gone.values():
        count += 1
        yield _removed(item, file, before, after)
    for line in not_compiled(old, new, file):
        count += 1
        what = "its configuration option is off in the translation; check the lines without the #if"
        yield SourceChange(
            kind="line", name=f"line {line}", file=file, line=line, status=Status.NOT_COMPILED, what=what
        )
    if not count and tokens(old) != tokens(new):
        what = "the change is in no function, structure or macro"
        yield SourceChange(kind="file", name=file, file=file, line=0, status=Status.OUTSIDE, what=what)


def _require_parsed(file: str, text: str, gone: Items) -> None:
    """Require that no function is gone because the parser has lost it in a syntax error. Raises SourceError."""
    compiled = compiled_lines(without_comments(text), tables().config, file).text
    for kind, name in gone:
        definition = re.search(rf"^\w[^;{{}}]*?\b{name}\([^;{{}}]*\)\s*\{{", compiled, re.MULTILINE)
        if kind is ItemKind.FUNCTION and definition is not None:
            line = compiled.count("\n", 0, definition.start()) + 1
            raise SourceError(file, line, f"{name}() does not parse as C; correct the syntax here or above")


def _changed(
    item: Item, file: str, how: str, before: Translation, after: Translation, barriers: tuple[str, ...]
) -> SourceChange:
    status, line, what = Status.OUTSIDE, item.line, ""
    if item.kind is ItemKind.STRUCT and (gone := removed_members(tables(), item.name, before.structs, after.structs)):
        status, what = Status.REFUSED, f"{', '.join(gone)} is removed, which functions of the model use; keep the name"
    elif item.kind is not ItemKind.FUNCTION:
        status = Status.OUTSIDE if item.kind is ItemKind.VARIABLE else Status.CHECKED
        if item.is_function_like and (file.endswith(".h") or item.name in {*tables().calls, *tables().each}):
            status, what = Status.BY_HAND, "a macro that is not expanded: the model's is used"
    elif item.name in after.refused:
        refusal = after.refused[item.name]
        status, line, what = Status.REFUSED, refusal.line, f"{refusal.what}; {refusal.hint}"
    elif item.name in after.translated:
        status = Status.CHECKED
    elif item.name in after.by_hand:
        status, what = Status.BY_HAND, f"the model's is used: {after.by_hand[item.name]}"
    elif how == "new":
        what = "no function that the model has calls it"
    if status is not Status.CHECKED:
        barriers = ()
    return SourceChange(
        kind=item.kind, name=item.name, file=file, line=line, status=status, how=how, what=what, barriers=barriers
    )


def _removed(item: Item, file: str, before: Translation, after: Translation) -> SourceChange:
    status, what = Status.CHECKED, ""
    if item.kind is ItemKind.FUNCTION:
        callers = sorted(_callers(item.name, after))
        if item.name in after.by_hand or item.name not in mirrored() | set(before.translated):
            status = Status.OUTSIDE
        elif callers and item.name in mirrored():
            status = Status.REFUSED
            what = f"it is removed, but {callers[0]}() of the model calls it; keep the name, or patch the model"
    return SourceChange(
        kind=item.kind, name=item.name, file=file, line=item.line, status=status, how="removed", what=what
    )


def _callers(name: str, after: Translation) -> Iterator[str]:
    """Yield the functions that a kernel with the translation still has by hand and that call `name`."""
    for layer in Vmlinux.__mro__:
        for caller, function in vars(layer).items():
            inner = inspect.unwrap(function) if callable(function) else None
            if isinstance(inner, FunctionType) and caller not in after.functions and name in inner.__code__.co_names:
                yield caller
