# SPDX-License-Identifier: GPL-2.0-only
"""The model's output in docs/footprint.md is what the command prints, and the picture is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from pfncache.footprint.guests import GUESTS
from tests.conftest import Run

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = (DOCS / "footprint.md").read_text()
SHOWN = re.findall(r"^\$ (pfncache footprint --machine model [^\n]*)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


def _without_times(text: str) -> str:
    return re.sub(r"\(\d+\.\d s, ", "(", text)


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_output_is_current(pfncache: Callable[..., Run], command: str, output: str) -> None:
    assert _without_times(pfncache(*shlex.split(command)[1:]).out) == _without_times(output)


def test_there_is_something_shown() -> None:
    assert len(SHOWN) == 1


def test_guests_are_those_that_exist() -> None:
    assert dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", DOCUMENT, re.MULTILINE)) == GUESTS


def test_the_picture_is_there_and_small() -> None:
    (name,) = re.findall(r"!\[.*\]\((footprint-.*\.svg)\)", DOCUMENT)
    assert 1000 < (DOCS / name).stat().st_size < 300_000
