# SPDX-License-Identifier: GPL-2.0-only
"""Posted patches, from two versions of a text."""

from __future__ import annotations

import difflib
from pathlib import Path

SOURCE = "virt/kvm/cache.c"
BEFORE = """int invalidate(int cache)
{
	int valid = 1;

	valid = 0;
	return cache + valid;
}

int refresh(int cache)
{
	int pfn = 7;

	pfn += cache;
	pfn -= 1;
	pfn += 1;
	pfn -= 1;
	return pfn;
}
"""


def diff(before: str, after: str, name: str = SOURCE) -> str:
    """What git diff says of a file that was changed, made or removed."""
    old, new = (f"a/{name}" if before else "/dev/null", f"b/{name}" if after else "/dev/null")
    mode = "" if before and after else f"{'deleted' if before else 'new'} file mode 100644\n"
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), old, new)
    return f"diff --git a/{name} b/{name}\n{mode}{''.join(lines)}"


def mail(subject: str, body: str) -> str:
    """A mail as git format-patch writes it."""
    head = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"
    return f"{head}From: A Developer <dev@localhost>\nSubject: {subject}\n\nWhy.\n\n---\n{body}-- \n2.39.5\n\n"


def folder(where: Path, *mails: str) -> Path:
    """A folder of git format-patch."""
    where.mkdir()
    for number, text in enumerate(mails):
        (where / f"{number:04}-patch.patch").write_text(text)
    return where
