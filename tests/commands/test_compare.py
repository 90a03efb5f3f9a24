# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache compare``."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Call

OWN = '''
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.vmlinux import Vmlinux


class TwoLocks(Patch, Vmlinux):
    """KVM: pfncache: check a cache twice."""

    def kvm_gpc_check(self, gpc, length):
        return super().kvm_gpc_check(gpc, length) and super().kvm_gpc_check(gpc, length)


twice = mainline_7_3 + [TwoLocks]
'''


def test_tables(pfncache: Call) -> None:
    run = pfncache("compare", "plan", "plan-vmap", "-s", "clock/gmem-ndm/punch")
    assert run.code == 0, run.err
    assert "plan-vmap: alias-outlives in clock/gmem-ndm/punch: pfn 0 is freed while vmap0 still maps it" in run.out
    for title in ("What breaks, against mainline", "access paths reach which memory", "What has to change"):
        assert title in run.out


def test_a_design_of_ones_own(pfncache: Call, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    run = pfncache("compare", str(path), "plan", "-s", "clock/anon/munmap", "-s", "xen/never-activated", "--json")
    assert run.code == 0, run.err
    assert [(d["design"], d["verdict"], d["base"]) for d in run.document["designs"]] == [
        ("twice", "holds", "mainline-7.3"), ("plan", "holds", "mainline-7.3"),
    ]  # fmt: skip
    assert run.document["designs"][0]["size"] == {"patches": 1, "functions": 1, "lines": 2}
    assert run.document["designs"][0]["left"] == [{"scenario": "xen/never-activated", "properties": ["warn-on"]}]
    assert run.document["designs"][1]["cured"] == [{"scenario": "xen/never-activated", "properties": ["warn-on"]}]


def test_an_unknown_design(pfncache: Call) -> None:
    run = pfncache("compare", "plam")
    assert run.code == 2
    assert "plan" in run.err
