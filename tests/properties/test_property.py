# SPDX-License-Identifier: GPL-2.0-only
"""Every property has a name, a meaning and a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pfncache.properties import PROBES, PROPERTIES
from pfncache.properties.targets import TargetProbe

EXPECTED = re.compile(r'reported\("([a-z-]+)"\)|"([a-z-]+)"\),\n')
"""What a test here expects to be violated."""


def test_every_property_is_violated_by_a_test() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    tested = {first or second for first, second in EXPECTED.findall(text)}
    assert set(PROPERTIES) - tested == set()


@pytest.mark.parametrize("name", PROPERTIES)
def test_name_and_meaning(name: str) -> None:
    prop = PROPERTIES[name]
    assert prop.name == name
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
    assert prop.meaning
    assert "\n" not in prop.meaning


def test_every_probe_is_watched_once() -> None:
    probes = [prop.probe for prop in PROPERTIES.values() if prop.probe is not None]
    assert list(PROBES) == [*probes, TargetProbe]
    assert len(set(probes)) == len(probes) > 0
