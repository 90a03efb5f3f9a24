# SPDX-License-Identifier: GPL-2.0-only
"""Access paths of KVM x86 to guest memory, each with a request by which user space makes KVM take it.

Facts: Linux 7.3.4, the functions and files that each path names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pfncache.linux.arch.x86.kvm.vmx.vmx import APIC_TASKPRI
from pfncache.linux.include.uapi import (
    HV_SYNIC_SIMP_ENABLE,
    HV_X64_MSR_SIMP,
    KVM_ASYNC_PF_DELIVERY_AS_INT,
    KVM_MSR_ENABLED,
    KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA,
    KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA,
    MSR_KVM_ASYNC_PF_ACK,
    MSR_KVM_ASYNC_PF_EN,
    MSR_KVM_STEAL_TIME,
    MSR_KVM_SYSTEM_TIME_NEW,
    MSR_KVM_WALL_CLOCK_NEW,
    PAGE_SIZE,
    XEN_COMPAT,
)
from pfncache.machines.capabilities import Capabilities
from pfncache.machines.program import L2_TARGETS, STORE_RAX, STORE_RDX, l2_entry
from pfncache.matrix.cell import Refused
from pfncache.matrix.memory import ProbeSetup
from pfncache.selftests.selftest import Need
from pfncache.selftests.suites.hyperv import synic
from pfncache.selftests.suites.nested import nested_npt, nested_vmx
from pfncache.selftests.suites.xen import CONFIG, xen

WORD = 8
AT = 5 * PAGE_SIZE + 0x40
"""Guest physical address of the accesses: not at the start of a page, so that the offset is tested too."""
_PAGE = AT // PAGE_SIZE * PAGE_SIZE
VMCB_TR = 0x490
"""Offset in the VMCB at which VMSAVE stores the task register, which is not zero."""
_JUMP_HERE = bytes.fromhex("ebfe")
_IN_GUEST, _AT_HVA, _NOTHING = b"guest's ", b"user's  ", bytes(WORD)
_RAX, _RDX = b"AAAAAAAA", b"DDDDDDDD"


def _directory_entry(gpa: int) -> bytes:
    """Page-directory entry: present, writable, user, 2 MiB, accessed bit clear."""
    return (gpa | 0x87).to_bytes(WORD, "little")


_ENTRY, _OTHER_ENTRY = _directory_entry(0x40000000), _directory_entry(0x80000000)
_L2_ENTRY = l2_entry(0)
_TARGETS = {0x40000000: _ENTRY, 0x80000000: _OTHER_ENTRY}


@dataclass(frozen=True)
class AccessPath:
    """An access path to guest memory: a row of the matrix."""

    name: str
    functions: str
    file: str
    users: str
    """Features of KVM that use the path."""
    act: Callable[[ProbeSetup], bytes | None]
    """Makes KVM take the path. Returns what KVM has read, for a path that reads."""
    reads: bool = False
    at: int = AT
    """Guest physical address of the word that KVM reads, or that its write changes."""
    in_guest: bytes = _NOTHING
    """Contents in the guest's memory before the access."""
    at_hva: bytes = _NOTHING
    """Contents at the user address before the access, if that is other memory."""
    irqchip: bool = False
    synic: bool = False
    """Whether the guest is a Hyper-V guest with a SynIC."""
    snp: bool = False
    """Whether the guest is an SNP guest, and the path for its private memory alone."""
    needs: tuple[Need, ...] = ()


def _set_msr(setup: ProbeSetup, index: int, value: int) -> None:
    if setup.vcpu.set_msr(index, value) != 1:
        raise Refused(f"MSR {index:#x} refused")


def _clock(setup: ProbeSetup) -> None:
    _set_msr(setup, MSR_KVM_SYSTEM_TIME_NEW, AT | KVM_MSR_ENABLED)
    setup.vcpu.run()


def _shared_info(setup: ProbeSetup) -> None:
    setup.vm.xen_hvm_config(CONFIG)
    setup.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, setup.page(AT))


def _wall_clock(setup: ProbeSetup) -> None:
    _set_msr(setup, MSR_KVM_WALL_CLOCK_NEW, AT)


