# SPDX-License-Identifier: GPL-2.0-only
"""The dimensions of the space, in the order in which they are shown, and the array of scenarios that covers them."""

from __future__ import annotations

from pfncache.scenarios.space.context import CONTEXT, ROUNDS, UPDATES
from pfncache.scenarios.space.dimension import Dimension, Value
from pfncache.scenarios.space.memory import MEMORY
from pfncache.scenarios.space.memslots import BINDING, FLAGS, MEMSLOTS, PAGES, PLACE, POSITION
from pfncache.scenarios.space.operation import OPERATION
from pfncache.scenarios.space.start import START
from pfncache.scenarios.space.user import USER

DIMENSIONS: tuple[Dimension[Value], ...] = (
    MEMORY, USER, OPERATION, MEMSLOTS, POSITION, PAGES, PLACE, FLAGS, BINDING, START, CONTEXT, UPDATES, ROUNDS,
)  # type: ignore[assignment] # fmt: skip
BY_NAME = {dimension.name: dimension for dimension in DIMENSIONS}
"""Every dimension, by name."""
