# SPDX-License-Identifier: GPL-2.0-only
"""The model's output in docs/selftests.md is what the commands print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from pfncache.properties import PROPERTIES
from pfncache.selftests import SELFTESTS
from tests.conftest import Run

DOCUMENT = (Path(__file__).parents[2] / "docs" / "selftests.md").read_text()
SHOWN = re.findall(
    r"^```\n\$ (pfncache selftest --machine model [^\n]*)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL
)
BESIDES = {"uapi", "footprint", "livelock", "deadlock", "splats"}
"""What a test can watch without a property of the checker's."""


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_output_is_current(pfncache: Callable[..., Run], command: str, output: str) -> None:
    assert pfncache(*shlex.split(command)[1:]).out == output


def test_there_is_something_shown() -> None:
    assert len(SHOWN) == 2


def test_groups_that_are_named_exist() -> None:
    groups = {test.group for test in SELFTESTS.values()}
    assert {"recreate", "dirty-log", "series", "paused-lookup", "long-window"} <= groups


def test_properties_that_are_watched_exist() -> None:
    assert {test.watches for test in SELFTESTS.values()} - set(PROPERTIES) <= BESIDES
