# SPDX-License-Identifier: GPL-2.0-only
"""Generated scenarios: which operations apply to which memory, and every pair of them."""

from __future__ import annotations

from collections import Counter

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.properties import PROBES
from pfncache.scenarios.generated import pairs, singles
from pfncache.scenarios.operations import OPERATIONS
from pfncache.scenarios.world import MemoryKind, World

USER = "munmap dontneed mprotect mremap touch"
SLOTS = "slot-delete slot-replace"
PLAIN = f"map-over {SLOTS} slot-log slot-move guest-access"
ACCESS = "zap-range steal-time walk emulate"
CLOCK = "clock-off clock-on"
FILE = "punch allocate close memory-failure"
PRIVATE = f"munmap dontneed {FILE} make-shared make-private {SLOTS} guest-access"
MAPPED = f"{USER} {FILE} {SLOTS} guest-access {ACCESS} {CLOCK}"
APPLIES = {
    MemoryKind.ANON: f"{USER} migrate {PLAIN} {ACCESS} {CLOCK}",
    MemoryKind.MEMFD: f"{USER} memfd-punch memory-failure {PLAIN}",
    MemoryKind.PFNMAP: f"munmap {PLAIN} {CLOCK}",
    MemoryKind.GMEM: PRIVATE,
    MemoryKind.GMEM_COCO: PRIVATE,
    MemoryKind.GMEM_MMAP: MAPPED,
    MemoryKind.GMEM_NDM: MAPPED,
    MemoryKind.GMEM_UNMAPPED: f"{FILE} {SLOTS} guest-access {CLOCK}",
}
CASES = [(memory, name) for memory, names in APPLIES.items() for name in names.split()]


def test_operations_apply_where_they_should() -> None:
    assert {(memory, op.name) for op in OPERATIONS.values() for memory in op.memory} == set(CASES)


def test_one_single_for_each_case() -> None:
    assert sorted(scenario.name for scenario in singles()) == sorted(f"clock/{memory}/{name}" for memory, name in CASES)


def test_number_of_pairs() -> None:
    """n operations make n * (n + 1) / 2 pairs: also an operation beside itself, unless it happens only once."""
    assert Counter(scenario.memory for scenario in pairs()) == {
        "anon": 171, "memfd": 91, "pfnmap": 45, "gmem": 65, "gmem-coco": 65, "gmem-mmap": 170, "gmem-ndm": 170,
        "gmem-unmapped": 44,
    }  # fmt: skip


@pytest.mark.parametrize(("memory", "name"), CASES)
def test_operation_runs_by_itself(memory: MemoryKind, name: str) -> None:
    """An operation alone violates nothing, and everything is freed."""
    operation = OPERATIONS[name]
    world = World(mainline_7_3.kernel(*PROBES), memory, slots=1 + operation.slots, files=2)
    calls = operation.calls(world)
    assert calls
    world.do(*calls, world.call("trace_quiescent", world.kvm))
    live = [slot for slot in world.kvm.slot_cache if slot.__dict__["slab_state"] == 1]
    assert len(live) == (0 if name == "slot-delete" else 1)
