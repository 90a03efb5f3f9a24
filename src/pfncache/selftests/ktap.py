# SPDX-License-Identifier: GPL-2.0-only
"""KTAP, version 1: the output format of the kernel's own tests. Documentation/dev-tools/ktap.rst."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

VERSION = "KTAP version 1"
INDENT = "  "


class Directive(enum.StrEnum):
    """Directive of a result line; the value is its text."""

    NONE = ""
    SKIP = "SKIP"
    XFAIL = "XFAIL"
    TIMEOUT = "TIMEOUT"
    ERROR = "ERROR"


@dataclass
class Line:
    """Result line of a test, or of a group of tests."""

    name: str
    ok: bool
    directive: Directive = Directive.NONE
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    """Diagnostic lines before the result."""

    def render(self, number: int, depth: int) -> str:
        """Return the line with its diagnostics."""
        indent = INDENT * depth
        text = f"{'ok' if self.ok else 'not ok'} {number} {_plain(self.name)}"
        if self.directive:
            text += f" # {self.directive} {_plain(self.reason)}".rstrip()
        notes = [f"{indent}# {part}" for note in self.notes for part in note.splitlines()]
        return "\n".join([*notes, indent + text])


def _plain(text: str) -> str:
    """Replace what a parser takes for a directive or for another line."""
    return " ".join(text.replace("#", "no.").split())


def header(count: int, depth: int = 0, name: str = "") -> str:
    """Return the version line and the plan, of the document or of a group."""
    indent = INDENT * depth
    lines = [f"{indent}{VERSION}"]
    if name:
        lines.append(f"{indent}# Subtest: {name}")
    return "\n".join([*lines, f"{indent}1..{count}"])
