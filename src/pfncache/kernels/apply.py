# SPDX-License-Identifier: GPL-2.0-only
"""Apply a series to copies of a source tree's files, by git and without fuzz."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pfncache.kernels.patch_mail import PatchMail, SeriesError

_FAILED = re.compile(r"^error: patch failed: (.+):(\d+)$", re.MULTILINE)
_ERROR = re.compile(r"^(?:error|fatal): (.*)$", re.MULTILINE)
_SECONDS = 60.0


def apply(series: Sequence[PatchMail], source: Path, into: Path) -> list[str]:
    """Copy the files that a series touches from a source tree to an empty folder, and apply the series there.

    Returns the files' names; a file that is not in the folder was removed. Raises SeriesError for the first patch
    that does not apply, with the hunk.
    """
    copied: list[str] = []
    for mail in series:
        for name in mail.files:
            if name not in copied:
                copied.append(name)
                if (source / name).is_file():
                    (into / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source / name, into / name)
        done = subprocess.run(
            ["git", "-c", "core.autocrlf=false", "apply", "--whitespace=nowarn", "-"],
            cwd=into,
            env={**os.environ, "LC_ALL": "C", "GIT_CEILING_DIRECTORIES": str(into.resolve().parent)},
            input=mail.diff,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            why = _why(mail, done.stderr.decode(errors="replace"))
            raise SeriesError(f"patch {mail.number} ({mail.subject}) does not apply: {why}")
    return copied


def _why(mail: PatchMail, output: str) -> str:
    """Turn git's error into a hunk of the patch."""
    failed = _FAILED.search(output)
    if failed is None:
        return next(iter(_ERROR.findall(output)), output.strip())
    path, line = failed[1], int(failed[2])
    hunks = [hunk for hunk in mail.hunks if hunk.path == path]
    for number, hunk in enumerate(hunks, 1):
        if hunk.line == line:
            where = f", in {hunk.heading}" if hunk.heading else ""
            return f"{path}, hunk {number} of {len(hunks)}, at line {line}{where}"
    return f"{path}, at line {line}"
