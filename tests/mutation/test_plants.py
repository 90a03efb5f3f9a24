# SPDX-License-Identifier: GPL-2.0-only
"""Each planted fault is found by the default catalogue, in a scenario in which its base holds."""

from __future__ import annotations

import pytest

from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from tests.mutation.plants import PLANTS, Plant
from tests.mutation.plants_mm import PLANTS_OF_MM

STATES = 100_000


@pytest.mark.parametrize(
    "plant", (*PLANTS, *PLANTS_OF_MM), ids=lambda plant: f"{plant.patch.__name__}-on-{plant.base.name}"
)
def test_plant_is_found(plant: Plant) -> None:
    for scenario, expected in plant.found:
        assert scenario in DEFAULT_SCENARIOS
        assert run(Job(plant.base, scenario, STATES)).verdict == "holds"
        outcome = run(Job(plant.design, scenario, STATES))
        assert (scenario, outcome.verdict, expected in outcome.properties) == (scenario, "violated", True), outcome