def _synic_page(setup: ProbeSetup) -> None:
    setup.vcpu.wrmsr(HV_X64_MSR_SIMP, _PAGE | HV_SYNIC_SIMP_ENABLE)


def _page_ready(setup: ProbeSetup) -> None:
    _set_msr(setup, MSR_KVM_ASYNC_PF_EN, AT | KVM_MSR_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT)
    _set_msr(setup, MSR_KVM_ASYNC_PF_ACK, 1)


def _steal_time(setup: ProbeSetup) -> None:
    _set_msr(setup, MSR_KVM_STEAL_TIME, AT | KVM_MSR_ENABLED)
    setup.vcpu.run()


def _translate(setup: ProbeSetup) -> bytes:
    gpa = setup.vcpu.translate(AT)
    if gpa is None:
        raise Refused("#PF")
    return _TARGETS[gpa]


def _accessed(setup: ProbeSetup) -> None:
    if setup.vcpu.translate(AT) is None:
        raise Refused("#PF")


def _shadowed_entry(setup: ProbeSetup) -> bytes:
    """Change an entry at the user address, and another one as the guest. Returns whether KVM has used the guest's."""
    words = list(L2_TARGETS.values())
    _l2_reads(setup)
    setup.vcpu.store(AT + WORD, bytes(WORD))
    setup.machine.write(setup.hva + AT, l2_entry(1))
    used = l2_entry(words.index(_l2_reads(setup)))
    return _L2_ENTRY if used == setup.vcpu.load(AT) else _AT_HVA


def _l2_reads(setup: ProbeSetup) -> bytes:
    word = setup.vcpu.enter_l2(AT)
    if word is None:
        raise Refused("#NPF")
    setup.vcpu.leave_l2()
    return word


def _fetch(setup: ProbeSetup) -> bytes:
    return {_RAX: _code(STORE_RAX), _RDX: _code(STORE_RDX)}[setup.vcpu.run_code(AT, _RAX, _RDX)]


def _code(instruction: bytes) -> bytes:
    return (instruction + _JUMP_HERE).ljust(WORD, b"\0")


def _emulates(capabilities: Capabilities) -> str:
    return "" if capabilities.emulates_any else "the processor executes it itself"


def _vmsa(setup: ProbeSetup) -> bytes:
    setup.vcpu.run_vmsa(_PAGE)
    return _NOTHING


def _snp(capabilities: Capabilities) -> str:
    return "" if capabilities.snp else "no SNP guest"


def _nests(capabilities: Capabilities) -> str:
    return "" if capabilities.nested_svm else "no nested SVM"


