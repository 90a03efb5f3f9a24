# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c, the lifecycle of a VM: creation, references, destruction."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.lang.report import report
from pfncache.linux.arch.x86.include.asm.pgtable_types import KVM_PAGES_PER_HPAGE, PG_LEVEL_4K
from pfncache.linux.arch.x86.kvm.mmu.spte import Spte
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import (
    DirtyBit,
    DirtyBitmap,
    GfnToPfnCache,
    Kvm,
    KvmLpageInfo,
    KvmMemorySlot,
    KvmMemslots,
    KvmVcpu,
    MemAttrEntry,
    MemslotEntry,
)
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.kernel.locking.mutex import Mutex
from pfncache.linux.kernel.rcu.srcutree import SrcuStruct
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class VmLifecycle(KvmMm):
    """The functions of virt/kvm/kvm_main.c that create and destroy a VM."""

    def kvm_create_vm(
        self,
        name: str,
        mm: MmStruct,
        vm_type: int = 0,
        slots: int = 2,
        slot_ids: int = 2,
        gfns: int = 2,
        vcpus: tuple[KvmVcpu, ...] = (),
        caches: tuple[GfnToPfnCache, ...] = (),
    ) -> Kvm:
        """Create a VM with its vCPUs, and `caches` as the pfncaches that it may ever list.

        `slots` bounds how many memslots are ever allocated, `slot_ids` how many there are at a time.

        Linux: virt/kvm/kvm_main.c kvm_create_vm(), v7.3.4.
        Simplified: setup, not a step; every record that the VM will have is made here.
        """
        huge = self.max_huge_page_level > PG_LEVEL_4K
        lpages = gfns // KVM_PAGES_PER_HPAGE + 1 if huge else 0  # a slot may begin and end within a huge page
        kvm = self.new(
            Kvm,
            name,
            slots_lock=Mutex(f"{name}.slots_lock", dereferenced=True),
            srcu=SrcuStruct(f"{name}.srcu", dereferenced=True),
            sets=tuple(
                self.new(
                    KvmMemslots,
                    f"{name}.memslots{i}",
                    node_idx=i,
                    entries=tuple(self.new(MemslotEntry, f"{name}.memslots{i}[{n}]") for n in range(slot_ids)),
                )
                for i in range(2)
            ),
            slot_cache=tuple(
                self.new(
                    KvmMemorySlot,
                    f"slot{i}",
                    lpage_info=tuple(self.new(KvmLpageInfo, f"slot{i}.lpage_info[{n}]") for n in range(lpages)),
                )
                for i in range(slots)
            ),
            bitmap_cache=tuple(
                self.new(
                    DirtyBitmap, f"dirty{i}", bits=tuple(self.new(DirtyBit, f"dirty{i}[{g}]") for g in range(gfns))
                )
                for i in range(slots)
            ),
            gpcs=caches,
            mem_attr_array=tuple(self.new(MemAttrEntry, f"{name}.mem_attr_array[{g}]") for g in range(gfns)),
            sptes=tuple(self.new(Spte, f"{name}.spte[{g}]") for g in range(gfns)),
            vcpus=vcpus,
            mm=mm,
            users_count=1,
            vm_type=vm_type,
            mmu_notifier_registered=True,
            mmu_invalidate_range_start=-1,
            mmu_invalidate_range_end=-1,
        )
        kvm.memslots = kvm.sets[0]
        mm.notifiers = (*mm.notifiers, kvm)
        for vcpu in vcpus:
            vcpu.kvm = kvm
            for gpc in (vcpu.pv_time, vcpu.xen.vcpu_info_cache, vcpu.xen.vcpu_time_info_cache):
                self.kvm_gpc_init(gpc, kvm)
            for gpc in (vcpu.xen.runstate_cache, vcpu.xen.runstate2_cache):
                self.kvm_gpc_init(gpc, kvm)
        self.kvm_gpc_init(kvm.xen.shinfo_cache, kvm)
        return kvm

    def kvm_get_kvm(self, kvm: Kvm) -> None:
        """Take a reference on the VM.

        Linux: virt/kvm/kvm_main.c kvm_get_kvm(), v7.3.4.
        """
        self.users_count_inc(kvm)

    @atomic
    @part_of("refcount_inc")
    def users_count_inc(self, kvm: Kvm) -> None:
        """Increment kvm->users_count, and report a VM without references, as refcount_inc() warns.

        Linux: include/linux/refcount.h refcount_inc(), v7.3.4.
        """
        if kvm.users_count <= 0:
            report("refcount-imbalance", f"{kvm} has no reference, and gets one")
        kvm.users_count += 1

    def kvm_put_kvm(self, kvm: Kvm) -> None:
        """Drop a reference on the VM; the last one destroys it.

        Linux: virt/kvm/kvm_main.c kvm_put_kvm(), v7.3.4.
        Simplified: it stands for kvm_vm_release() too, which first shuts the irqfds down (kvm_irqfd_release()). No
        scenario has an irqfd's worker beside it.
        """
        if self.users_count_dec_and_test(kvm):
            self.kvm_destroy_vm(kvm)

    @atomic
    @part_of("refcount_dec_and_test")
    def users_count_dec_and_test(self, kvm: Kvm) -> bool:
        """Decrement kvm->users_count; return whether it is zero now.

        Linux: include/linux/refcount.h refcount_dec_and_test(), v7.3.4.
        """
        if kvm.users_count <= 0:
            report("refcount-imbalance", f"{kvm} is put, but has no reference")
        kvm.users_count -= 1
        return kvm.users_count == 0

    def kvm_destroy_vm(self, kvm: Kvm) -> None:
        """Destroy a VM without references: its notifiers, caches and memslots.

        Once the VM has unsubscribed from MMU notifiers, the end of an invalidation in progress no longer reaches it;
        this is the only way for mn_active_invalidate_count not to be zero here.

        Linux: virt/kvm/kvm_main.c kvm_destroy_vm(), v7.3.4.
        Simplified: without devices, I/O buses and IRQ routing; kvm_lock protects no list of VMs. srcu_barrier() and the
        freeing of struct kvm are left out: the record stays.
        """
        self.kvm_lock.lock()
        self.kvm_lock.unlock()
        self.kvm_arch_pre_destroy_vm(kvm)
        self.mmu_notifier_unregister(kvm, kvm.mm)
        WARN_ON_ONCE(kvm.mn_memslots_update_rcuwait.waiting, "rcuwait_active(&kvm->mn_memslots_update_rcuwait)")
        if kvm.mn_active_invalidate_count != 0:
            kvm.mn_active_invalidate_count = 0
        else:
            WARN_ON_ONCE(kvm.mmu_invalidate_in_progress != 0, "kvm->mmu_invalidate_in_progress")
        self.kvm_arch_destroy_vm(kvm)
        # The two sets have the same slots.
        for entry in self._kvm_memslots(kvm).entries:
            slot = entry.slot
            if slot is not None:
                self.kvm_free_memslot(kvm, slot)

    @part_of("kmem_cache_free")
    @atomic
    def free_vcpu(self, vcpu: KvmVcpu) -> None:
        """Report a vCPU that is freed with a timer that may still expire, as debugobjects does.

        Linux: virt/kvm/kvm_main.c kvm_vcpu_destroy(), mm/slub.c kmem_cache_free(), v7.3.4.
        """
        if vcpu.xen.timer.queued or vcpu.xen.timer.running:
            report("use-after-free", f"{vcpu} is freed, but its timer is queued, or its callback runs")
