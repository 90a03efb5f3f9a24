# SPDX-License-Identifier: GPL-2.0-only
"""Composition of a design: the order of patches, super(), prefixes, names."""

from __future__ import annotations

from typing import Any

import pytest

from pfncache.designs.catalogue import DEFAULT_DESIGNS, DESIGNS, mainline_7_3, rfc_v4
from pfncache.designs.design import Design, Patch
from pfncache.designs.rfc import V4
from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import linux_name
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.vmlinux import Vmlinux

BASE = Design("base", "a base")


class Add(Patch, Vmlinux):
    """Add one.

    And the reason.
    """

    def offset_in_page(self, address: int) -> int:
        return super().offset_in_page(address) + 1


class Double(Patch, Vmlinux):
    """Double it."""

    def offset_in_page(self, address: int) -> int:
        return super().offset_in_page(address) * 2


class AddMore(Add):
    """Add ten on top."""

    def offset_in_page(self, address: int) -> int:
        return super().offset_in_page(address) + 10


class Atomic(Patch, Vmlinux):
    """Count what is claimed."""

    @atomic
    def get_page(self, page: Any) -> None:
        super().get_page(page)
        super().get_page(page)


class NoDocstring(Patch):
    __doc__ = None


def offset(design: Design) -> int:
    return design.kernel()().offset_in_page(0x1005)


@pytest.mark.parametrize(
    ("patches", "result"),
    [
        ([], 5),
        ([Add], 6),
        ([Add, Double], 12),
        ([Double, Add], 11),
        ([AddMore], 16),  # brings its base along
        ([Add, AddMore], 16),  # which is applied once
        ([Double, AddMore], 21),
        ([AddMore, Double], 32),
    ],
)
def test_later_patches_are_on_top(patches: list[type[Patch]], result: int) -> None:
    assert offset(BASE + patches) == result


def test_linking_changes_nobody_else() -> None:
    assert offset(BASE + [Double]) == 10
    assert (offset(BASE), Vmlinux().offset_in_page(0x1005)) == (5, 5)
    assert BASE.patches == ()


def test_an_atomic_function_stays_one() -> None:
    kernel = (BASE + [Atomic]).kernel()
    assert getattr(kernel.get_page, "is_atomic", False)
    image = kernel()
    page = image.alloc_page()
    assert page is not None
    image.get_page(page)
    assert page.refcount == 3


def test_probes_are_above_the_patches() -> None:
    kernel = (BASE + [Double]).kernel(Add)
    assert kernel().offset_in_page(0x1005) == 11
    assert issubclass(kernel, Vmlinux)


def test_a_kernel_is_linked_once() -> None:
    assert (BASE + [Add]).kernel(Double) is (Design("other", "x") + [Add]).kernel(Double)
    assert (BASE + [Add]).kernel() is not BASE.kernel()


def test_subject_is_the_first_line() -> None:
    assert (Add.subject(), NoDocstring.subject()) == ("Add one.", "NoDocstring")


def test_names() -> None:
    design = BASE + [Add]
    assert (design.name, design.title, design.base) == ("", "", BASE)
    named = design.named("mine", "my design")
    assert (named.name, named.title, named.patches, named.base) == ("mine", "my design", (Add,), BASE)
    assert (named.shown_by, named.broken_by("clock/anon/munmap").shown_by) == ("", "clock/anon/munmap")


def test_series_is_what_the_last_addition_brought() -> None:
    design = BASE + [Add] + [Double, AddMore]
    assert design.patches == (Add, Double, AddMore)
    assert design.series == (Double, AddMore)
    assert (BASE + [Add]).named("a", "b").series == (Add,)
    assert BASE.series == ()


def test_prefixes() -> None:
    design = (BASE + [Add] + [Double, AddMore]).named("mine", "mine")
    steps = design.prefixes()
    assert [(s.name, s.title, s.patches) for s in steps] == [
        ("mine:1/2", "Double it.", (Add, Double)),
        ("mine:2/2", "Add ten on top.", (Add, Double, AddMore)),
    ]
    assert [offset(s) for s in steps] == [12, 22]
    assert BASE.prefixes() == [BASE]
    assert [step.patches[-1] for step in rfc_v4.prefixes()] == list(V4)


def test_memory_that_a_kernel_lacks() -> None:
    old = BASE.without(frozenset({"gmem", "anon"})).without(frozenset({"memfd"}))
    assert [old.has(memory) for memory in ("gmem", "anon", "memfd", "pfnmap")] == [False, False, False, True]
    assert not (old + [Add]).has("gmem")
    assert BASE.has("gmem")
    assert [d.name for d in DESIGNS.values() if d.lacks] == ["mainline-6.12"]
    assert all(not step.has("memfd") for step in (old + [Add]).named("x", "x").prefixes())


def test_designs_by_name() -> None:
    assert all(name == design.name and design.title for name, design in DESIGNS.items())
    assert set(DEFAULT_DESIGNS) <= set(DESIGNS)
    assert DESIGNS["mainline-7.3"] is mainline_7_3
    assert all(design.kernel() is not Vmlinux for design in DESIGNS.values() if design.patches)


def test_what_replaces_a_part_of_a_linux_function_is_a_part_of_it() -> None:
    class AlwaysKeep(Patch, Vmlinux):
        """Keep any pfn."""

        def may_keep_pfn(self, gpc: GfnToPfnCache, hva_change: bool) -> bool:
            return True

        def kvm_gpc_check(self, gpc: GfnToPfnCache, length: int) -> bool:
            return True

    kernel = (BASE + [AlwaysKeep]).kernel()
    assert linux_name(kernel.may_keep_pfn.__code__) == "__kvm_gpc_refresh"
    assert linux_name(kernel.kvm_gpc_check.__code__) == "kvm_gpc_check"
