# SPDX-License-Identifier: GPL-2.0-only
"""What operations cost: steps of the model, counted."""

from __future__ import annotations

import pytest

from pfncache.compare.cost import DIRECT_MAP, FLUSH, LOCAL, LOCK, MAPPING, OPERATIONS, PAGE, REFERENCE, cost, growth
from pfncache.designs.catalogue import DESIGNS
from pfncache.scenarios.world import MemoryKind

BY_NAME = {operation.name: operation for operation in OPERATIONS}


def steps(design: str, operation: str, memory: MemoryKind = MemoryKind.GMEM_NDM) -> dict[str, int] | None:
    found = cost(DESIGNS[design], BY_NAME[operation], memory)
    return None if found is None else dict(found)


def test_an_access_of_the_plan_maps_the_page_three_times() -> None:
    """The version of the clock, the clock, and the version again."""
    assert steps("plan", "access") == {LOCK: 1, LOCAL: 3}
    assert steps("plan", "access", MemoryKind.GMEM_MMAP) == {LOCK: 1}


def test_an_access_of_an_alias_maps_nothing() -> None:
    assert steps("plan-vmap", "access") == {LOCK: 1}
    activation = steps("plan-vmap", "activation")
    assert activation is not None
    assert activation[MAPPING] == 1


def test_a_page_leaves_the_direct_map_at_its_first_use() -> None:
    for design in ("plan", "no-direct-map"):
        found = steps(design, "guest fault")
        assert found is not None
        assert (found[DIRECT_MAP], found[FLUSH], found[PAGE]) == (1, 1, 1)


def test_the_direct_map_is_restored_for_a_cache() -> None:
    found = steps("plan-restored", "activation")
    assert found is not None
    assert found[DIRECT_MAP] == 2  # out at the fault, back for the cache


def test_mainline_has_no_such_memory() -> None:
    assert steps("mainline-7.3", "access") is None
    assert steps("mainline-7.3", "access", MemoryKind.GMEM_MMAP) == {LOCK: 1}


@pytest.mark.parametrize("operation", BY_NAME)
def test_what_a_munmap_costs_does_not_depend_on_the_kind_of_cache(operation: str) -> None:
    found = steps("plan", operation, MemoryKind.GMEM_MMAP)
    assert found is not None
    assert found[LOCK] >= 1
    assert LOCAL not in found
    assert set(found) <= {LOCK, REFERENCE, FLUSH, PAGE}


@pytest.mark.parametrize("memory", [MemoryKind.GMEM_MMAP, MemoryKind.GMEM_NDM])
@pytest.mark.parametrize(
    ("operation", "added"),
    [
        ("access", {}),
        ("repeated access", {}),
        ("munmap elsewhere", {LOCK: 1}),
        ("punch", {LOCK: 2}),
        ("guest fault", {}),
    ],
)
def test_each_further_cache_adds_locks_to_an_invalidation(
    operation: str, added: dict[str, int], memory: MemoryKind
) -> None:
    """One for reading, to look at the cache, and one for writing where the cache is invalidated."""
    plan, measured = DESIGNS["plan"], BY_NAME[operation]
    assert growth(plan, measured, memory) == added
    two, three = (cost(plan, measured, memory, caches) for caches in (2, 3))
    assert two is not None
    assert three is not None
    assert three - two == added


def test_an_interrupt_maps_a_page_where_the_mapping_is_of_a_cpu() -> None:
    """A mapping in an address space is not there in an interrupt; without a lookup, there is nothing to map."""
    event = "event in an interrupt"
    assert steps("plan", event) == {LOCK: 3, LOCAL: 1}
    assert steps("plan-vmap", event) == {LOCK: 3}
    assert [steps(name, event) for name in ("plan-mermap", "plan-mm-local", "no-direct-map")] == [None, None, None]
    for name in ("plan", "plan-mermap", "no-direct-map"):
        assert steps(name, event, MemoryKind.GMEM_MMAP) == {LOCK: 3}
