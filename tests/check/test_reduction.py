# SPDX-License-Identifier: GPL-2.0-only
"""Reductions change how much is searched, not what is found."""

from __future__ import annotations

import pytest

from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.series import DESIGNS
from pfncache.verify.runner import Job, run

STATES = 2_000_000
ROOMS = sorted(
    {name.split("/")[0] if not name.startswith("clock/") else name.rsplit("/", 1)[0] for name in DEFAULT_SCENARIOS}
)


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("design", ["mainline-7.3", "rfc-v4", "rfc-v4-fixed"])
def test_verdicts_agree_without_reduction(design: str, room: str) -> None:
    """Every scenario of the catalogue: the verdict and the property that is violated first."""
    searched = 0
    for name in DEFAULT_SCENARIOS:
        if name.startswith(f"{room}/"):
            reduced = run(Job(DESIGNS[design], name, STATES))
            whole = run(Job(DESIGNS[design], name, STATES, reduction=False))
            assert (reduced.verdict, reduced.property) == (whole.verdict, whole.property), name
            assert reduced.verdict != "bounded", name
            assert reduced.states <= whole.states, name
            searched += 1
    assert searched
