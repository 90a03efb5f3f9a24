# SPDX-License-Identifier: GPL-2.0-only
"""KTAP, version 1: results as the kernel's own tests print them. Documentation/dev-tools/ktap.rst."""

from __future__ import annotations

from dataclasses import dataclass, field

VERSION = "KTAP version 1"
INDENT = "  "


@dataclass
class Line:
    """One result: a test's, or that of a group with the tests in it."""

    name: str
    ok: bool
    directive: str = ""
    """SKIP, XFAIL, TIMEOUT or ERROR."""
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    """Diagnostic lines before the result."""

    def render(self, number: int, depth: int) -> str:
        """The line with its diagnostics."""
        indent = INDENT * depth
        text = f"{'ok' if self.ok else 'not ok'} {number} {_plain(self.name)}"
        if self.directive:
            text += f" # {self.directive} {_plain(self.reason)}".rstrip()
        notes = [f"{indent}# {part}" for note in self.notes for part in note.splitlines()]
        return "\n".join([*notes, indent + text])


def _plain(text: str) -> str:
    """Text in which nothing looks like a directive or like another line."""
    return " ".join(text.replace("#", "no.").split())


def header(count: int, depth: int = 0, name: str = "") -> str:
    """The version line and the plan, of the whole or of a group."""
    indent = INDENT * depth
    lines = [f"{indent}{VERSION}"]
    if name:
        lines.append(f"{indent}# Subtest: {name}")
    return "\n".join([*lines, f"{indent}1..{count}"])
