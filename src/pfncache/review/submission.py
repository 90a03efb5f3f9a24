# SPDX-License-Identifier: GPL-2.0-only
"""What is reviewed: a series as it was mailed on a kernel tree, commits of a repository, or a design in Python."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pfncache.designs.design import Design
from pfncache.kernels.patch_mail import PatchMail, SeriesError, cover, read
from pfncache.series.trees import KernelTree, at_commit, commits_of, read_names, require_small
from pfncache.verify.base import base_below

GIT_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A series to review."""

    name: str
    title: str
    version: int = 1
    mails: tuple[PatchMail, ...] = ()
    tree: KernelTree | None = None
    """What the mails apply to; None for a design in Python."""
    source: Path | None = None
    """The whole kernel source that `tree` is of."""
    path: Path | None = None
    """Where the mails are, for a build of the kernel."""
    design: Design | None = None
    """A design in Python, in the place of mails and a tree."""
    notes: tuple[str, ...] = ()
    """On the mails: what was left out, or is missing."""

    @property
    def base(self) -> str:
        """What the series is compared with, in words."""
        if self.tree is not None:
            return f"Linux {self.tree.version}"
        base = base_below(self.design) if self.design is not None else None
        return base.name if base is not None else "nothing"

    @property
    def subjects(self) -> list[str]:
        """The subjects of the patches."""
        if self.design is not None:
            return [patch.subject() for patch in self.design.series]
        return [mail.subject for mail in self.mails]

    def mail(self, number: int) -> PatchMail | None:
        """Return the nth patch; None of a design in Python."""
        return self.mails[number - 1] if 0 < number <= len(self.mails) else None


def read_mails(path: Path) -> tuple[list[PatchMail], list[str]]:
    """Return the newest version of a series at a path, and notes on its mails. Raises SeriesError."""
    notes: list[str] = []
    mails = read(path, notes.append)
    require_small(mails)
    return mails, notes


def of_mails(path: Path, mails: Sequence[PatchMail], notes: Sequence[str], tree: KernelTree) -> Submission:
    """Return the submission of mails on a tree."""
    letter = cover(path)
    more = []
    if letter.base_commit:
        more.append(f"base-commit is {letter.base_commit[:12]}; reviewed on Linux {tree.version}")
    name = path.resolve().stem
    return Submission(
        name=name,
        title=letter.subject or (mails[0].subject if len(mails) == 1 else f"{name}, {len(mails)} patches"),
        version=max(mail.version for mail in mails),
        mails=tuple(mails),
        tree=tree,
        source=tree.path,
        path=path,
        notes=(*notes, *more),
    )


def of_range(repository: Path, span: str, folder: Path) -> Submission:
    """Return the submission of commits A..B, which are written into a folder as mails. Raises SeriesError."""
    first, last, touched = commits_of(repository, span)
    command = ["git", "-C", str(repository), "format-patch", "-q", "-o", str(folder), f"{first}..{last}"]
    done = subprocess.run(command, capture_output=True, timeout=GIT_SECONDS, check=False)
    if done.returncode != 0:
        raise SeriesError(f"--range {span}: {done.stderr.decode(errors='replace').strip().splitlines()[-1]}")
    if not any(folder.iterdir()):
        raise SeriesError(f"--range {span} has no commit")
    mails, notes = read_mails(folder)
    tree = at_commit(repository, first, dict.fromkeys((*read_names(), *touched)))
    return Submission(
        name=repository.resolve().name, title=mails[0].subject if len(mails) == 1 else span, mails=tuple(mails),
        tree=tree, source=repository, path=folder, notes=tuple(notes),
    )  # fmt: skip


def of_design(design: Design) -> Submission:
    """Return the submission of a design in Python. Raises SeriesError for a base itself."""
    if base_below(design) is None:
        raise SeriesError(f"{design.name} is what series are compared with; review takes a series, or a design on top")
    return Submission(name=design.name, title=design.title, design=design)
