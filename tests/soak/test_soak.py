# SPDX-License-Identifier: GPL-2.0-only
"""A sample of the soak."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.soak.soak import Kill, Soak

RUNS = 10


@pytest.mark.slow
def test_sample(tmp_path: Path) -> None:
    soak = Soak(folder=tmp_path)
    chance = random.Random(11)
    for _ in range(RUNS):
        soak.run(Kill.at_random(chance, soak.duration))
    assert soak.problems == []
    assert len(soak.right["verify"]) > 30
    assert len(soak.right["sweep"]) > 20
