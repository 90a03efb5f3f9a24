# SPDX-License-Identifier: GPL-2.0-only
"""Members that a patch adds to structures of the kernel."""

from __future__ import annotations

import re
import types

import pytest

import pfncache
from pfncache.check.compile.source import CompileError
from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Patch
from pfncache.designs.patch_check import check_design
from pfncache.lang.records import Record, make
from pfncache.linux.arch.x86.kvm.mmu.spte import Spte
from pfncache.linux.include.linux.kvm_host import (
    DirtyBit,
    GfnToPfnCache,
    GmemBinding,
    Kvm,
    KvmMemorySlot,
    KvmMemslots,
    KvmVcpu,
    MemAttrEntry,
    MemslotEntry,
)
from pfncache.linux.include.linux.mm_types import AddressSpace, Page, PageCacheEntry, Pte, Vma, VmapArea
from pfncache.linux.include.linux.types import Pfn
from pfncache.linux.vmlinux import Vmlinux
from pfncache.properties import PROBES
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World
from pfncache.verify.job import Job
from pfncache.verify.runner import run


class CountingKvm(Kvm, extends=True):
    punched: bool
    other: Pfn = -1


class CountingVcpu(KvmVcpu, extends=True):
    ran: bool


class CountingCache(GfnToPfnCache, extends=True):
    refreshed: bool


class CountingPage(Page, extends=True):
    seen: bool


class CountingInode(AddressSpace, extends=True):
    seen: bool


class CountingSlot(KvmMemorySlot, extends=True):
    seen: bool


class Counts(Patch, Vmlinux):
    """KVM: count in every structure."""

    structs = (CountingKvm, CountingVcpu, CountingCache, CountingPage, CountingInode, CountingSlot)

    def sys_count(self, kvm: CountingKvm) -> bool:
        """Set each member, through pointers and through arrays; return whether all were clear and are set."""
        kvm.punched = True
        kvm.other = 1
        clear: bool = True
        for vcpu in kvm.vcpus:
            assert isinstance(vcpu, CountingVcpu)
            gpc = vcpu.pv_time
            assert isinstance(gpc, CountingCache)
            clear = clear and not vcpu.ran and not gpc.refreshed
            vcpu.ran = True
            gpc.refreshed = True
        slots = self._kvm_memslots(kvm)
        slot = slots.entries[0].slot
        assert isinstance(slot, CountingSlot)
        file = slot.gmem_file
        assert file is not None
        inode = file.f_mapping
        assert isinstance(inode, CountingInode)
        clear = clear and not slot.seen and not inode.seen
        slot.seen = True
        inode.seen = True
        page = self.filemap_grab_folio(inode, 0)
        assert isinstance(page, CountingPage)
        clear = clear and not page.seen
        page.seen = True
        page.lock.unlock()
        self.put_page(page)
        return clear and kvm.punched and kvm.other == 1 and slot.seen and inode.seen and page.seen


@scenario(memory=MemoryKind.GMEM_UNMAPPED, pages=2)
def count(w: World) -> None:
    """Members are set under slots_lock."""
    w.actor("vmm", w.call(locked_count, w.kernel, w.kvm))


def locked_count(k: Counts, kvm: CountingKvm) -> bool:
    kvm.slots_lock.lock()
    ret = k.sys_count(kvm)
    kvm.slots_lock.unlock()
    return ret


COUNTS = (mainline_7_3 + [Counts]).named("counts", "")


def test_members_of_every_structure_are_state() -> None:
    """The operation succeeds only if each was clear and is set: the scenario would be vacuous otherwise."""
    outcome = run(Job(COUNTS, count, 10_000))
    assert outcome.verdict == "holds", outcome.reason


def test_other_designs_do_not_have_them() -> None:
    plain = World(mainline_7_3.kernel(*PROBES))
    mine = World(COUNTS.kernel(*PROBES))
    assert (type(plain.kvm), type(plain.vcpu.pv_time)) == (Kvm, GfnToPfnCache)
    assert (type(mine.kvm), type(mine.vcpu.pv_time)) == (CountingKvm, CountingCache)
    assert mine.kvm.mmu_lock.role == plain.kvm.mmu_lock.role == "Kvm.mmu_lock"
    assert mine.vcpu.pv_time.lock.role == plain.vcpu.pv_time.lock.role


class MembersAlone(Patch):
    """KVM: add members."""

    structs = (CountingVcpu,)


def test_direct_execution_has_them() -> None:
    with pfncache.model((mainline_7_3 + [MembersAlone]).named("members", "")) as host:
        vcpu = host.create_vm().create_vcpu()
        assert type(vcpu.record) is CountingVcpu


class Second(KvmVcpu, extends=True):
    second: bool


class Third(CountingVcpu, extends=True):
    third: bool


def patch(*structs: object) -> type[Patch]:
    return type("Some", (Counts,), {"__doc__": "KVM: some.", "structs": structs})


def test_two_patches_extend_one_structure() -> None:
    both = (mainline_7_3 + [Counts, patch(Second)]).kernel().extended_structs[KvmVcpu]
    assert {"ran", "second", "st"} <= set(make(both, {}, "vcpu").__dict__)
    assert (mainline_7_3 + [Counts, patch(Third)]).kernel().extended_structs[KvmVcpu] is Third
    assert (mainline_7_3 + [patch(Third), patch(CountingVcpu)]).kernel().extended_structs[KvmVcpu] is Third


class Alone(Record):
    ran: bool


class Taken(KvmVcpu, extends=True):
    mutex: bool  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("structs", "message"),
    [
        ((Alone,), "a structure is extended as class Alone(KvmVcpu, extends=True)"),
        ((3,), "a structure is extended as class MyVcpu(KvmVcpu, extends=True)"),
        ((Taken,), "KvmVcpu has a member 'mutex'; give another name"),
    ],
)
def test_what_is_no_structure_with_new_members(structs: tuple[object, ...], message: str) -> None:
    with pytest.raises(CompileError, match=re.escape(message)):
        check_design(mainline_7_3 + [patch(*structs)])


@pytest.mark.parametrize(
    "struct",
    [DirtyBit, GmemBinding, KvmMemslots, MemAttrEntry, MemslotEntry, PageCacheEntry, Pte, Spte, Vma, VmapArea],
)
def test_elements_of_arrays_are_extended(struct: type[Record]) -> None:
    """Whatever array a structure is in."""
    name = f"Extended{struct.__name__}"
    space = {"__annotations__": {"seen": bool}, "__module__": __name__}
    extended = types.new_class(name, (struct,), {"extends": True}, lambda body: body.update(space))
    w = World((mainline_7_3 + [type("Extends", (Patch, Vmlinux), {"structs": (extended,)})]).kernel(), MemoryKind.GMEM)
    kvm, gmem = w.kvm, w.gmem
    elements = (
        kvm.bitmap_cache[0].bits, gmem.private_data.bindings, kvm.sets, kvm.mem_attr_array, kvm.sets[0].entries,
        gmem.f_mapping.i_pages, w.mm.ptes, kvm.sptes, w.mm.vmas, w.kernel.vmap_areas,
    )  # fmt: skip
    (found,) = (array for array in elements if isinstance(array[0], struct))
    assert {type(element) for element in found} == {extended}
