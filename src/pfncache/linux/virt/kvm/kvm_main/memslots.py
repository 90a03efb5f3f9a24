# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c, the memslots: two sets, one of them active; an update changes the other and swaps them."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.locks import lock_acquire, lock_release
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import File, Kvm, KvmMemorySlot, KvmMemslots
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.lockdep import lockdep_assert_held
from pfncache.linux.include.linux.preempt import current_thread_info, might_sleep
from pfncache.linux.include.linux.types import Errno, Hva, Pgoff
from pfncache.linux.include.uapi.linux.errno import EEXIST, EINVAL, ENOMEM
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_dereference_check
from pfncache.linux.mm.slub import kfree, kzalloc
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class Memslots(KvmMm):
    """The functions of virt/kvm/kvm_main.c that read and update memslots."""

    def kvm_memslots(self, kvm: Kvm) -> KvmMemslots:
        """Return the active set.

        Linux: include/linux/kvm_host.h kvm_memslots(), v7.3.4.
        Locks: SRCU or slots_lock.
        """
        return self._kvm_memslots(kvm)

    def _kvm_memslots(self, kvm: Kvm) -> KvmMemslots:
        """Return the active set of address space 0.

        Linux: include/linux/kvm_host.h __kvm_memslots(), v7.3.4.
        Locks: SRCU or slots_lock; none for a VM without references.
        """
        self.check_slots_protected(kvm)
        slots = kvm.memslots
        assert slots is not None
        return slots

    @part_of("__kvm_memslots")
    @atomic
    def check_slots_protected(self, kvm: Kvm) -> None:
        """Report a dereference of kvm->memslots that nothing protects.

        Linux: include/linux/kvm_host.h __kvm_memslots(), v7.3.4.
        """
        locked = current_thread_info().slots_lock_depth != 0
        srcu_dereference_check("kvm->memslots", locked or kvm.users_count == 0)

    def kvm_get_inactive_memslots(self, kvm: Kvm) -> KvmMemslots:
        """Return the set that is not active.

        Linux: virt/kvm/kvm_main.c kvm_get_inactive_memslots(), v7.3.4.
        Locks: slots_lock.
        """
        return kvm.sets[1] if self._kvm_memslots(kvm) is kvm.sets[0] else kvm.sets[0]

    # The ioctl

    @part_of("kvm_vm_ioctl_set_memory_region")
    def set_memory_region(
        self,
        kvm: Kvm,
        slot_id: int,
        base_gfn: Gfn,
        npages: Pgoff,
        userspace_addr: Hva,
        log_dirty: bool = False,
        readonly: bool = False,
        gmem: File | None = None,
        gmem_pgoff: Pgoff = 0,
    ) -> Errno:
        """Create, delete or move a memslot, or change its flags.

        Linux: virt/kvm/kvm_main.c kvm_vm_ioctl_set_memory_region(), v7.3.4.
        Locks: takes slots_lock.
        Returns: 0, -EINVAL, -EEXIST, -ENOMEM or what binding a guest_memfd returns.
        Simplified: flags are arguments; address space 0; without the -EIO that kvm_vm_ioctl() returns to another
        address space, as after fork(), or for a dead VM.
        """
        with mutex(kvm.slots_lock):
            return self.kvm_set_memory_region(
                kvm, slot_id, base_gfn, npages, userspace_addr, log_dirty, readonly, gmem, gmem_pgoff
            )

    def kvm_set_memory_region(
        self,
        kvm: Kvm,
        slot_id: int,
        base_gfn: Gfn,
        npages: Pgoff,
        userspace_addr: Hva,
        log_dirty: bool,
        readonly: bool,
        gmem: File | None,
        gmem_pgoff: Pgoff,
    ) -> Errno:
        """Determine which change the arguments stand for, and make it.

        Linux: virt/kvm/kvm_main.c kvm_set_memory_region(), v7.3.4.
        Locks: slots_lock.
        Returns: as set_memory_region(), of kvm_vm_ioctl_set_memory_region().
        """
        lockdep_assert_held(kvm.slots_lock)
        if self.offset_in_page(userspace_addr) != 0:
            return -EINVAL
        # access_ok(), the only check of the user address: it may be unmapped, or belong to another slot as well.
        if userspace_addr + (npages << self.PAGE_SHIFT) > self.PAGE_OFFSET:
            return -EINVAL
        if gmem is not None and (log_dirty or readonly):
            return -EINVAL
        slots = self._kvm_memslots(kvm)
        old = slots.entries[slot_id].slot
        if npages == 0:
            if old is None:
                return -EINVAL
            return self.kvm_delete_memslot(kvm, slot_id, old)
        if old is None:
            if self.kvm_check_memslot_overlap(slots, slot_id, base_gfn, base_gfn + npages):
                return -EEXIST
            new = kzalloc(kvm.slot_cache)
            if new is None:
                return -ENOMEM
            new.base_gfn = base_gfn
            new.npages = npages
            new.userspace_addr = userspace_addr
            new.log_dirty = log_dirty
            new.readonly = readonly
            return self.kvm_create_memslot(kvm, slot_id, new, gmem, gmem_pgoff)
        if self.slot_is_immutable(old, gmem):
            return -EINVAL
        if userspace_addr != old.userspace_addr or npages != old.npages or readonly != old.readonly:
            return -EINVAL
        if base_gfn != old.base_gfn:
            if self.kvm_check_memslot_overlap(slots, slot_id, base_gfn, base_gfn + npages):
                return -EEXIST
            return self.kvm_move_memslot(kvm, slot_id, old, base_gfn, log_dirty)
        if log_dirty != old.log_dirty or self.toggles_gmem(old, gmem):
            return self.kvm_update_flags_memslot(kvm, slot_id, old, log_dirty, gmem, gmem_pgoff)
        return 0

    @part_of("kvm_set_memory_region")
    def slot_is_immutable(self, old: KvmMemorySlot, gmem: File | None) -> bool:
        """Return whether the slot can only be deleted: it has guest_memfd, or is to get it (since 6.19: 9935df5333aa).

        Linux: virt/kvm/kvm_main.c kvm_set_memory_region(), v7.3.4.
        Locks: slots_lock.
        """
        return old.guest_memfd or gmem is not None

    @part_of("kvm_set_memory_region")
    def toggles_gmem(self, old: KvmMemorySlot, gmem: File | None) -> bool:
        """Return whether the old and the new flags differ in KVM_MEM_GUEST_MEMFD.

        Linux: virt/kvm/kvm_main.c kvm_set_memory_region(), v7.3.4.
        Locks: slots_lock.
        """
        return old.guest_memfd != (gmem is not None)

    def kvm_check_memslot_overlap(self, slots: KvmMemslots, slot_id: int, start: Gfn, end: Gfn) -> bool:
        """Return whether another slot has a gfn of [start, end).

        Linux: virt/kvm/kvm_main.c kvm_check_memslot_overlap(), v7.3.4.
        Locks: slots_lock.
        """
        for number in range(len(slots.entries)):
            slot = slots.entries[number].slot
            if number != slot_id and slot is not None and slot.base_gfn < end and start < slot.base_gfn + slot.npages:
                return True
        return False

    # The swap

    def kvm_swap_active_memslots(self, kvm: Kvm) -> None:
        """Make the inactive set the active one, and wait for the readers of the other.

        Linux: virt/kvm/kvm_main.c kvm_swap_active_memslots(), v7.3.4.
        Locks: slots_lock; slots_arch_lock, which is dropped.
        """
        slots = self.kvm_get_inactive_memslots(kvm)
        old = self._kvm_memslots(kvm)
        generation = old.generation
        WARN_ON_ONCE(
            generation & self.KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS != 0, "gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS"
        )
        slots.generation = generation | self.KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS
        self.install_memslots(kvm, slots)
        # Dropped before the wait for SRCU readers, which may take it in their read sections.
        kvm.slots_arch_lock.unlock()
        kvm.srcu.synchronize()
        self.kvm_arch_memslots_updated(kvm)
        slots.generation = generation + 1

    @part_of("kvm_swap_active_memslots")
    def install_memslots(self, kvm: Kvm, slots: KvmMemslots) -> None:
        """Wait until no invalidation is in progress, then publish a set: start and end must see the same slots.

        Linux: virt/kvm/kvm_main.c kvm_swap_active_memslots(), v7.3.4.
        Locks: slots_lock, slots_arch_lock.
        """
        kvm.mn_invalidate_lock.lock()
        kvm.mn_memslots_update_rcuwait.prepare_to_rcuwait()
        while kvm.mn_active_invalidate_count != 0:
            kvm.mn_memslots_update_rcuwait.set_uninterruptible()
            kvm.mn_invalidate_lock.unlock()
            self.wait_for_count(kvm)
            kvm.mn_memslots_update_rcuwait.schedule()
            kvm.mn_invalidate_lock.lock()
        kvm.mn_memslots_update_rcuwait.finish_rcuwait()
        kvm.memslots = slots
        kvm.mn_invalidate_lock.unlock()

    @atomic
    @part_of_caller
    def wait_for_count(self, kvm: Kvm) -> None:
        """Annotate for lockdep the wait for every task that has raised mn_active_invalidate_count.

        Linux: nothing; an annotation of the model.
        """
        might_sleep()
        lock_acquire(kvm.mn_memslots_update_rcuwait, exclusive=True, excludes=False)
        lock_release(kvm.mn_memslots_update_rcuwait)

    def kvm_activate_memslot(self, kvm: Kvm, slot_id: int, new: KvmMemorySlot | None) -> None:
        """Swap the sets, then make the same change in the set that was active before.

        Linux: virt/kvm/kvm_main.c kvm_activate_memslot(), v7.3.4.
        Locks: slots_lock; slots_arch_lock, which is dropped.
        """
        self.kvm_swap_active_memslots(kvm)
        self.kvm_replace_memslot(kvm, slot_id, new)

    def kvm_replace_memslot(self, kvm: Kvm, slot_id: int, new: KvmMemorySlot | None) -> None:
        """Put a slot, or none, into the inactive set.

        Linux: virt/kvm/kvm_main.c kvm_replace_memslot(), v7.3.4.
        Locks: slots_lock.
        """
        self.kvm_get_inactive_memslots(kvm).entries[slot_id].slot = new

    # The four changes

    def kvm_create_memslot(
        self, kvm: Kvm, slot_id: int, new: KvmMemorySlot, gmem: File | None, gmem_pgoff: Pgoff
    ) -> Errno:
        """Install a new slot (KVM_MR_CREATE).

        Linux: virt/kvm/kvm_main.c kvm_set_memory_region(), kvm_set_memslot(), kvm_create_memslot(), v7.3.4.
        Locks: slots_lock.
        Returns: 0, -ENOMEM, or what binding returns.
        """
        ret: Errno = 0
        if gmem is not None:
            ret = self.kvm_gmem_prepare_memory_region(kvm, new, gmem, gmem_pgoff)
            if ret != 0:
                kfree(new)
                return ret
        kvm.slots_arch_lock.lock()
        ret = self.kvm_prepare_memory_region(kvm, None, new)
        if ret == 0 and gmem is not None:
            # Invalidations find the slot from here on, when it is complete (since 7.3.2: 3fe5d2944e5a).
            ret = self.kvm_gmem_commit_memory_region(kvm, new)
        if ret != 0:
            kvm.slots_arch_lock.unlock()
            if gmem is not None:
                self.fput(gmem)
            kfree(new)
            return ret
        self.kvm_replace_memslot(kvm, slot_id, new)
        self.kvm_activate_memslot(kvm, slot_id, new)
        if gmem is not None:
            self.fput(gmem)
        return 0

    def kvm_prepare_memory_region(self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot) -> Errno:
        """Give a new slot its dirty bitmap, that of the old slot if both log, and the metadata of the architecture.

        Linux: virt/kvm/kvm_main.c kvm_prepare_memory_region(), v7.3.4.
        Locks: slots_lock, slots_arch_lock.
        Returns: 0, or what the architecture returns.
        Simplified: the bitmap is copied, not shared; both log only in a move, when the old slot is unreachable. No
        KVM_DIRTY_LOG_INITIALLY_SET. For a deletion, where x86 does nothing, it is not called.
        """
        if old is not None and old.log_dirty and new.log_dirty:
            for number in range(len(new.dirty_bitmap)):
                new.dirty_bitmap[number].dirty = old.dirty_bitmap[number].dirty
        return self.kvm_arch_prepare_memory_region(kvm, new)

    def kvm_invalidate_memslot(self, kvm: Kvm, slot_id: int, old: KvmMemorySlot) -> KvmMemorySlot | None:
        """Replace a slot by an INVALID copy, which no lookup accepts, and zap what was mapped through it.

        Linux: virt/kvm/kvm_main.c kvm_set_memslot(), kvm_invalidate_memslot(), v7.3.4.
        Locks: slots_lock; takes slots_arch_lock, held on return.
        Returns: the copy; None without memory for it, in which case slots_arch_lock is not held.
        Simplified: without kvm_arch_guest_memory_reclaimed(); slot->arch does not change meanwhile.
        """
        kvm.slots_arch_lock.lock()
        invalid = kzalloc(kvm.slot_cache)
        if invalid is None:
            kvm.slots_arch_lock.unlock()
            return None
        self.kvm_copy_memslot(invalid, old)
        invalid.invalid = True
        self.kvm_replace_memslot(kvm, slot_id, invalid)
        self.kvm_swap_active_memslots(kvm)
        self.kvm_arch_flush_shadow_memslot(kvm, old)
        kvm.slots_arch_lock.lock()
        return invalid

    def kvm_copy_memslot(self, dest: KvmMemorySlot, src: KvmMemorySlot) -> None:
        """Copy a slot, without its guest_memfd file.

        Linux: virt/kvm/kvm_main.c kvm_copy_memslot(), v7.3.4.
        Locks: slots_lock.
        Simplified: without the dirty bitmap, which the copy shares in Linux. No lookup writes through an INVALID copy;
        kvm_vcpu_unmap() marks by gfn what was mapped before; no scenario logs that slot.
        """
        dest.base_gfn = src.base_gfn
        dest.npages = src.npages
        dest.userspace_addr = src.userspace_addr
        dest.log_dirty = src.log_dirty
        dest.readonly = src.readonly
        dest.guest_memfd = src.guest_memfd
        dest.gmem_only = src.gmem_only
        dest.arch_ready = src.arch_ready

    def kvm_delete_memslot(self, kvm: Kvm, slot_id: int, old: KvmMemorySlot) -> Errno:
        """Delete a slot (KVM_MR_DELETE). No pfncache is invalidated: kvm_gpc_check() compares the generation.

        Linux: virt/kvm/kvm_main.c kvm_set_memslot(), kvm_delete_memslot(), kvm_free_memslot(), v7.3.4.
        Locks: slots_lock.
        Returns: 0 or -ENOMEM.
        """
        invalid = self.kvm_invalidate_memslot(kvm, slot_id, old)
        if invalid is None:
            return -ENOMEM
        self.kvm_replace_memslot(kvm, slot_id, None)
        self.kvm_activate_memslot(kvm, slot_id, None)
        kfree(invalid)
        self.kvm_free_memslot(kvm, old)
        return 0

    def kvm_free_memslot(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Free a slot that is no longer reachable.

        Linux: virt/kvm/kvm_main.c kvm_free_memslot(), v7.3.4.
        Locks: slots_lock; none for a VM without references.
        """
        if slot.guest_memfd:
            self.kvm_gmem_unbind(slot)
        kfree(slot)

    def kvm_move_memslot(self, kvm: Kvm, slot_id: int, old: KvmMemorySlot, base_gfn: Gfn, log_dirty: bool) -> Errno:
        """Move a slot (KVM_MR_MOVE): as a deletion, then it is installed at another gfn with the same user address.

        Linux: virt/kvm/kvm_main.c kvm_set_memslot(), kvm_move_memslot(), kvm_commit_memory_region(), v7.3.4.
        Locks: slots_lock.
        Returns: 0 or -ENOMEM.
        """
        new = kzalloc(kvm.slot_cache)
        if new is None:
            return -ENOMEM
        self.kvm_copy_memslot(new, old)
        new.base_gfn = base_gfn
        new.log_dirty = log_dirty
        invalid = self.kvm_invalidate_memslot(kvm, slot_id, old)
        if invalid is None:
            kfree(new)
            return -ENOMEM
        ret = self.kvm_prepare_memory_region(kvm, old, new)
        if ret != 0:
            # The inactive set still has the old slot, which is activated again, with another generation.
            self.kvm_activate_memslot(kvm, slot_id, old)
            kfree(invalid)
            kfree(new)
            return ret
        self.kvm_replace_memslot(kvm, slot_id, new)
        self.kvm_activate_memslot(kvm, slot_id, new)
        kfree(invalid)
        # A move is no change of a slot with guest_memfd either.
        self.unbind_replaced_slot(old)
        kfree(old)
        return 0

    def kvm_update_flags_memslot(
        self,
        kvm: Kvm,
        slot_id: int,
        old: KvmMemorySlot,
        log_dirty: bool,
        gmem: File | None,
        gmem_pgoff: Pgoff,
    ) -> Errno:
        """Change the flags of a slot (KVM_MR_FLAGS_ONLY): a copy with the new flags replaces it in one swap.

        Linux: virt/kvm/kvm_main.c kvm_set_memslot(), kvm_update_flags_memslot(), kvm_commit_memory_region(), v7.3.4.
        Locks: slots_lock.
        Returns: 0 or -ENOMEM.
        """
        new = kzalloc(kvm.slot_cache)
        if new is None:
            return -ENOMEM
        self.kvm_copy_memslot(new, old)
        new.log_dirty = log_dirty
        new.guest_memfd = gmem is not None
        kvm.slots_arch_lock.lock()
        ret = self.kvm_prepare_memory_region(kvm, old, new)
        if ret != 0:
            kvm.slots_arch_lock.unlock()
            kfree(new)
            return ret
        self.kvm_replace_memslot(kvm, slot_id, new)
        self.kvm_activate_memslot(kvm, slot_id, new)
        self.unbind_replaced_slot(old)
        kfree(old)
        return 0

    @part_of("kvm_commit_memory_region")
    def unbind_replaced_slot(self, old: KvmMemorySlot) -> None:
        """Unbind the old slot after a move or a change of flags; it cannot have guest_memfd. Not in 6.12.117.

        Linux: virt/kvm/kvm_main.c kvm_commit_memory_region(), v7.3.4.
        Locks: slots_lock.
        Simplified: one warning; a move has two.
        """
        if old.guest_memfd:
            WARN_ON_ONCE(True, "WARN_ON_ONCE(old->flags & KVM_MEM_GUEST_MEMFD)")
            self.kvm_gmem_unbind(old)
