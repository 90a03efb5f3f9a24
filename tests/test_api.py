# SPDX-License-Identifier: GPL-2.0-only
"""``import pfncache``: public names, and what they import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import pfncache

HEAVY = ("click", "greenlet", "numba", "numpy", "rich", "tree_sitter")
ROOT = Path(__file__).parents[1]
SCENARIO = "clock/anon/munmap"


def imported_by(code: str) -> set[str]:
    """The heavy modules that a fresh process imports."""
    code += f"\nimport sys; print(*(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import pfncache; dir(pfncache)",
        "import pfncache.verify.outcome, pfncache.verify.trace, pfncache.designs.design, pfncache.scenarios.scenario",
        "from pfncache import Design, MemoryKind, Outcome, Patch, Scenario, Trace, Violation, World, scenario, uapi",
        "import pfncache; pfncache.designs['rfc-v4'], pfncache.scenarios['clock/anon/munmap']",
        "from pfncache import Machine, SyscallError",
        "import pfncache.verify.design_outcome",
    ],
)
def test_data_types_import_nothing_heavy(code: str) -> None:
    assert imported_by(code) == set()


def test_every_public_name_is_there() -> None:
    names = set(dir(pfncache))
    assert names >= {
        "check", "designs", "scenarios", "Design", "Patch", "Scenario", "Outcome", "Violation", "Trace", "model", "kvm",
        "Machine", "SyscallError", "uapi", "__version__",
    }  # fmt: skip
    assert all(getattr(pfncache, name) is not None for name in names)
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        pfncache.colour  # type: ignore[attr-defined]  # noqa: B018
    assert (Path(pfncache.__file__).parent / "py.typed").is_file()


def test_catalogues_are_mappings_and_packages() -> None:
    from pfncache.designs import catalogue
    from pfncache.scenarios import world

    assert pfncache.designs["rfc-v4"] is catalogue.rfc_v4
    assert dict(pfncache.designs) == catalogue.DESIGNS
    assert "rfc-v5" not in pfncache.designs
    assert pfncache.scenarios[SCENARIO].memory == world.MemoryKind.ANON
    assert len(pfncache.scenarios) > 900


def test_the_version_is_that_of_the_changelog() -> None:
    """Until it is released, a version is a development release of it: PEP 440."""
    first = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    number, _, date = first.removeprefix("## ").partition(", ")
    suffix = ".dev0" if date == "not yet released" else ""
    assert suffix or re.fullmatch(r"\d{4}-\d\d-\d\d", date)
    assert pfncache.__version__ == number + suffix
