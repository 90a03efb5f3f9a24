# SPDX-License-Identifier: GPL-2.0-only
"""The small guests, page by page, on the model and on this host."""

from __future__ import annotations

import pytest

from pfncache.footprint import run
from pfncache.footprint.guests import SMALL
from pfncache.linux.include.uapi import SHARED_GMEM
from pfncache.machines.machine import Machine
from pfncache.machines.program import ROLES, TABLES
from pfncache.selftests.suites.footprint import EMULATED

ENDS = {
    "sregs": "not run", "real-hlt": "HLT", "real-store-load": "HLT", "ring0-store": "HLT", "ring3-load": "INTR",
    "ring3-store-mmio": "MMIO write at 0x1000000", "ring3-clocks": "INTR",
}  # fmt: skip
EXPECTED = {
    **EMULATED,
    "sregs": ((), ()),
    "ring3-clocks": (("clock", "steal", *TABLES), ("clock", "steal", *TABLES)),
}


@pytest.mark.parametrize("name", SMALL)
def test_small_guest(machine: Machine, name: str) -> None:
    capabilities = machine.capabilities
    if capabilities.guest_memfd_flags & SHARED_GMEM != SHARED_GMEM:
        pytest.skip("no guest_memfd that can be mapped")
    if capabilities.processor.nested_paging:
        pytest.skip("the selftests say what a processor with nested paging leaves to KVM")
    found = run.small(machine, SMALL[name], name)
    touched, written = EXPECTED[name]
    assert found.ended == ENDS[name]
    assert sorted(found.roles[gfn] for gfn in found.touched) == sorted(touched)
    assert found.written is not None
    assert sorted(found.roles[gfn] for gfn in found.written) == sorted(written)
    assert found.pages == 32
    filled = {"code"} if name.startswith("real") else {"code", *TABLES}
    used = filled | set(touched) | ({"data"} if "load" in name or "store" in name or name == "ring3-clocks" else set())
    assert found.populated == len(used)


def test_roles_name_their_pages(machine: Machine) -> None:
    if not machine.capabilities.guest_memfd:
        pytest.skip("no guest_memfd")
    found = run.small(machine, SMALL["sregs"], "sregs")
    assert found.roles == {page: role for role, page in ROLES.items()}
    assert found.exits == 0


def test_the_model_says_that_it_has_no_probes(model: Machine) -> None:
    found = run.small(model, SMALL["ring3-clocks"], "ring3-clocks")
    assert found.unprobed == "the model has no probes"
    assert found.accesses == ()


def test_without_shared_guest_memfd() -> None:
    from pfncache.designs.catalogue import DESIGNS
    from pfncache.machines.model.machine import ModelMachine

    with ModelMachine(DESIGNS["mainline-6.12"]) as old, pytest.raises(run.CannotMeasure, match=r"Linux 6\.18 or later"):
        run.small(old, SMALL["real-hlt"], "real-hlt")
