# SPDX-License-Identifier: GPL-2.0-only
"""Run the console blocks of the documentation again, and put their current output into the pages.

``python -m tools.refresh [--minutes] [PAGE ...]``; without a page, all. A block whose output has not changed, but for
times, stays as it is. A block with an ellipsis that does not match any more is listed, for an editor; the exit status
is then 1. With --minutes, blocks that no test runs because they take minutes are run too.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tools import console


def refresh(page: Path, minutes: bool = False) -> list[str]:
    """Rewrite a page in place. Returns the commands that need an editor."""
    by_hand: list[str] = []
    text = page.read_text()
    for command in console.commands(page):
        if command.not_run and not (minutes and command.not_run.startswith(console.MINUTES)):
            continue
        with tempfile.TemporaryDirectory() as folder:
            actual = console.run(command, Path(folder))
        if console.same(command.output, actual):
            continue
        if console.ELLIPSIS in command.output.splitlines():
            by_hand.append(f"{command.where}: $ {command.text}")
            continue
        prompt = "$ " + command.text.replace("\n", "\n> ") + "\n"
        before = prompt + command.output
        if text.count(before) != 1:
            by_hand.append(f"{command.where}: $ {command.text} (stands there more than once)")
            continue
        blank = "\n" if command.output.endswith("\n\n") else ""
        text = text.replace(before, f"{prompt}{actual.rstrip()}\n{blank}")
        sys.stderr.write(f"{command.where}: $ {command.text}\n")
    page.write_text(text)
    return by_hand


def main(names: list[str]) -> int:
    """Refresh the named pages, or all."""
    minutes = "--minutes" in names
    chosen = [Path(name).resolve() for name in names if name != "--minutes"] or console.pages()
    by_hand = [where for page in chosen for where in refresh(page, minutes)]
    for where in by_hand:
        sys.stdout.write(f"edit by hand: {where}\n")
    return 1 if by_hand else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
