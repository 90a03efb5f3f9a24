# SPDX-License-Identifier: GPL-2.0-only
"""The plan's page: each of its commands is run, and shows what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import Call
from tools.console import ROOT

PAGE = ROOT / "docs" / "explanation" / "plan.md"
NOTHING_NEW = ("plan against mainline-7.3: nothing new",)
QUICK = {
    "pfncache verify plan -s clock/gmem-ndm/punch": (0, NOTHING_NEW),
    "pfncache verify plan --each-patch -s clock/anon/munmap": (0, ("plan:14/14 against mainline-7.3: nothing new",)),
    "pfncache verify plan-vmap -s clock/gmem-ndm/punch": (
        1, ("=> pfn 0 is freed while vmap0 still maps it into the kernel",),
    ),
    "pfncache verify plan-restored -s clock/gmem-ndm/punch": (
        1, ("=> the kernel accesses 0x8: pfn 0 is not in the direct map",),
    ),
    "pfncache verify no-dedicated-sequence": (1, ("use-after-free",)),
    "pfncache verify plan -s tlb/": (0, NOTHING_NEW),
    "pfncache matrix": (0, ("=> 15 of 17 paths reach guest_memfd only where user space maps it",)),
    "pfncache matrix --design no-direct-map": (
        0,
        (
            "=> without the direct map, pfncache, pfncache by hva, kvm_vcpu_map and mapping of L2 do not reach it",
            "=> private memory is reached by VMSA and TDP fault alone.",
        ),
    ),
    "pfncache matrix --design plan": (0, ("=> private memory is reached by VMSA and TDP fault alone.",)),
    "pfncache footprint --machine model": (0, ("KVM touched 5 of 32 pages", "KVM touched 6 of 32 pages")),
}  # fmt: skip
"""By command: exit status, and what it prints."""
SLOW = {
    "pfncache verify plan": (0, NOTHING_NEW),
    "pfncache verify plan -s pairs/": (0, (*NOTHING_NEW, "every interleaving of 821 scenarios")),
    "pfncache verify plan -s space/": (
        0, (*NOTHING_NEW, "477 of 2,843,598 points, with all 2,532 pairs of values of two dimensions"),
    ),
    "pfncache compare": (0, ("plan-vmap: alias-outlives", "plan-restored: unmapped-access")),
    "pfncache sweep mainline-7.3 plan --points 1000 --seed 1": (1, ("violated",)),
}  # fmt: skip
"""The same of commands that take minutes."""
ELSEWHERE = {
    'pytest tests/docs/test_plan.py -m ""',
    'pytest tests/designs/plan/test_series.py -m ""',
    "pytest tests/designs/plan/test_callers.py",
    "python -m benchmarks.caches",
}
"""Tests, which run themselves, and times, which are of one machine."""


def commands() -> set[str]:
    """Return the commands of the page."""
    spans = re.findall(r"`([^`]+)`", re.sub(r"\s+", " ", PAGE.read_text()))
    return {span for span in spans if re.match(r"(pfncache|pytest|python) ", span)}


def test_every_command_is_run() -> None:
    assert commands() == {*QUICK, *SLOW, *ELSEWHERE}


def test_the_page_can_be_mailed() -> None:
    """At most four pages of 66 lines; prose of at most 80 columns, but for tables."""
    lines = PAGE.read_text().splitlines()
    assert len(lines) <= 4 * 66
    assert [line for line in lines if len(line) > 80 and not line.startswith("|")] == []


def shows(pfncache: Call, command: str, expected: tuple[int, tuple[str, ...]]) -> None:
    run = pfncache(*shlex.split(command)[1:])
    status, texts = expected
    assert run.code == status, run.err
    printed = re.sub(r"\s+", " ", run.out)
    for text in texts:
        assert text in printed


@pytest.mark.parametrize("command", QUICK)
def test_what_a_command_shows(pfncache: Call, command: str) -> None:
    shows(pfncache, command, QUICK[command])


@pytest.mark.slow
@pytest.mark.parametrize("command", SLOW)
def test_what_a_long_command_shows(
    pfncache: Call, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shows(pfncache, command, SLOW[command])