PATHS: dict[str, AccessPath] = {
    path.name: path
    for path in (
        AccessPath(
            "pfncache", "kvm_gpc_refresh(), hva_to_pfn_retry()", "virt/kvm/pfncache.c",
            "kvm-clock; Xen's shared_info, vcpu_info and runstate", _clock,
        ),
        AccessPath(
            "pfncache by hva", "kvm_gpc_activate_hva(), hva_to_pfn_retry()", "virt/kvm/pfncache.c",
            "Xen's shared_info and vcpu_info, where user space gives their addresses", _shared_info,
            at=_PAGE + XEN_COMPAT.wall_clock, needs=(xen(CONFIG | KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA),),
        ),
        AccessPath(
            "kvm_read/write_guest", "__kvm_read_guest_page(), __kvm_write_guest_page()", "virt/kvm/kvm_main.c",
            "wall clock, PDPTRs, Hyper-V's hypercall and TSC pages, nested MSR and I/O permission maps", _wall_clock,
        ),
        AccessPath(
            "kvm_clear_guest", "kvm_clear_guest()", "virt/kvm/kvm_main.c",
            "the pages of Hyper-V's SynIC that a guest enables", _synic_page,
            at=_PAGE, in_guest=_IN_GUEST, at_hva=_AT_HVA, irqchip=True, synic=True, needs=(synic,),
        ),
        AccessPath(
            "gfn_to_hva_cache", "kvm_read_guest_offset_cached(), kvm_write_guest_offset_cached()",
            "virt/kvm/kvm_main.c",
            "tokens of async page faults, PV EOI, the virtual APIC's address, vmcs12", _page_ready,
            irqchip=True,
        ),
        AccessPath(
            "steal time", "record_steal_time()", "arch/x86/kvm/x86.c",
            "steal time: a gfn_to_hva_cache's address, accessed directly", _steal_time, at=AT + 8,
        ),
        AccessPath(
            "page walk", "FNAME(walk_addr_generic)", "arch/x86/kvm/mmu/paging_tmpl.h",
            "emulation, KVM_TRANSLATE, shadow paging, nested paging: a table is read", _translate,
            reads=True, in_guest=_ENTRY, at_hva=_OTHER_ENTRY,
        ),
        AccessPath(
            "accessed bit", "FNAME(update_accessed_dirty_bits)", "arch/x86/kvm/mmu/paging_tmpl.h",
            "the same: an accessed or dirty bit is set", _accessed, in_guest=_ENTRY, at_hva=_ENTRY,
        ),
        AccessPath(
            "atomic read", "kvm_vcpu_read_guest_atomic(), FNAME(sync_spte), FNAME(gpte_changed)",
            "virt/kvm/kvm_main.c",
            "shadow paging, nested paging: a table that the guest may have changed is read under mmu_lock",
            _shadowed_entry, reads=True, in_guest=_L2_ENTRY, at_hva=_L2_ENTRY, needs=(nested_npt,),
        ),
        AccessPath(
            "emulator fetch", "kvm_fetch_guest_virt()", "arch/x86/kvm/x86.c",
            "every emulated instruction, MMIO's above all", _fetch,
            reads=True, in_guest=_code(STORE_RAX), at_hva=_code(STORE_RDX),
        ),
        AccessPath(
            "emulator read", "emulator_read_write_onepage(), read_emulate()", "arch/x86/kvm/x86.c",
            "operands, such as the source of a move to a device", lambda setup: setup.vcpu.copy_to_device(AT),
            reads=True, in_guest=_IN_GUEST, at_hva=_AT_HVA,
        ),
        AccessPath(
            "emulator write", "emulator_read_write_onepage(), write_emulate()", "arch/x86/kvm/x86.c",
            "operands, such as the destination of a move from a device",
            lambda setup: setup.vcpu.copy_from_device(AT, _IN_GUEST),
        ),
        AccessPath(
            "emulator cmpxchg", "emulator_cmpxchg_emulated()", "arch/x86/kvm/x86.c",
            "operands of locked instructions", lambda setup: setup.vcpu.cmpxchg(AT, _IN_GUEST[:2]), needs=(_emulates,),
        ),
        AccessPath(
            "kvm_vcpu_map", "__kvm_vcpu_map()", "virt/kvm/kvm_main.c",
            "nested SVM's VMCB, nested VMX's APIC pages and posted interrupts, SEV-ES's GHCB",
            lambda setup: setup.vcpu.vmsave(_PAGE), at=_PAGE + VMCB_TR, needs=(_nests,),
        ),
        AccessPath(
            "mapping of L2", "nested_get_vmcs12_pages()", "arch/x86/kvm/vmx/nested.c",
            "nested VMX's APIC pages, pinned from the entry of L2 to its exit",
            lambda setup: setup.vcpu.run_l2_apic(_PAGE, lambda: None), at=_PAGE + APIC_TASKPRI, needs=(nested_vmx,),
        ),
        AccessPath(
            "VMSA", "__sev_snp_reload_vmsa()", "arch/x86/kvm/svm/sev.c",
            "an SNP guest's registers: the processor accesses them by a pfn that KVM keeps", _vmsa,
            reads=True, snp=True, needs=(_snp,),
        ),
        AccessPath(
            "TDP fault", "kvm_mmu_faultin_pfn(), kvm_mmu_faultin_pfn_gmem()", "arch/x86/kvm/mmu/mmu.c",
            "the guest itself, KVM_PRE_FAULT_MEMORY", lambda setup: setup.vcpu.store(AT, _IN_GUEST),
        ),
    )
}  # fmt: skip
"""Every path, by name."""
