# SPDX-License-Identifier: GPL-2.0-only
"""Every function of the model says what it is in Linux, and docs/fidelity.md says the same."""

from __future__ import annotations

import re
from pathlib import Path

from tools.fidelity import entries, render

DOCUMENT = Path(__file__).parents[2] / "docs" / "fidelity.md"
WHERE = re.compile(r"^(nothing;|[a-z0-9_]+(/[\w.-]+)*/[\w.-]+\.[chS]\b)")


def test_every_function_has_an_entry() -> None:
    missing = [f"{e.file} {e.function}()" for e in entries() if not e.linux]
    assert missing == [], "add a line 'Linux: <file> <function>(), v<version>.' to the docstring"


def test_every_entry_names_a_kernel_file() -> None:
    vague = [f"{e.file} {e.function}(): {e.linux}" for e in entries() if not WHERE.match(e.linux)]
    assert vague == []


def test_document_is_current() -> None:
    assert DOCUMENT.read_text() == render(entries()), "run: python -m tools.fidelity > docs/fidelity.md"
