# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c, memory regions: KVM_SET_USER_MEMORY_REGION2 creates, deletes, moves or changes a memslot."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import (
    KVM_MR_CREATE,
    KVM_MR_DELETE,
    KVM_MR_FLAGS_ONLY,
    KVM_MR_MOVE,
    File,
    Kvm,
    KvmMemorySlot,
)
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.lockdep import lockdep_assert_held
from pfncache.linux.include.linux.types import Errno, Hva, Pgoff
from pfncache.linux.include.uapi.linux.errno import EEXIST, EINVAL, ENOMEM
from pfncache.linux.include.uapi.linux.kvm import KVM_MEM_GUEST_MEMFD, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.mm.slub import kfree, kzalloc
from pfncache.linux.virt.kvm.kvm_main.memslots import Memslots


class MemoryRegion(Memslots):
    """The functions of virt/kvm/kvm_main.c that change memslots for user space."""

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
        flags: int = 0
        if log_dirty:
            flags |= KVM_MEM_LOG_DIRTY_PAGES
        if readonly:
            flags |= KVM_MEM_READONLY
        if gmem is not None:
            flags |= KVM_MEM_GUEST_MEMFD
        with mutex(kvm.slots_lock):
            return self.kvm_set_memory_region(kvm, slot_id, base_gfn, npages, userspace_addr, flags, gmem, gmem_pgoff)

    def check_memory_region_flags(self, kvm: Kvm, flags: int) -> Errno:
        """Check the flags of a memslot; one with guest_memfd has neither dirty logging nor is it read-only.

        Linux: virt/kvm/kvm_main.c check_memory_region_flags(), v7.3.4.
        Returns: 0 or -EINVAL.
        """
        valid: int = KVM_MEM_GUEST_MEMFD
        if flags & KVM_MEM_GUEST_MEMFD == 0:
            valid |= KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY
        return -EINVAL if flags & ~valid != 0 else 0

    def kvm_set_memory_region(
        self,
        kvm: Kvm,
        slot_id: int,
        base_gfn: Gfn,
        npages: Pgoff,
        userspace_addr: Hva,
        flags: int,
        gmem: File | None,
        gmem_pgoff: Pgoff,
    ) -> Errno:
        """Determine which change the arguments stand for, and make it.

        Linux: virt/kvm/kvm_main.c kvm_set_memory_region(), v7.3.4.
        Locks: slots_lock.
        Returns: as set_memory_region(), of kvm_vm_ioctl_set_memory_region().
        Simplified: kvm_vm_ioctl_set_memory_region() of the model checks what is in bytes.
        """
        lockdep_assert_held(kvm.slots_lock)
        if self.check_memory_region_flags(kvm, flags) != 0:
            return -EINVAL
        # access_ok(), the only check of the user address: it may be unmapped, or belong to another slot as well.
        if self.offset_in_page(userspace_addr) != 0 or userspace_addr + (npages << self.PAGE_SHIFT) > self.PAGE_OFFSET:
            return -EINVAL
        slots = self._kvm_memslots(kvm)
        old = self.id_to_memslot(slots, slot_id)
        if npages == 0:
            if old is None:
                return -EINVAL
            WARN_ON_ONCE(kvm.nr_memslot_pages < old.npages, "kvm->nr_memslot_pages < old->npages")
            return self.kvm_set_memslot(kvm, old, None, KVM_MR_DELETE)
        change: int = KVM_MR_CREATE
        if old is not None:
            if self.slot_is_immutable(old, flags):
                return -EINVAL
            is_readonly = flags & KVM_MEM_READONLY != 0
            if userspace_addr != old.userspace_addr or npages != old.npages or is_readonly != old.readonly:
                return -EINVAL
            has_gmem = flags & KVM_MEM_GUEST_MEMFD != 0
            if base_gfn != old.base_gfn:
                change = KVM_MR_MOVE
            elif (flags & KVM_MEM_LOG_DIRTY_PAGES != 0) != old.log_dirty or has_gmem != old.guest_memfd:
                change = KVM_MR_FLAGS_ONLY
            else:
                return 0
        if change != KVM_MR_FLAGS_ONLY and self.kvm_check_memslot_overlap(slots, slot_id, base_gfn, base_gfn + npages):
            return -EEXIST
        new = kzalloc(kvm.slot_cache)
        if new is None:
            return -ENOMEM
        new.id = slot_id
        new.base_gfn = base_gfn
        new.npages = npages
        new.log_dirty = flags & KVM_MEM_LOG_DIRTY_PAGES != 0
        new.readonly = flags & KVM_MEM_READONLY != 0
        new.guest_memfd = flags & KVM_MEM_GUEST_MEMFD != 0
        new.userspace_addr = userspace_addr
        return self.install_memslot(kvm, old, new, change, gmem, gmem_pgoff)

    @part_of("kvm_set_memory_region")
    def slot_is_immutable(self, old: KvmMemorySlot, flags: int) -> bool:
        """Return whether the slot can only be deleted: it has guest_memfd, or is to get it (since 6.19: 9935df5333aa).

        Linux: virt/kvm/kvm_main.c kvm_set_memory_region(), v7.3.4.
        Locks: slots_lock.
        """
        return old.guest_memfd or flags & KVM_MEM_GUEST_MEMFD != 0

    @part_of("kvm_set_memory_region")
    def install_memslot(
        self,
        kvm: Kvm,
        old: KvmMemorySlot | None,
        new: KvmMemorySlot,
        change: int,
        gmem: File | None,
        gmem_pgoff: Pgoff,
    ) -> Errno:
        """Look the file of a new slot up, and make the change; free the slot if that fails.

        The reference on the file is dropped, even on success: the file pins the VM, not the other way round.

        Linux: virt/kvm/kvm_main.c kvm_set_memory_region(), v7.3.4.
        Locks: slots_lock.
        Returns: 0, -ENOMEM, or what binding returns.
        """
        ret: Errno = 0
        if gmem is not None:
            ret = self.kvm_gmem_prepare_memory_region(kvm, new, gmem, gmem_pgoff)
            if ret != 0:
                kfree(new)
                return ret
        ret = self.kvm_set_memslot(kvm, old, new, change)
        if gmem is not None:
            self.fput(gmem)
        if ret != 0:
            kfree(new)
        return ret

    # The four changes

    def kvm_set_memslot(self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int) -> Errno:
        """Make a change in both sets.

        A slot that is deleted or moved is replaced by an INVALID copy first, which no lookup accepts, so that nothing
        is mapped through it when it goes. No pfncache is invalidated: kvm_gpc_check() compares the generation.

        Linux: virt/kvm/kvm_main.c kvm_set_memslot(), v7.3.4.
        Locks: slots_lock; takes slots_arch_lock.
        Returns: 0, -ENOMEM, or what binding returns.
        """
        invalid_slot: KvmMemorySlot | None = None
        kvm.slots_arch_lock.lock()
        if old is not None and change != KVM_MR_FLAGS_ONLY:
            invalid_slot = kzalloc(kvm.slot_cache)
            if invalid_slot is None:
                kvm.slots_arch_lock.unlock()
                return -ENOMEM
            self.kvm_invalidate_memslot(kvm, old, invalid_slot)
        ret = self.kvm_prepare_memory_region(kvm, old, new, change)
        if ret == 0 and change == KVM_MR_CREATE:
            assert new is not None
            if new.guest_memfd:
                # Invalidations find the slot from here on, when it is complete (since 7.3.2: 3fe5d2944e5a).
                ret = self.kvm_gmem_commit_memory_region(kvm, new)
                if ret != 0:
                    self.kvm_destroy_dirty_bitmap(new)
        if ret != 0:
            if invalid_slot is not None:
                # The inactive set still has the old slot, which is activated again, with another generation.
                self.kvm_activate_memslot(kvm, invalid_slot, old)
                kfree(invalid_slot)
            else:
                kvm.slots_arch_lock.unlock()
            return ret
        if change == KVM_MR_CREATE:
            self.kvm_create_memslot(kvm, new)
        elif change == KVM_MR_DELETE:
            self.kvm_delete_memslot(kvm, old, invalid_slot)
        elif change == KVM_MR_MOVE:
            self.kvm_move_memslot(kvm, old, new, invalid_slot)
        else:
            self.kvm_update_flags_memslot(kvm, old, new)
        if invalid_slot is not None:
            kfree(invalid_slot)
        self.kvm_commit_memory_region(kvm, old, new, change)
        return 0

    def kvm_invalidate_memslot(self, kvm: Kvm, old: KvmMemorySlot, invalid_slot: KvmMemorySlot) -> None:
        """Replace a slot by an INVALID copy, and zap what was mapped through it.

        Linux: virt/kvm/kvm_main.c kvm_invalidate_memslot(), v7.3.4.
        Locks: slots_lock; slots_arch_lock, which is dropped and taken again.
        Simplified: without kvm_arch_guest_memory_reclaimed(), a cache flush for SEV.
        """
        self.kvm_copy_memslot(invalid_slot, old)
        invalid_slot.invalid = True
        self.kvm_replace_memslot(kvm, old, invalid_slot)
        self.kvm_swap_active_memslots(kvm)
        self.kvm_arch_flush_shadow_memslot(kvm, old)
        kvm.slots_arch_lock.lock()
        # The metadata may have changed while slots_arch_lock was not held.
        old.arch_ready = invalid_slot.arch_ready

    def kvm_prepare_memory_region(
        self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int
    ) -> Errno:
        """Give a new slot its dirty bitmap, that of the old slot if it has one, and the architecture's metadata.

        Linux: virt/kvm/kvm_main.c kvm_prepare_memory_region(), v7.3.4.
        Locks: slots_lock, slots_arch_lock.
        Returns: 0, -ENOMEM, or what the architecture returns.
        Simplified: no dirty ring, and no KVM_DIRTY_LOG_INITIALLY_SET.
        """
        if change != KVM_MR_DELETE:
            assert new is not None
            if not new.log_dirty:
                new.dirty_bitmap = None
            elif old is not None and old.dirty_bitmap is not None:
                new.dirty_bitmap = old.dirty_bitmap
            else:
                ret = self.kvm_alloc_dirty_bitmap(kvm, new)
                if ret != 0:
                    return ret
        ret = self.kvm_arch_prepare_memory_region(kvm, old, new, change)
        if ret != 0 and new is not None and (old is None or old.dirty_bitmap is None):
            self.kvm_destroy_dirty_bitmap(new)
        return ret

    def kvm_commit_memory_region(
        self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int
    ) -> None:
        """Free what a change has replaced; of a slot that is moved, or has other flags, only the slot itself.

        Linux: virt/kvm/kvm_main.c kvm_commit_memory_region(), v7.3.4.
        Locks: slots_lock.
        Simplified: without nr_memslots_dirty_logging.
        """
        if change == KVM_MR_CREATE:
            assert new is not None
            kvm.nr_memslot_pages += new.npages
        elif change == KVM_MR_DELETE:
            assert old is not None
            kvm.nr_memslot_pages -= old.npages
        self.kvm_arch_commit_memory_region(kvm, old, new, change)
        if change == KVM_MR_CREATE:
            return
        assert old is not None
        if change == KVM_MR_DELETE:
            self.kvm_free_memslot(kvm, old)
            return
        assert new is not None
        if old.dirty_bitmap is not None and new.dirty_bitmap is None:
            self.kvm_destroy_dirty_bitmap(old)
        # A move is no change of a slot with guest_memfd either.
        self.unbind_replaced_slot(old)
        kfree(old)

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

    def kvm_create_memslot(self, kvm: Kvm, new: KvmMemorySlot | None) -> None:
        """Install a new slot (KVM_MR_CREATE).

        Linux: virt/kvm/kvm_main.c kvm_create_memslot(), v7.3.4.
        Locks: slots_lock; slots_arch_lock, which is dropped.
        """
        self.kvm_replace_memslot(kvm, None, new)
        self.kvm_activate_memslot(kvm, None, new)

    def kvm_delete_memslot(self, kvm: Kvm, old: KvmMemorySlot | None, invalid_slot: KvmMemorySlot | None) -> None:
        """Remove a slot from the inactive set, and its INVALID copy from the other (KVM_MR_DELETE).

        Linux: virt/kvm/kvm_main.c kvm_delete_memslot(), v7.3.4.
        Locks: slots_lock; slots_arch_lock, which is dropped.
        """
        self.kvm_replace_memslot(kvm, old, None)
        self.kvm_activate_memslot(kvm, invalid_slot, None)

    def kvm_move_memslot(
        self,
        kvm: Kvm,
        old: KvmMemorySlot | None,
        new: KvmMemorySlot | None,
        invalid_slot: KvmMemorySlot | None,
    ) -> None:
        """Replace a slot, and its INVALID copy, by one at another gfn with the same user address (KVM_MR_MOVE).

        Linux: virt/kvm/kvm_main.c kvm_move_memslot(), v7.3.4.
        Locks: slots_lock; slots_arch_lock, which is dropped.
        """
        self.kvm_replace_memslot(kvm, old, new)
        self.kvm_activate_memslot(kvm, invalid_slot, new)

    def kvm_update_flags_memslot(self, kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None) -> None:
        """Replace a slot by a copy with other flags in one swap (KVM_MR_FLAGS_ONLY).

        Linux: virt/kvm/kvm_main.c kvm_update_flags_memslot(), v7.3.4.
        Locks: slots_lock; slots_arch_lock, which is dropped.
        """
        self.kvm_replace_memslot(kvm, old, new)
        self.kvm_activate_memslot(kvm, old, new)
