# SPDX-License-Identifier: GPL-2.0-only
"""KTAP, version 1: the output format of the kernel's own tests. Documentation/dev-tools/ktap.rst.

Results that are neither a pass nor a failure are written as tools/testing/selftests/kselftest.h writes them: `ok` with
a directive. Parsers that do not know a directive, such as tools/testing/kunit/kunit_parser.py, then count a pass.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

VERSION = "KTAP version 1"
INDENT = "  "
_SUBTEST = "Subtest:"


class Directive(enum.StrEnum):
    """Directive of a result line; the value is its text. TIMEOUT and ERROR are for lines that are not ok."""

    NONE = ""
    SKIP = "SKIP"
    XFAIL = "XFAIL"
    XPASS = "XPASS"
    """Passes although a failure was expected. kselftest.h has it, ktap.rst does not."""
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
        notes = [self.diagnostic(part, depth) for note in self.notes for part in note.splitlines()]
        return "\n".join([*notes, indent + text])

    @staticmethod
    def diagnostic(text: str, depth: int) -> str:
        """Return a line of diagnostics that no parser takes for the heading of a subtest."""
        if text.startswith(_SUBTEST):
            text = text.replace(_SUBTEST, _SUBTEST.lower(), 1)
        return f"{INDENT * depth}# {text}"


def _plain(text: str) -> str:
    """Replace what a parser takes for a directive or for another line."""
    return " ".join(text.replace("#", "no.").split())


def header(count: int, depth: int = 0, name: str = "") -> str:
    """Return the version line and the plan, of the document or of a group."""
    indent = INDENT * depth
    lines = [f"{indent}{VERSION}"]
    if name:
        lines.append(f"{indent}# {_SUBTEST} {_plain(name)}")
    return "\n".join([*lines, f"{indent}1..{count}"])
