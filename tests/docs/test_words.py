# SPDX-License-Identifier: GPL-2.0-only
"""Words that STYLE.md rules out, in sources and pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.console import ROOT, pages

WORDS = {
    r"\bwho(so)?ever\b": "the lock, task, actor or function that is meant",
    r"\b(no|some|any)body\b": "no task, an actor, a lock ...",
    r"\bfor ever\b": "forever, in a loop, indefinitely",
    r"\bin one go\b": "at once, atomically",
    r"\b(is|are|was|be|being|not) told\b": "returns, reports, gets, is notified",
    r"\b(is|are) asked\b(?! for)": "is checked, is queried",
    r"\bwho starves\b": "starvation under a strongly fair scheduler",
    r"\blast words\b|\bepitaph\b": "stderr on exit, the console's tail",
    r"\bCrew\b": "WorkerPool",
    r"\balike\(|\bALIKE\b|\bclass Alike\b": "symmetric(), SYMMETRIC, OutcomeCache",
    r"\bPATIENCE\b": "GC_THRESHOLD, SETUP_ACCESS_LIMIT",
    r"\bGhost\b|\bghost\b": "oracle",
    r"\bWitness\b": "AccessRecorder",
    r"\bexpendable\b": "disposable",
    r"\bReliance\b|\brelies_on\b": "Requirement, requires",
    r"\bleft_behind\b|\bclass (Behind|Left)\b": "orphan_vms, StopPoint, OrphanedVms",
    r"\bclass Facts\b": "Queries",
}
"""Each with what to write instead."""
ALLOWED = (re.compile(r"\b[Aa]nybody\b(?=.*queue)"),)
"""Lines that may have such a word."""


def _lines() -> Iterator[tuple[Path, int, str]]:
    sources = sorted((ROOT / "src").rglob("*.py")) + sorted((ROOT / "tools").glob("*.py"))
    for path in [*sources, *pages()]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not any(pattern.search(line) for pattern in ALLOWED):
                yield path, number, line


LINES = list(_lines())


@pytest.mark.parametrize("word", WORDS)
def test_word_is_gone(word: str) -> None:
    pattern = re.compile(word)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}" for path, number, line in LINES if pattern.search(line)
    ]
    assert not found, f"write instead: {WORDS[word]}\n" + "\n".join(found)
