# SPDX-License-Identifier: GPL-2.0-only
"""Series of our own as mails: their diffs are made of the fetched source at test time, step by step."""

from __future__ import annotations

import base64
import quopri
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from email.header import Header
from pathlib import Path

from tests.csource.edits import Change

ENVELOPE = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n"


@dataclass(frozen=True)
class Step:
    """A patch of a series: a subject, and what it changes."""

    subject: str
    changes: Sequence[Change]


def diffs(tree: Path, folder: Path, steps: Sequence[Step]) -> list[str]:
    """Return the diff of each step against the one before it; the tree stays as it is."""
    files = sorted({change.file for step in steps for change in step.changes})
    trees = [folder / f"tree{number}" for number in range(len(steps) + 1)]
    found = []
    for number, (here, step) in enumerate(zip(trees, [None, *steps], strict=True)):
        for file in files:
            (here / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy((trees[number - 1] if number else tree) / file, here / file)
        if step is not None:
            for change in step.changes:
                change.apply(here)
            found.append(_diff(folder, trees[number - 1].name, here.name))
    return found


def _diff(folder: Path, before: str, after: str) -> str:
    """Return what git says that differs between two trees; an absent file is one that was removed."""
    words = ["git", "-c", "core.pager=cat", "diff", "--no-index", "--no-color", "-M", before, after]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    return (
        done.stdout.replace(f"a/{before}/", "a/")
        .replace(f"b/{after}/", "b/")
        .replace(f"{before}/", "")
        .replace(f"{after}/", "")
    )


def head(subject: str, *lines: str) -> str:
    """Return the header of a mail."""
    return "\n".join(["From: A Developer <dev@example.org>", f"Subject: {subject}", *lines]) + "\n"


def patch(subject: str, body: str, *, trailers: str = "Signed-off-by: A Developer <dev@example.org>") -> str:
    """Return a patch as git format-patch writes it."""
    return f"{head(subject)}\nWhy.\n\n{trailers}\n---\n{body}-- \n2.39.5\n\n"


def in_base64(subject: str, body: str) -> str:
    """Return a patch as a mailer sends it that encodes everything, with CRLF inside."""
    encoded = base64.encodebytes(f"Why.\n\n---\n{body}".replace("\n", "\r\n").encode()).decode()
    return f"{head(subject, *_mime('base64'))}\n{encoded}\n"


def in_quoted_printable(subject: str, body: str) -> str:
    """Return a patch whose lines a mailer has folded."""
    name = Header(subject, "utf-8").encode()
    encoded = quopri.encodestring(f"Why: caf\u00e9.\n\n---\n{body}".encode()).decode()
    return f"{head(name, *_mime('quoted-printable'))}\n{encoded}\n"


def _mime(encoding: str) -> tuple[str, str]:
    return "Content-Type: text/plain; charset=utf-8", f"Content-Transfer-Encoding: {encoding}"


def mbox(path: Path, *mails: str) -> Path:
    """Write mails as b4 does."""
    path.write_text("\n".join(ENVELOPE + mail for mail in mails))
    return path


def folder_of(where: Path, subjects: Sequence[str], bodies: Sequence[str]) -> Path:
    """Write a folder of git format-patch."""
    where.mkdir()
    total = len(bodies)
    for number, (subject, body) in enumerate(zip(subjects, bodies, strict=True), 1):
        (where / f"{number:04}-patch.patch").write_text(patch(f"[PATCH {number}/{total}] {subject}", body))
    return where


def write(tree: Path, folder: Path, steps: Sequence[Step]) -> Path:
    """Make the diffs of a series, and write it as a folder of git format-patch."""
    return folder_of(folder / "series", [step.subject for step in steps], diffs(tree, folder, steps))
