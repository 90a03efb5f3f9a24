# SPDX-License-Identifier: GPL-2.0-only
"""Tables for the memslots of virt/kvm/kvm_main.c."""

from __future__ import annotations

from collections.abc import Callable

from pfncache.csource.tables import CallEntry, MemberEntry, NameEntry, Tables
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.kvm_host import File, Kvm, KvmMemorySlot, KvmMemslots
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Errno, Hva, Pgoff
from pfncache.linux.include.uapi.linux.kvm import KVM_MEM_GUEST_MEMFD, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY
from pfncache.linux.virt.kvm.kvm_main.ioctl import KvmUserspaceMemoryRegion2
from pfncache.linux.virt.kvm.kvm_main.memory_region import MemoryRegion

KVM_MEMSLOT_INVALID, KVM_MEMSLOT_GMEM_ONLY = 1 << 4, 1 << 5
"""Flags that user space does not pass. Linux has them in bits 16 and 17."""
CONSTANTS = {
    "KVM_MEMSLOT_INVALID": KVM_MEMSLOT_INVALID, "KVM_MEMSLOT_GMEM_ONLY": KVM_MEMSLOT_GMEM_ONLY,
    "KVM_DIRTY_LOG_INITIALLY_SET": 2, "TASK_UNINTERRUPTIBLE": 2,
}  # fmt: skip
TREES = "an entry by id instead of a hash table and two trees"
ONE_SPACE = "the model has one address space"
POOL = "memory comes from a pool of the VM"
WAITER = "the one wait of these files is for mn_memslots_update_rcuwait, whose record has the state of the task"
SPTES = "SPTEs are the model's"
METADATA = "the architecture's metadata of the model is a part of its slot"
READONLY = "x86 has a macro, which is false for guests of SEV-ES and TDX alone"
RING = "the model has no dirty ring"

TABLES = Tables(
    by_hand={
        "kvm_replace_memslot": TREES,
        "id_to_memslot": TREES,
        "kvm_alloc_dirty_bitmap": POOL,
        "kvm_arch_commit_memory_region": SPTES,
        "kvm_mmu_slot_apply_flags": SPTES,
        "kvm_alloc_memslot_metadata": METADATA,
        "kvm_arch_free_memslot": METADATA,
        "kvm_arch_has_readonly_mem": READONLY,
        "kvm_create_vm": "a VM is made when a scenario is set up, with every record that it will have",
    },
    opaque_members={
        ("Kvm", "nr_memslots_dirty_logging"): "the number by which x86 decides whether huge pages are recovered",
    },
    elements={
        ("Kvm", "memslots"): MemberEntry("{0}.memslots", ONE_SPACE, "KvmMemslots"),
        ("Kvm", "__memslots"): MemberEntry("{0}.sets", ONE_SPACE, "KvmMemslots*"),
    },
    members={
        ("Kvm", "manual_dirty_log_protect"): MemberEntry("0", "the model has no KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2"),
        ("KvmMemorySlot", "as_id"): MemberEntry("0", ONE_SPACE, store="self.set_as_id({0}, {1})"),
        ("KvmMemorySlot", "arch"): MemberEntry("{0}.arch_ready", "the model has whether it is allocated", "bool"),
        ("KvmMemorySlot", "flags"): MemberEntry(
            "self.memslot_flags({0})", "a truth value for each flag", store="self.set_memslot_flags({0}, {1})"
        ),
    },
    names={
        "KVM_USER_MEM_SLOTS": NameEntry("len({struct:kvm}.sets[0].entries)", "ids of the model are few"),
        "KVM_MEM_SLOTS_NUM": NameEntry("len({struct:kvm}.sets[0].entries)", "ids of the model are few"),
        "KVM_MEM_MAX_NR_PAGES": NameEntry("((1 << 31) - 1)", "a macro of kvm_host.h"),
    },
    calls={
        "kvm_alloc_dirty_bitmap": CallEntry("self.kvm_alloc_dirty_bitmap({struct:kvm}, {0})", POOL),
        "vfree": CallEntry("kfree({0})", "memory of the model is that of the slab", "void"),
        "set_current_state": CallEntry("{struct:kvm}.mn_memslots_update_rcuwait.set_uninterruptible()", WAITER, "void"),
        "schedule": CallEntry("self.wait_for_invalidations({struct:kvm})", WAITER, "void"),
        "prepare_to_rcuwait": CallEntry("{0}.prepare_to_rcuwait()", "a method of the record", "void"),
        "finish_rcuwait": CallEntry("{0}.finish_rcuwait()", "a method of the record", "void"),
        "synchronize_srcu_expedited": CallEntry("{0}.synchronize()", "a method of the record", "void"),
        "kvm_arch_memslots_updated": CallEntry("self.kvm_arch_memslots_updated({0})", "it has no MMIO SPTEs", "void"),
        "kvm_arch_commit_memory_region": CallEntry(
            "self.kvm_arch_commit_memory_region({0}, {1}, {2}, {3})", SPTES, "void"
        ),
        "kvm_arch_free_memslot": CallEntry("", METADATA, "void"),
        "kvm_arch_has_readonly_mem": CallEntry("True", READONLY, "bool"),
        "kvm_use_dirty_bitmap": CallEntry("True", RING, "bool"),
        "bitmap_set": CallEntry("", "see manual_dirty_log_protect", "void"),
        "untagged_addr": CallEntry("{0}", "addresses of the model have no tags"),
        "BUG": CallEntry("self.warn('BUG()')", "a report ends the run", "void"),
    },
    calls_on={
        ("kzalloc_obj", "KvmMemorySlot"): CallEntry("kzalloc({struct:kvm}.slot_cache)", POOL, "KvmMemorySlot"),
        ("kzalloc", "KvmMemorySlot"): CallEntry("kzalloc({struct:kvm}.slot_cache)", POOL, "KvmMemorySlot"),
    },
)  # fmt: skip


