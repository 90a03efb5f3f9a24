# SPDX-License-Identifier: GPL-2.0-only
"""The examples of docs/tutorial/prompt.md do what they show."""

from __future__ import annotations

import doctest
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "tutorial" / "prompt.md"


def test_examples() -> None:
    result = doctest.testfile(str(DOCUMENT), module_relative=False, optionflags=doctest.REPORT_NDIFF)
    assert result.attempted > 40
    assert result.failed == 0
