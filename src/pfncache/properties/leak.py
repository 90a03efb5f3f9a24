# SPDX-License-Identifier: GPL-2.0-only
"""What every operation has allocated, referenced or locked is given back when all have ended."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import DirtyBitmap, File, Kvm, KvmMemorySlot
from pfncache.linux.mm.slub import is_live
from pfncache.properties.oracle import Oracle
from pfncache.properties.property import Property


class LeakProbe(Oracle):
    """Checks the state in which every operation has ended, as kmemleak does."""

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require an owner for each memslot, and for each reference on a file, an inode and the VM."""
        super().trace_quiescent(kvm)
        if kvm.users_count == 0:
            self.require_gone(kvm)
        for slot in kvm.slot_cache:
            if is_live(slot) and not self.is_owned(kvm, slot, None):
                report("leak", f"{slot} is allocated when all is done, but in no set of memslots")
        for bitmap in kvm.bitmap_cache:
            if is_live(bitmap) and not self.is_owned(kvm, None, bitmap):
                report("leak", f"{bitmap} is allocated when all is done, but no memslot has it")
        views = 0
        for file in self.gmem_files:
            if is_live(file.private_data):
                views += 1
            if file.f_count == 0 and is_live(file.private_data):
                report("leak", f"{file.private_data} is allocated when all is done, but {file} has no reference")
            mapped = self.vmas_of(file)
            if file.f_count > mapped + 1:
                report("leak", f"{file} has {file.f_count} references when all is done: 1 descriptor, {mapped} VMAs")
            if is_live(file.f_mapping) and file.f_mapping.i_count != 1:
                report("leak", f"{file.f_mapping} has {file.f_mapping.i_count} references when all is done, 1 file")
        if kvm.users_count > views + 1:
            report("leak", f"{kvm} has {kvm.users_count} references when all is done: 1 descriptor, {views} files")
        if self.rcu.readers != 0 or kvm.srcu.readers0 + kvm.srcu.readers1 != 0:
            report("leak", "an RCU or SRCU read section has not ended when all is done")
        for mm in self.mms:
            if mm.mm_count != 0:
                report("leak", f"{mm} is used by {mm.mm_count} kernel threads when all is done: never unused")
        self.require_free(kvm)

    def require_gone(self, kvm: Kvm) -> None:
        """Require that nothing is left of a VM without references: no memslot, no cache in use."""
        for slot in kvm.slot_cache:
            if is_live(slot):
                report("leak", f"{slot} is allocated when all is done, but {kvm} has no reference")
        for gpc in kvm.gpcs:
            if gpc.active:
                report("leak", f"{gpc} is active when all is done, but {kvm} has no reference")

    def require_free(self, kvm: Kvm) -> None:
        """Require that no lock is held, as lockdep does when a thread returns to user space."""
        if kvm.slots_lock.held or kvm.slots_arch_lock.held or kvm.mn_invalidate_lock.held or kvm.gpc_lock.held:
            report("lock-imbalance", f"slots_lock or a lock of the caches of {kvm} is held when all is done")
        if kvm.mmu_lock.writer or kvm.mmu_lock.readers != 0:
            report("lock-imbalance", f"{kvm.mmu_lock} is held when all is done")
        for gpc in kvm.gpcs:
            if gpc.refresh_lock.held or gpc.lock.writer or gpc.lock.readers != 0:
                report("lock-imbalance", f"a lock of {gpc} is held when all is done")
        for vcpu in kvm.vcpus:
            if vcpu.mutex.held:
                report("lock-imbalance", f"{vcpu.mutex} is held when all is done")
        for mm in self.mms:
            if mm.mmap_lock.writer or mm.mmap_lock.readers != 0:
                report("lock-imbalance", f"{mm.mmap_lock} is held when all is done")
        for file in self.gmem_files:
            if is_live(file.f_mapping):
                lock = file.f_mapping.invalidate_lock
                if lock.writer or lock.readers != 0:
                    report("lock-imbalance", f"{lock} is held when all is done")
        for page in self.mem_map:
            if page.lock.held:
                report("lock-imbalance", f"the lock of {page} is held when all is done")

    def is_owned(self, kvm: Kvm, slot: KvmMemorySlot | None, bitmap: DirtyBitmap | None) -> bool:
        """Return whether a set of memslots has the slot, or a slot with the dirty bitmap; each may be None."""
        for slots in kvm.sets:
            for entry in slots.entries:
                held = entry.slot
                if held is not None and (held is slot or (bitmap is not None and held.dirty_bitmap is bitmap)):
                    return True
        return False

    def vmas_of(self, file: File) -> int:
        """Count the VMAs that map the file."""
        mapped = 0
        for mm in self.mms:
            for vma in mm.vmas:
                if vma.present and vma.mapping is file.f_mapping:
                    mapped += 1
        return mapped


LEAK = Property(
    "leak",
    "when every operation has ended, a memslot or a reference on a file, VM or address space has no owner",
    LeakProbe,
)
