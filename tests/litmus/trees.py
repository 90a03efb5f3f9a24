# SPDX-License-Identifier: GPL-2.0-only
"""herd7 and the memory model for the tests, where both were fetched."""

from __future__ import annotations

from functools import cache

import pytest

from pfncache.litmus import herd
from pfncache.litmus.observe import MODEL, MemoryModel
from tests.csource.kvm.trees import source


@cache
def model() -> MemoryModel:
    """Return the memory model of Linux 7.3; skip the test if it was not fetched, or if there is no herd7."""
    found = herd.find()
    if found is None:
        pytest.skip("there is no herd7 here: pfncache litmus fetches it")
    return MemoryModel(found, source("7.3.4") / MODEL)
