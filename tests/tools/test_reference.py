# SPDX-License-Identifier: GPL-2.0-only
"""The reference pages have what the catalogues have."""

from __future__ import annotations

import pfncache
from pfncache.designs.catalogue import DESIGNS
from pfncache.properties import PROPERTIES
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.scenarios.space.constraints import CONSTRAINTS
from pfncache.scenarios.space.space import DIMENSIONS
from pfncache.selftests import SELFTESTS
from tools.reference import pages, table


def test_every_name_is_there() -> None:
    found = pages()
    for page, names in (
        ("designs", DESIGNS), ("scenarios", DEFAULT_SCENARIOS), ("properties", PROPERTIES), ("selftests", SELFTESTS),
    ):  # fmt: skip
        rows = [line.split("`")[1] for line in found[page].splitlines() if line.startswith("| `")]
        assert rows == list(names)
    values = [line.split("`")[1] for line in found["dimensions"].splitlines() if line.startswith("| `")]
    assert values == [
        *(name for one in DIMENSIONS for name in one.names), *(rule.dimensions[0] for rule in CONSTRAINTS)
    ]  # fmt: skip


def test_every_public_name_is_there() -> None:
    text = pages()["api"]
    for name in dir(pfncache):
        assert name.startswith("_") or f".{name}\n" in text, name


def test_table() -> None:
    assert table(("a", "b"), [("1", "x|y")]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y |\n"
