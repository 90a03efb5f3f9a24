# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c, the memslots: two sets, one of them active; an update changes the other and swaps them."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.locks import lock_acquire, lock_release
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.lang.report import report
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot, KvmMemslots
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.preempt import current_thread_info, might_sleep
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import ENOMEM
from pfncache.linux.kernel.rcu.srcutree import srcu_dereference_check
from pfncache.linux.mm.slub import kfree, kzalloc
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class Memslots(KvmMm):
    """The functions of virt/kvm/kvm_main.c that read, replace and free memslots."""

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
        return kvm.sets[1 - self._kvm_memslots(kvm).node_idx]

    def id_to_memslot(self, slots: KvmMemslots, slot_id: int) -> KvmMemorySlot | None:
        """Return the slot of a set that has an id.

        Linux: include/linux/kvm_host.h id_to_memslot(), v7.3.4.
        Locks: SRCU or slots_lock.
        Simplified: an entry by id instead of a hash table.
        """
        return slots.entries[slot_id].slot

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

    # Slots in the sets

    def kvm_activate_memslot(self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None) -> None:
        """Swap the sets, then make the same change in the set that was active before.

        Linux: virt/kvm/kvm_main.c kvm_activate_memslot(), v7.3.4.
        Locks: slots_lock; slots_arch_lock, which is dropped.
        """
        self.kvm_swap_active_memslots(kvm)
        self.kvm_replace_memslot(kvm, old, new)

    def kvm_replace_memslot(self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None) -> None:
        """Replace a slot, or none, of the inactive set by another one, or by none.

        Linux: virt/kvm/kvm_main.c kvm_replace_memslot(), v7.3.4.
        Locks: slots_lock.
        Simplified: an entry by id instead of a hash table and two trees.
        """
        slots = self.kvm_get_inactive_memslots(kvm)
        if new is not None:
            self.set_entry(slots, new.id, old, new)
        elif old is not None:
            self.set_entry(slots, old.id, old, None)

    @atomic
    @part_of("kvm_replace_memslot")
    def set_entry(self, slots: KvmMemslots, slot_id: int, old: KvmMemorySlot | None, new: KvmMemorySlot | None) -> None:
        """Store an entry; report a slot that is taken out and is not there, or one that is added over another.

        Linux: virt/kvm/kvm_main.c kvm_replace_memslot(), kvm_insert_gfn_node(), v7.3.4.
        """
        if new is not None:
            for entry in slots.entries:
                other = entry.slot
                if other is not None and other is not old and other.base_gfn == new.base_gfn:
                    report("warn-on", f"BUG(): {slots} gets {new}, but has {other} at the same gfn")
        if slots.entries[slot_id].slot is not old:
            report("list-corruption", f"{slots} has {slots.entries[slot_id].slot} for id {slot_id}, not {old}")
        slots.entries[slot_id].slot = new

    def kvm_copy_memslot(self, dest: KvmMemorySlot, src: KvmMemorySlot) -> None:
        """Copy a slot, without its guest_memfd file; the copy has the same dirty bitmap.

        Linux: virt/kvm/kvm_main.c kvm_copy_memslot(), v7.3.4.
        Locks: slots_lock.
        """
        dest.base_gfn = src.base_gfn
        dest.npages = src.npages
        dest.dirty_bitmap = src.dirty_bitmap
        dest.arch_ready = src.arch_ready
        dest.userspace_addr = src.userspace_addr
        dest.log_dirty = src.log_dirty
        dest.readonly = src.readonly
        dest.guest_memfd = src.guest_memfd
        dest.invalid = src.invalid
        dest.gmem_only = src.gmem_only
        dest.id = src.id

    def kvm_free_memslot(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Free a slot that is no longer reachable.

        Linux: virt/kvm/kvm_main.c kvm_free_memslot(), v7.3.4.
        Locks: slots_lock; none for a VM without references.
        """
        if slot.guest_memfd:
            self.kvm_gmem_unbind(slot)
        self.kvm_destroy_dirty_bitmap(slot)
        kfree(slot)

    # The dirty bitmap

    def kvm_alloc_dirty_bitmap(self, kvm: Kvm, slot: KvmMemorySlot) -> Errno:
        """Allocate the dirty bitmap of a slot.

        Linux: virt/kvm/kvm_main.c kvm_alloc_dirty_bitmap(), v7.3.4.
        Locks: slots_lock, slots_arch_lock.
        Returns: 0 or -ENOMEM.
        Simplified: once, without the second half that KVM_GET_DIRTY_LOG uses.
        """
        bitmap = kzalloc(kvm.bitmap_cache)
        if bitmap is None:
            return -ENOMEM
        slot.dirty_bitmap = bitmap
        return 0

    def kvm_destroy_dirty_bitmap(self, slot: KvmMemorySlot) -> None:
        """Free the dirty bitmap of a slot, if it has one.

        Linux: virt/kvm/kvm_main.c kvm_destroy_dirty_bitmap(), v7.3.4.
        Locks: as kvm_free_memslot().
        """
        bitmap = slot.dirty_bitmap
        if bitmap is None:
            return
        kfree(bitmap)
        slot.dirty_bitmap = None
