# SPDX-License-Identifier: GPL-2.0-only
"""Patches of kernel C by function and place, made into a mail from a tree when a test runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.csource.kvm.trees import body_of


@dataclass(frozen=True)
class Edit:
    """A change of a function: `pattern` is matched in its text, and replaced by text of ours."""

    file: str
    function: str
    pattern: str
    text: str

    def apply(self, tree: Path) -> None:
        """Change the file in a tree."""
        whole = (tree / self.file).read_text()
        start, end = body_of(whole, self.function)
        body, count = re.subn(self.pattern, lambda _: self.text, whole[start:end], count=1)
        assert count, f"{self.function}() of {self.file} has nothing like {self.pattern}"
        (tree / self.file).write_text(whole[:start] + body + whole[end:])


def mail(tree: Path, folder: Path, edits: Sequence[Edit], name: str = "change") -> Path:
    """Write a patch mail with edits of files of a tree, and return its path."""
    for side in ("a", "b"):
        for edit in edits:
            target = folder / name / side / edit.file
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy(tree / edit.file, target)
    for edit in edits:
        edit.apply(folder / name / "b")
    command = ["git", "diff", "--no-index", "--no-color", "--src-prefix=", "--dst-prefix=", "a", "b"]
    done = subprocess.run(command, cwd=folder / name, capture_output=True, text=True, timeout=60, check=False)
    path = folder / f"{name}.patch"
    path.write_text(f"From: Us <us@example.org>\nSubject: [PATCH] KVM: {name}\n\nText.\n---\n{done.stdout}")
    return path
