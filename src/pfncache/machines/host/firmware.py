# SPDX-License-Identifier: GPL-2.0-only
"""Code that guests run: a page at the reset vector that halts, and a few instructions in 64-bit user mode.

The firmware has an anonymous memslot of its own at the end of the first 4 GiB, so that the guest can run whatever a
test does to its other memory. It reports by a store to an address without memory, which is an MMIO exit.
"""

from __future__ import annotations

import struct

from pfncache.linux.include.uapi import PAGE_SIZE
from pfncache.machines.host.structs import KvmDtable, KvmSegment, KvmSregs
from pfncache.machines.program import L2_TARGETS, ROLES, CpuMode, GuestProgram

GPA = 0xFFFF0000
SIZE = 0x10000
SLOT = 500
XEN_SCHED_OP = 29
"""__HYPERVISOR_sched_op, in rax."""
REPORT = 0x3FFFF000
"""Guest physical address of reports, without memory: the last page that the guest's page tables map."""

_PML4, _PDPT, _PD_LOW, _PD_TOP, _GDT, _TSS, _CODE, _RESET = 0, 0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000, 0xFFF0
WALK_PML4, WALK_PDPT, REAL_CODE = 0x7000, 0x8000, 0x9000
"""Offsets: page tables for KVM_TRANSLATE, and code for real mode."""
USER_RW = 7
"""Flags of a page-table entry: present, writable, user."""
NESTED_PML4, _NESTED_PDPT, _NESTED_PD, VMCB, _NESTED_PD_TOP = 0xA000, 0xB000, 0xC000, 0xD000, 0xE000
"""Offsets: page tables of an L2 guest, which map the first GiB and the firmware as they are, and its VMCB."""
L2_WINDOW = 0x20000000
"""L2 guest physical address that a table in the guest's memory maps, by NESTED_WINDOW_ENTRY."""
NESTED_WINDOW_ENTRY = _NESTED_PD + (L2_WINDOW >> 21) * 8
_LARGE = 1 << 7
_HLT = bytes.fromhex("f4 ebfd")  # hlt; jmp back
_PROGRAMS = {
    "load": bytes.fromhex("488b03 488901 ebfe"),  # mov rax, [rbx]; mov [rcx], rax; jmp .
    "store": bytes.fromhex("488903 488901 ebfe"),  # mov [rbx], rax; mov [rcx], rax; jmp .
    "movs": bytes.fromhex("48a5 488901 ebfe"),  # movsq; mov [rcx], rax; jmp .
    # ud2; "kvm"; lock cmpxchg [rbx], dx; mov [rcx], rax; jmp .
    "cmpxchg": bytes.fromhex("0f0b 6b766d 66f00fb113 488901 ebfe"),
    "vmsave": bytes.fromhex("0f01db 488901 ebfe"),  # vmsave; mov [rcx], rax; jmp .
    "hypercall": bytes.fromhex("0f01d9 488901 ebfe"),  # vmmcall; mov [rcx], rax; jmp .
    # rep movsq; mov rcx, r8; vmrun; mov rdx, [rax + exit_code]; mov [rcx + 8], rdx; jmp .
    "vmrun": bytes.fromhex("f348a5 4c89c1 0f01d8 488b5070 48895108 ebfe"),
    "l2": bytes.fromhex("488b03 488901 f4"),  # mov rax, [rbx]; mov [rcx], rax; hlt
    "wrmsr": bytes.fromhex("0f30 488903 ebfe"),  # wrmsr; mov [rbx], rax; jmp .
    "rdtsc": bytes.fromhex("0f31 48c1e220 4809d0 488901 ebfe"),  # rdtsc; rdx:rax to rax; mov [rcx], rax; jmp .
}
_REAL_CMPXCHG = bytes.fromhex("f0 0fb10f f4")  # lock cmpxchg [bx], cx; hlt
L2_OFFSET = 8
"""Offset of L2's access in its page."""
_STEP = 32
ENTRY = {name: GPA + _CODE + number * _STEP for number, name in enumerate(_PROGRAMS)}
"""Address of each program. Registers: rbx is the operand's address, rax the value to store, rcx is REPORT."""

_CODE64, _DATA, _TSS_BUSY = 0xB, 0x3, 0xB
_USER_CS, _USER_DS, _TR = 0x2B, 0x33, 0x18
_KERNEL_CS, _KERNEL_DS = 0x8, 0x10
_GDT_ENTRIES = (
    0,
    0x00AF9B000000FFFF,
    0x00CF93000000FFFF,
    0x00008B0000000067,
    0,
    0x00AFFB000000FFFF,
    0x00CFF3000000FFFF,
)