class MemslotHelpers(MemoryRegion):
    """What the functions of memslots call in another form than the model's functions have."""

    @part_of_caller
    def set_as_id(self, slot: KvmMemorySlot, as_id: int) -> None:
        """Do nothing: the address space is 0."""

    @part_of_caller
    def memslot_flags(self, slot: KvmMemorySlot) -> int:
        """Return the flags of a slot as bits."""
        flags: int = 0
        if slot.log_dirty:
            flags |= KVM_MEM_LOG_DIRTY_PAGES
        if slot.readonly:
            flags |= KVM_MEM_READONLY
        if slot.guest_memfd:
            flags |= KVM_MEM_GUEST_MEMFD
        if slot.invalid:
            flags |= KVM_MEMSLOT_INVALID
        if slot.gmem_only:
            flags |= KVM_MEMSLOT_GMEM_ONLY
        return flags

    @part_of_caller
    def set_memslot_flags(self, slot: KvmMemorySlot, flags: int) -> None:
        """Store the flags of a slot, which no lookup has yet."""
        slot.log_dirty = flags & KVM_MEM_LOG_DIRTY_PAGES != 0
        slot.readonly = flags & KVM_MEM_READONLY != 0
        slot.guest_memfd = flags & KVM_MEM_GUEST_MEMFD != 0
        slot.invalid = flags & KVM_MEMSLOT_INVALID != 0
        slot.gmem_only = flags & KVM_MEMSLOT_GMEM_ONLY != 0

    @part_of("schedule")
    def wait_for_invalidations(self, kvm: Kvm) -> None:
        """Sleep until the last invalidation in progress has ended."""
        self.wait_for_count(kvm)
        kvm.mn_memslots_update_rcuwait.schedule()

    @part_of_caller
    def number_of(self, file: File | None) -> int:
        """Return the number of a file in gmem_files, which stands for its descriptor; one too many for no file."""
        for number in range(len(self.gmem_files)):
            if self.gmem_files[number] is file:
                return number
        return len(self.gmem_files)


class MemslotAdapters(MemslotHelpers):
    """The model's functions that take or return something else than the C's: each calls the C's function."""

    c_kvm_vm_ioctl_set_memory_region: Callable[..., Errno]
    c_check_memory_region_flags: Callable[..., Errno]
    c_kvm_get_inactive_memslots: Callable[..., KvmMemslots]

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
        """Pass flags as bits, ranges in bytes, and a file by its number."""
        flags: int = 0
        if log_dirty:
            flags |= KVM_MEM_LOG_DIRTY_PAGES
        if readonly:
            flags |= KVM_MEM_READONLY
        if gmem is not None:
            flags |= KVM_MEM_GUEST_MEMFD
        return self.with_region(
            self.c_kvm_vm_ioctl_set_memory_region, kvm, slot_id, flags, base_gfn << self.PAGE_SHIFT,
            npages << self.PAGE_SHIFT, userspace_addr, gmem_pgoff << self.PAGE_SHIFT, gmem,
        )  # fmt: skip

    def kvm_vm_ioctl_set_memory_region(self, kvm: Kvm, mem: KvmUserspaceMemoryRegion2) -> Errno:
        """Pass a file by its number."""
        return self.with_region(
            self.c_kvm_vm_ioctl_set_memory_region, kvm, mem.slot, mem.flags, mem.guest_phys_addr, mem.memory_size,
            mem.userspace_addr, mem.guest_memfd_offset, mem.guest_memfd,
        )  # fmt: skip

    def check_memory_region_flags(self, kvm: Kvm, flags: int) -> Errno:
        """Pass the flags in a structure."""
        return self.with_region(self.c_check_memory_region_flags, kvm, 0, flags, 0, 0, 0, 0, None)

    @part_of_caller
    def with_region(
        self, function: Callable[..., Errno], kvm: Kvm, slot: int, flags: int, guest_phys_addr: int,
        memory_size: int, userspace_addr: Hva, guest_memfd_offset: int, guest_memfd: File | None,
    ) -> Errno:  # fmt: skip
        """Call a function with a struct kvm_userspace_memory_region2, whose file is passed by its number."""
        return function(
            kvm,
            mem_slot=slot,
            mem_flags=flags,
            mem_guest_phys_addr=guest_phys_addr,
            mem_memory_size=memory_size,
            mem_userspace_addr=userspace_addr,
            mem_guest_memfd_offset=guest_memfd_offset,
            mem_guest_memfd=self.number_of(guest_memfd),
        )

    def kvm_get_inactive_memslots(self, kvm: Kvm) -> KvmMemslots:
        """Pass address space 0."""
        return self.c_kvm_get_inactive_memslots(kvm, 0)
