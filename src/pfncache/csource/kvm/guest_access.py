# SPDX-License-Identifier: GPL-2.0-only
"""Tables for reads and writes of guest memory by user address in virt/kvm/kvm_main.c, and for its dirty log."""

from __future__ import annotations

from collections.abc import Callable

from pfncache.csource.tables import CallEntry, Hook, MemberEntry, Tables
from pfncache.lang.atomic import host_only
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.arch.x86.lib.copy_user_64 import Usercopy
from pfncache.linux.include.linux.kvm_host import GfnToHvaCache, Kvm
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

RING = "the model has no dirty ring"
LAST_USED = "without the slot that the vCPU used last, which is valid for one generation"
RUNNING = "a member of the task instead of the CPU"
ZEROS = "it writes the zero page, whose contents the checker does not have"
NO_FAULTS = "it reads without page faults, which the model has as a member of the task"
WRITTEN = "properties look at what is written and marked dirty"

TABLES = Tables(
    config=frozenset({"CONFIG_HAVE_KVM_DIRTY_RING"}),
    by_hand={
        "kvm_vcpu_gfn_to_memslot": LAST_USED,
        "kvm_get_running_vcpu": RUNNING,
        "kvm_clear_guest": ZEROS,
        "__kvm_read_guest_atomic": NO_FAULTS,
        "kvm_vcpu_read_guest_atomic": NO_FAULTS,
    },
    members={
        ("Kvm", "dirty_ring_size"): MemberEntry("0", RING),
    },
    calls={
        "__copy_to_user": CallEntry("self.uncopied_to_user({0}, {1}, {2})", "the model's returns a truth value"),
        "__copy_from_user": CallEntry("self.uncopied_from_user({1}, {2})", "the model's returns a truth value"),
        "kvm_vcpu_gfn_to_memslot": CallEntry("self.gfn_to_memslot({0}.kvm, {1})", LAST_USED, "KvmMemorySlot"),
        "kvm_get_running_vcpu": CallEntry("current().running_vcpu", RUNNING, "KvmVcpu"),
        "kvm_arch_allow_write_without_running_vcpu": CallEntry("False", "x86 has none of its own", "bool"),
        "kvm_dirty_ring_push": CallEntry("", RING, "void"),
    },
    returns={
        "__kvm_write_guest_page": Hook(
            "self.note_write({struct:kvm_memory_slot}, {local:gfn})", WRITTEN, unless="-E"
        ),
        "kvm_write_guest_offset_cached": Hook(
            "self.note_write({struct:gfn_to_hva_cache}.memslot, self.gpa_to_gfn({struct:gfn_to_hva_cache}.gpa))",
            WRITTEN, unless="-E|kvm_write_guest",
        ),
    },
)  # fmt: skip


class GuestAccessHelpers(Usercopy):
    """What reads and writes of guest memory call in another form than the model's functions have."""

    @part_of("__copy_to_user")
    def uncopied_to_user(self, address: Hva, data: int, length: int) -> int:
        """Write to user memory what is at a place of the task's buffer; return how many bytes were not written."""
        self.might_fault()
        if not self.user_access_retry(address, True):
            return length
        self.host_put_buffer(address, data, length)
        return 0

    @part_of("__copy_from_user")
    def uncopied_from_user(self, address: Hva, length: int) -> int:
        """Read user memory; return how many bytes were not read."""
        return 0 if self.copy_from_user(address, length) else length

    @part_of("__copy_to_user")
    @host_only
    def host_put_buffer(self, address: Hva, data: int, length: int) -> None:
        """Write bytes of the task's buffer."""
        self.host_put(address, current().host_buffer[data : data + length])

    @part_of_caller
    @host_only
    def host_set_buffer(self, data: bytes) -> None:
        """Make `data` the task's buffer, whose address is 0."""
        current().host_buffer = data


class GuestAccessAdapters(GuestAccessHelpers, KvmMm):
    """The model's functions that take or return something else than the C's: each calls the C's function."""

    c_kvm_read_guest_page: Callable[..., Errno]
    c_kvm_write_guest_page: Callable[..., Errno]
    c_kvm_write_guest_offset_cached: Callable[..., Errno]
    c_kvm_read_guest_offset_cached: Callable[..., Errno]

    def kvm_read_guest_page(self, kvm: Kvm, gfn: Gfn, offset: int, length: int) -> Errno:
        """Pass no buffer: the model reads bytes when they were found readable."""
        return self.c_kvm_read_guest_page(kvm, gfn, 0, offset, length)

    def kvm_write_guest_page(self, kvm: Kvm, gfn: Gfn, data: bytes, offset: int) -> Errno:
        """Pass the address of a buffer."""
        self.host_set_buffer(data)
        return self.c_kvm_write_guest_page(kvm, gfn, 0, offset, len(data))

    def kvm_write_guest_offset_cached(self, kvm: Kvm, ghc: GfnToHvaCache, data: bytes, offset: int) -> Errno:
        """Pass the address of a buffer."""
        self.host_set_buffer(data)
        return self.c_kvm_write_guest_offset_cached(kvm, ghc, 0, offset, len(data))

    def kvm_read_guest_offset_cached(self, kvm: Kvm, ghc: GfnToHvaCache, offset: int, length: int) -> Errno:
        """Pass no buffer: the model reads bytes when they were found readable."""
        return self.c_kvm_read_guest_offset_cached(kvm, ghc, 0, offset, length)