def image() -> bytes:
    """Return the firmware's memory: page tables for the first GiB and the firmware itself, code, descriptors."""
    memory = bytearray(SIZE)

    def entry(offset: int, value: int) -> None:
        memory[offset : offset + 8] = struct.pack("<Q", value)

    entry(_PML4, GPA + _PDPT | USER_RW)
    entry(_PDPT, GPA + _PD_LOW | USER_RW)
    entry(_PDPT + 3 * 8, GPA + _PD_TOP | USER_RW)
    for number in range(512):
        entry(_PD_LOW + number * 8, number << 21 | USER_RW | _LARGE)
    entry(_PD_TOP + 511 * 8, (GPA & ~0x1FFFFF) | USER_RW | _LARGE)
    for number, value in enumerate(_GDT_ENTRIES):
        entry(_GDT + number * 8, value)
    for number, code in enumerate(_PROGRAMS.values()):
        start = _CODE + number * _STEP
        memory[start : start + len(code)] = code
    memory[_RESET : _RESET + len(_HLT)] = _HLT
    entry(NESTED_PML4, GPA + _NESTED_PDPT | USER_RW)
    entry(_NESTED_PDPT, GPA + _NESTED_PD | USER_RW)
    entry(_NESTED_PDPT + 3 * 8, GPA + _NESTED_PD_TOP | USER_RW)
    for number in range(512):
        entry(_NESTED_PD + number * 8, number << 21 | USER_RW | _LARGE)
    entry(_NESTED_PD_TOP + 511 * 8, (GPA & ~0x1FFFFF) | USER_RW | _LARGE)
    for target, contents in L2_TARGETS.items():
        start = target - GPA + L2_OFFSET
        memory[start : start + len(contents)] = contents
    entry(WALK_PML4, GPA + WALK_PDPT | USER_RW)
    memory[REAL_CODE : REAL_CODE + len(_REAL_CMPXCHG)] = _REAL_CMPXCHG
    return bytes(memory)


def sregs_for(program: GuestProgram, reset: KvmSregs) -> KvmSregs:
    """Return the special registers for a program with page tables of its own, or without paging."""
    if program.mode is CpuMode.REAL:
        sregs = KvmSregs.from_buffer_copy(reset)
        sregs.cs.base = sregs.cs.selector = 0
        return sregs
    sregs = kernel_mode(reset) if program.mode is CpuMode.RING0 else user_mode(reset)
    sregs.cr3 = ROLES["pml4"] * PAGE_SIZE
    return sregs


def kernel_mode(reset: KvmSregs) -> KvmSregs:
    """Return the special registers for 64-bit ring 0 on the firmware's page tables, from those after reset."""
    sregs = user_mode(reset)
    sregs.cs = _segment(_KERNEL_CS, _CODE64, 0, code=True)
    for name in ("ds", "es", "fs", "gs", "ss"):
        setattr(sregs, name, _segment(_KERNEL_DS, _DATA, 0, code=False))
    return sregs


def _segment(selector: int, kind: int, dpl: int, code: bool) -> KvmSegment:
    return KvmSegment(
        0, 0xFFFFFFFF, selector, type=kind, present=1, dpl=dpl, db=0 if code else 1, s=1, l=1 if code else 0, g=1
    )


def user_mode(reset: KvmSregs) -> KvmSregs:
    """Return the special registers for 64-bit user mode on the firmware's page tables, from those after reset."""
    sregs = KvmSregs.from_buffer_copy(reset)
    sregs.cr0, sregs.cr3, sregs.cr4, sregs.efer = 0x80050033, GPA + _PML4, 0x620, 0xD01
    sregs.cs = _segment(_USER_CS, _CODE64, 3, code=True)
    for name in ("ds", "es", "fs", "gs", "ss"):
        setattr(sregs, name, _segment(_USER_DS, _DATA, 3, code=False))
    sregs.tr = KvmSegment(GPA + _TSS, 0x67, _TR, type=_TSS_BUSY, present=1)
    sregs.ldt = KvmSegment(unusable=1)
    sregs.gdt = KvmDtable(GPA + _GDT, len(_GDT_ENTRIES) * 8 - 1)
    sregs.idt = KvmDtable(0, 0)
    return sregs
