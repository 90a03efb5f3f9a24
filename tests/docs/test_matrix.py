# SPDX-License-Identifier: GPL-2.0-only
"""The model's output in docs/matrix.md is what the commands print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from pfncache.matrix.paths import PATHS
from tests.conftest import Run

DOCUMENT = (Path(__file__).parents[2] / "docs" / "matrix.md").read_text()
SHOWN = re.findall(
    r"^```\n\$ pfncache (matrix(?: --design \S+)?)(?: \| head -\d+)?\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_output_is_current(pfncache: Callable[..., Run], command: str, output: str) -> None:
    assert pfncache(*shlex.split(command)).out.startswith(output)


def test_there_is_something_shown() -> None:
    assert [command for command, _ in SHOWN] == ["matrix", "matrix --design rfc-v4"]


def test_every_path_is_explained() -> None:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", DOCUMENT, re.MULTILINE)
    named = {name for row in rows for name in row.replace("read, write", "read, emulator write").split(", ")}
    assert set(PATHS) <= named
