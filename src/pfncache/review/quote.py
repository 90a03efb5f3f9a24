# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of a patch a finding is about."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from pfncache.kernels.patch_mail import Hunk, PatchMail
from pfncache.series.change import SourceChange
from pfncache.verify.trace import TraceRow

MAX_QUOTED = 12
"""Lines of a patch that are quoted at most."""


class PatchLine(NamedTuple):
    """A line in the body of a hunk."""

    text: str
    """As in the diff, with its sign."""
    line: int
    """Its number after the patch; of a removed line, that of the next one."""

    @property
    def is_changed(self) -> bool:
        """Whether the patch adds or removes it."""
        return self.text[:1] in ("+", "-")


def lines_of(hunk: Hunk) -> Iterator[PatchLine]:
    """Yield the lines of a hunk with their numbers after the patch."""
    number = hunk.new_line
    for text in hunk.body:
        if text.startswith("\\"):
            continue
        yield PatchLine(text, number)
        number += not text.startswith("-")


def quoted_by_trace(rows: Sequence[TraceRow], mail: PatchMail) -> tuple[str, ...]:
    """Return the lines of a patch that an interleaving runs last, or else those in a function that it runs."""
    for row in reversed(rows):
        file, _, number = row.source.rpartition(":")
        for hunk in mail.hunks:
            if hunk.path == file and number.isdigit() and any(_adds(line, int(number)) for line in lines_of(hunk)):
                return quoted(hunk, int(number))
    for row in reversed(rows):
        file = row.source.rpartition(":")[0]
        for hunk in mail.hunks:
            if hunk.path == file and row.function in hunk.functions:
                return quoted(hunk)
    return quoted(mail.hunks[0]) if mail.hunks else ()


def quoted_at(file: str, lines: Collection[int], mail: PatchMail) -> tuple[str, ...]:
    """Return what a patch changes around the first of some lines of a file; nothing if it does not add them."""
    for hunk in mail.hunks:
        for line in lines_of(hunk):
            if hunk.path == file and line.text.startswith("+") and line.line in lines:
                return quoted(hunk, line.line)
    return ()


def quoted_change(change: SourceChange, mail: PatchMail) -> tuple[str, ...]:
    """Return what a patch changes in a definition; nothing if it does not touch it.

    A hunk without a heading is taken for the definition's if it is the first one below its first line.
    """
    hunks = [hunk for hunk in mail.hunks if hunk.path == change.file]
    for hunk in hunks:
        if change.name in hunk.functions:
            return quoted(hunk)
    for hunk in hunks:
        if not hunk.heading and any(line.is_changed and line.line >= change.line for line in lines_of(hunk)):
            return quoted(hunk)
    return ()


def _adds(line: PatchLine, number: int) -> bool:
    return line.text.startswith("+") and line.line == number


def quoted(hunk: Hunk, number: int | None = None) -> tuple[str, ...]:
    """Return the heading of a hunk, and the block of changed lines that has a line, or its first block."""
    blocks: list[list[PatchLine]] = [[]]
    for line in lines_of(hunk):
        if line.is_changed:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    blocks = [block for block in blocks if block]
    if not blocks:
        return ()
    chosen = next((block for block in blocks if any(_adds(line, number or 0) for line in block)), blocks[0])
    heading = [f"@@ {hunk.heading}"] if hunk.heading else []
    return (*heading, *(line.text for line in _around(chosen, number)))


def _around(block: Sequence[PatchLine], number: int | None) -> Sequence[PatchLine]:
    """Return a block, or of a long one the part that has a line."""
    if len(block) <= MAX_QUOTED:
        return block
    at = next((place for place, line in enumerate(block) if _adds(line, number or 0)), 0)
    first = max(0, min(at - MAX_QUOTED // 2, len(block) - MAX_QUOTED))
    return block[first : first + MAX_QUOTED]
