# SPDX-License-Identifier: GPL-2.0-only
"""Console blocks of the documentation: commands with their output, run by the tests and by tools.refresh.

A block is fenced with ```console. Each line that begins with ``$ `` is a command, ``> `` continues it, and what follows
is its output. A line ``...`` stands for any number of lines of output. A block that is not run has a comment above it:
``<!-- not run: reason -->``. A Python file that a page shows below its name in backquotes is there for the commands
below it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: (.+) -->\n\Z")
FILE_NAME = re.compile(r"`([\w-]+\.py)`[^\n]*\n+\Z")
TIMES = (
    (re.compile(r"in \d+\.\d s\b"), "in N s"),
    (re.compile(r"\(\d+\.\d s, "), "(N s, "),
    (re.compile(r"\(\d+\.\d s\)$", re.MULTILINE), "(N s)"),
)
"""What differs from run to run."""
ELLIPSIS = "..."
MINUTES = "takes minutes"
"""How the reason of a block begins that tools.refresh --minutes runs, and no test."""
TIMEOUT = 1800.0
"""Seconds for one command, the compilation of the engine included."""


@dataclass
class Command:
    """A command of a console block, and the output that the page shows."""

    page: str
    line: int
    text: str
    """For the shell; may have several lines."""
    output: str
    not_run: str = ""
    """Why it is not run; empty if it is."""
    files: dict[str, str] = field(default_factory=dict)
    """The Python files that the page shows above it, by name."""

    @property
    def where(self) -> str:
        """Page and line."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return the README and every page of the documentation that is not generated."""
    docs = ROOT / "docs"
    found = sorted(path for path in docs.rglob("*.md") if "generated" not in path.relative_to(docs).parts)
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *found]


def commands(page: Path) -> list[Command]:
    """Return the commands of a page, in order."""
    text = page.read_text()
    name = page.relative_to(ROOT).as_posix()
    found: list[Command] = []
    files: dict[str, str] = {}
    for block in FENCE.finditer(text):
        language, body = block.groups()
        above = text[: block.start()]
        if language == "python" and (shown := FILE_NAME.search(above)):
            files = {**files, shown[1]: body}
        if language != "console":
            continue
        reason = NOT_RUN.search(above)
        line = above.count("\n") + 1
        for part in re.split(r"^(?=\$ )", body, flags=re.MULTILINE):
            if part.startswith("$ "):
                head = re.match(r"\$ (.*\n(?:> .*\n)*)", part)
                assert head is not None
                shell = re.sub(r"^> ", "", head[1], flags=re.MULTILINE).rstrip("\n")
                found.append(Command(name, line + 1, shell, part[head.end() :], reason[1] if reason else "", files))
            line += part.count("\n")
    return found


def run(command: Command, folder: Path) -> str:
    """Run a command in a folder that has the page's files, and return what it writes to standard output."""
    for name, source in command.files.items():
        (folder / name).write_text(source)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command.text],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n" if done.stdout else ""


def same(shown: str, actual: str) -> bool:
    """Return whether the output is what the page shows, but for times and what an ellipsis leaves out."""
    pattern = ""
    for line in _without_times(shown):
        pattern += r"(?:.*\n)*?" if line == ELLIPSIS else re.escape(line) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _without_times(actual))) is not None


def _without_times(text: str) -> list[str]:
    for pattern, replacement in TIMES:
        text = pattern.sub(replacement, text)
    return [line.rstrip() for line in text.strip("\n").splitlines()]
