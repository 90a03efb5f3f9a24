# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache`` itself, and ``pfncache list``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.footprint.guests import GUESTS
from pfncache.properties import PROPERTIES
from pfncache.scenarios import SCENARIOS
from pfncache.selftests import SELFTESTS
from tests.conftest import Call


def test_help_does_not_load_the_engine() -> None:
    code = "import sys; from pfncache.commands.main import main; main(['--help'], standalone_mode=False); "
    code += "sys.exit('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "verify" in done.stdout


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("designs", list(DESIGNS)),
        ("scenarios", list(SCENARIOS)),
        ("properties", list(PROPERTIES)),
        ("guests", list(GUESTS)),
        ("selftests", list(SELFTESTS)),
    ],
)
def test_list(pfncache: Call, kind: str, names: list[str]) -> None:
    run = pfncache("list", kind)
    assert run.code == 0
    assert [line.split()[0] for line in run.out.splitlines()] == names
    assert all(len(line.split(maxsplit=1)) == 2 for line in run.out.splitlines()), "each has a line of text"
