# SPDX-License-Identifier: GPL-2.0-only
"""A parser of KTAP, written from the kernel's grammar (Documentation/dev-tools/ktap.rst) and strict about it.

A document is a version line, a plan and that many results, numbered from 1, with diagnostics anywhere. A result with
subtests follows a document of its own, indented by two more spaces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

DIRECTIVES = ("SKIP", "TODO", "XFAIL", "XPASS", "TIMEOUT", "ERROR")
RESULT = re.compile(r"^(ok|not ok) (\d+)(?: ([^#]*?))?(?: # (.*))?$")
PLAN = re.compile(r"^1\.\.(\d+)$")


class KtapError(Exception):
    """What is printed is not KTAP."""


@dataclass
class Test:
    """A result line, with its subtests."""

    ok: bool
    name: str
    directive: str = ""
    reason: str = ""
    subtests: list[Test] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def parse(text: str) -> list[Test]:
    """The results of a document, or KtapError."""
    lines = text.splitlines()
    tests, rest = _document(lines, 0)
    if rest:
        raise KtapError(f"after the end: {rest[0]!r}")
    return tests


def _document(lines: list[str], depth: int) -> tuple[list[Test], list[str]]:
    indent = "  " * depth
    if not lines or lines[0] != f"{indent}KTAP version 1":
        raise KtapError(f"no version line: {lines[:1]}")
    lines = lines[1:]
    plan: int | None = None
    tests: list[Test] = []
    subtests: list[Test] = []
    notes: list[str] = []
    while lines:
        if plan is not None and len(tests) == plan:
            break
        line = lines[0]
        if line == f"{indent}  KTAP version 1":
            if subtests:
                raise KtapError("subtests without a result of their own")
            subtests, lines = _document(lines, depth + 1)
            continue
        if not line.startswith(indent) or line.startswith(f"{indent} "):
            raise KtapError(f"wrong indentation: {line!r}")
        body, lines = line[len(indent) :], lines[1:]
        if body.startswith("# "):
            notes.append(body[2:])
        elif match := PLAN.match(body):
            if plan is not None or tests:
                raise KtapError("a second plan, or one after results")
            plan = int(match[1])
        elif match := RESULT.match(body):
            if int(match[2]) != len(tests) + 1:
                raise KtapError(f"number {match[2]}, expected {len(tests) + 1}")
            directive, _, reason = (match[4] or "").partition(" ")
            if directive not in ("", *DIRECTIVES):
                raise KtapError(f"unknown directive {directive!r}")
            tests.append(Test(match[1] == "ok", match[3] or "", directive, reason, subtests, notes))
            subtests, notes = [], []
        else:
            raise KtapError(f"neither diagnostic nor plan nor result: {body!r}")
    if plan != len(tests):
        raise KtapError(f"planned {plan}, got {len(tests)}")
    return tests, lines
