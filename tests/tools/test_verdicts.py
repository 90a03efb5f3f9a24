# SPDX-License-Identifier: GPL-2.0-only
"""The page of verdicts has the tables of the searches that the tests repeat."""

from __future__ import annotations

from tools import verdicts


def test_the_page_is_current() -> None:
    assert verdicts.PAGE.read_text() == verdicts.page(), "python -m tools.verdicts"


def test_every_design_and_every_broken_scenario_is_there() -> None:
    found = verdicts.rows()
    assert verdicts.verdicts(found).count("\n") == len(found) + 1
    broken = [name for name, row in found[verdicts.SERIES].items() if row[1]]
    assert len(broken) > 100
    assert all(f"`{name}`" in verdicts.breaks(found) for name in broken)
