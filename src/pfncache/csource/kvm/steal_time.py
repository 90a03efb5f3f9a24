# SPDX-License-Identifier: GPL-2.0-only
"""Tables for steal time in arch/x86/kvm/x86.c: accesses by user address, and a vCPU that is scheduled out."""

from __future__ import annotations

from pfncache.csource.tables import AsmEntry, CallEntry, Hook, MemberEntry, NameEntry, Tables, UserAccess
from pfncache.lang.atomic import host_only
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.arch.x86.lib.copy_user_64 import Usercopy
from pfncache.linux.include.linux.kvm_host import KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

ADDRESS = "the address in the MSR is that of the cache"
PREEMPTED = "a second preemption without a run in between writes again"
ALWAYS = "the model schedules out by preemption alone, at an instruction boundary"
TIMES = "steal time itself is zero"
SMALL = "the checker's pages are small"
CPU = "the model has none of the processor's state"
CONSTANTS = {"KVM_VCPU_PREEMPTED": 1}

TABLES = Tables(
    headers=("arch/x86/include/uapi/asm/kvm_para.h",),
    user_structs={"kvm_steal_time": "it is accessed by user address"},
    sizes={"kvm_steal_time": NameEntry("self.STEAL_SIZE", SMALL)},
    offsets={
        ("kvm_steal_time", "steal"): NameEntry("0", "the first member"),
        ("kvm_steal_time", "version"): NameEntry("self.STEAL_VERSION", SMALL),
        ("kvm_steal_time", "preempted"): NameEntry("self.STEAL_PREEMPTED", SMALL),
    },
    names={"KVM_STEAL_VALID_BITS": NameEntry("-1", ADDRESS)},
    flags={("KvmSteal", "msr_val", "KVM_MSR_ENABLED"): "enabled"},
    members={
        ("KvmSteal", "msr_val"): MemberEntry("{0}.cache.gpa", ADDRESS),
        ("KvmSteal", "preempted"): MemberEntry("0", PREEMPTED, "int", "None"),
        ("KvmSteal", "last_steal"): MemberEntry("0", TIMES, "int", "None"),
        ("KvmVcpu", "at_instruction_boundary"): MemberEntry("True", ALWAYS, "bool"),
        ("KvmVcpu", "guest_state_protected"): MemberEntry("False", CPU, "bool"),
        ("KvmVcpu", "preempted_in_kernel"): MemberEntry("False", CPU, "bool", "None"),
        ("KvmVcpu", "last_host_tsc"): MemberEntry("0", CPU, "int", "None"),
        ("KvmVcpu", "stat"): MemberEntry("0", "the model has no statistics", "opaque"),
    },
    user_accesses={
        "unsafe_put_user": UserAccess("self.put_user_at({address}, {size}, {value})", "a store by user address"),
        "unsafe_get_user": UserAccess("self.get_user_at({address}, {size})", "a load by user address", is_load=True),
    },
    asm={
        "1: xchgb %0, %2; xor %1, %1; 2:; _ASM_EXTABLE_UA(1b, 2b)": AsmEntry(
            ("self.exchange_user_at({2:address}, {0}, {1})",), "an exchange that fails if it faults", (0, 1)
        )
    },
    after={
        "record_steal_time(): mark_page_dirty_in_slot": Hook(
            "self.note_user_write({1}, {2}, {written})", "properties look at what is marked dirty"
        )
    },
    by_hand={
        "kvm_vcpu_flush_tlb_guest": "the model has no TLBs",
        "kvm_arch_vcpu_in_kernel": CPU,
    },
    calls={
        "guest_pv_has": CallEntry("False", "guests of the model have no feature that has further accesses", "bool"),
        "user_access_begin": CallEntry("self.is_user_range({0}, {1})", "access_ok() alone", "bool"),
        "user_access_end": CallEntry("", "the model has no EFLAGS.AC", "void"),
        "copy_to_user_nofault": CallEntry("self.put_byte_nofault({0}, KVM_VCPU_PREEMPTED)", "it writes one byte"),
        "kvm_gfn_to_hva_cache_init": CallEntry(
            "self.kvm_gfn_to_hva_cache_init({0}, {1}, {2})", "the structure lies within one page"
        ),
        "kvm_vcpu_flush_tlb_guest": CallEntry("", "the model has no TLBs", "void"),
        "kvm_arch_vcpu_in_kernel": CallEntry("False", CPU, "bool"),
        "kvm_x86_get_cpl_no_cache": CallEntry("0", CPU),
        "kvm_x86_vcpu_put": CallEntry("", CPU, "void"),
    },
)  # fmt: skip


class StealTimeHelpers(Usercopy, KvmMm):
    """What steal time's C does by user address. The contents are those of direct execution; in the checker, zero."""

    host_execution: bool

    @part_of("unsafe_put_user")
    def put_user_at(self, address: Hva, size: int, value: int) -> bool:
        """Store a number to user memory; return False for a fault."""
        if not self.user_access_retry(address, True):
            return False
        self.host_put_number(address, size, value)
        return True

    @part_of("unsafe_get_user")
    def get_user_at(self, address: Hva, size: int) -> tuple[bool, int]:
        """Load a number from user memory; return False for a fault."""
        if not self.user_access_retry(address, False):
            return False, 0
        return True, self.user_number(address, size)

    @part_of("record_steal_time")
    def exchange_user_at(self, address: Hva, value: int, error: int) -> tuple[int, int]:
        """Exchange a byte of user memory and a value; return the old byte and 0, or what is given if it faults."""
        if not self.user_access_retry(address, True):
            return value, error
        old = self.user_number(address, 1)
        self.host_put_number(address, 1, value)
        return old, 0

    @part_of("copy_to_user_nofault")
    def put_byte_nofault(self, address: Hva, value: int) -> int:
        """Store a byte to user memory without a page fault; return -EFAULT if it takes one."""
        current().pagefault_disabled = True
        done = self.user_access_retry(address, True)
        if done:
            self.host_put_number(address, 1, value)
        current().pagefault_disabled = False
        return 0 if done else -EFAULT

    @part_of_caller
    def note_user_write(self, slot: KvmMemorySlot | None, gfn: Gfn, written: bool) -> None:
        """Report to the properties that a write is done and marked dirty, if there was one."""
        if written:
            assert slot is not None
            self.note_write(slot, gfn)

    @part_of_caller
    def user_number(self, address: Hva, size: int) -> int:
        """Return a number in user memory that has been found readable."""
        if self.host_execution:
            return int.from_bytes(self.host_get(address, size), "little")
        return 0

    @part_of_caller
    @host_only
    def host_put_number(self, address: Hva, size: int, value: int) -> None:
        """Write the bytes of a number."""
        self.host_put(address, (value & (1 << 8 * size) - 1).to_bytes(size, "little"))
