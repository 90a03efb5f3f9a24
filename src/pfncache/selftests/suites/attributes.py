# SPDX-License-Identifier: GPL-2.0-only
"""KVM_SET_MEMORY_ATTRIBUTES: refused arguments, and what the guest reaches when its memory is converted."""

from __future__ import annotations

from functools import partial

from pfncache.linux.include.uapi import KVM_MEMORY_ATTRIBUTE_PRIVATE, KVM_X86_SW_PROTECTED_VM, PAGE_SIZE, PUNCH_HOLE
from pfncache.machines.machine import GuestExit, Machine, Vcpu
from pfncache.selftests.selftest import Suite, equal, expect, memory_attributes, vm_type
from pfncache.selftests.suites.testbed import SIZE, SLOT

SUITE = Suite("attributes")
PRIVATE = KVM_MEMORY_ATTRIBUTE_PRIVATE
ATTRIBUTES = (memory_attributes(PRIVATE),)
PROTECTED = (*ATTRIBUTES, vm_type(KVM_X86_SW_PROTECTED_VM, "SW_PROTECTED_VM"))
PAGE = 2 * PAGE_SIZE
OTHER = 4 * PAGE_SIZE
SHARED_BYTES, PRIVATE_BYTES = b"shared..", b"private."


def _refusals(kind: int, machine: Machine) -> None:
    vm = machine.create_vm(kind)
    private = partial(vm.set_memory_attributes, attributes=PRIVATE)
    expect("private memory", "ok" if kind else "EINVAL", lambda: private(0, SIZE))
    expect("shared memory", "ok", lambda: vm.set_memory_attributes(0, SIZE, 0))
    for attribute in (1, 2, 4, 16, 1 << 63):
        expect(f"attribute {attribute:#x}", "EINVAL", lambda a=attribute: vm.set_memory_attributes(0, SIZE, a))  # type: ignore[misc]
    expect("no page", "EINVAL", lambda: private(0, 0))
    expect("a part of a page", "EINVAL", lambda: private(0, SIZE + 1))
    expect("an address inside a page", "EINVAL", lambda: private(8, SIZE))


SUITE.add(
    "default-vm", "a VM without private memory refuses the attribute", "uapi", partial(_refusals, 0), needs=ATTRIBUTES
)
SUITE.add(
    "refusals", "unknown attributes and ranges that are not whole pages are refused", "uapi",
    partial(_refusals, KVM_X86_SW_PROTECTED_VM), needs=PROTECTED,
)  # fmt: skip


def _load(vcpu: Vcpu, gpa: int) -> str:
    """Result of the guest's load: the text in memory, or the exit."""
    try:
        return vcpu.load(gpa).decode("ascii").strip("\0")
    except GuestExit as leave:
        return str(leave.exit)


@SUITE.test("no-guest-memfd", "private-access", needs=PROTECTED)
def no_guest_memfd(machine: Machine) -> None:
    """Private memory without guest_memfd: the guest's access exits to user space, until it is shared again."""
    vm = machine.create_vm(KVM_X86_SW_PROTECTED_VM)
    vcpu, hva = vm.create_vcpu(), machine.mmap(SIZE)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva)
    machine.write(hva + PAGE, SHARED_BYTES)
    equal("shared", _load(vcpu, PAGE), SHARED_BYTES.decode())
    vm.set_memory_attributes(PAGE, PAGE_SIZE, PRIVATE)
    equal("private", _load(vcpu, PAGE), f"MEMORY_FAULT at {PAGE:#x} private")
    equal("the page beside it", _load(vcpu, PAGE + PAGE_SIZE), "")
    vm.set_memory_attributes(PAGE, PAGE_SIZE, 0)
    equal("shared again", _load(vcpu, PAGE), SHARED_BYTES.decode())


@SUITE.test("conversion", "stale-spte", needs=PROTECTED)
def conversion(machine: Machine) -> None:
    """The guest reaches guest_memfd where its memory is private, and the user address where it is shared."""
    vm = machine.create_vm(KVM_X86_SW_PROTECTED_VM)
    vcpu, file, hva = vm.create_vcpu(), vm.create_guest_memfd(SIZE), machine.mmap(SIZE)
    vm.bind(SLOT, 0, SIZE, hva, file)
    machine.write(hva + PAGE, SHARED_BYTES)
    for _ in range(3):
        equal("shared", _load(vcpu, PAGE), SHARED_BYTES.decode())
        vm.set_memory_attributes(PAGE, PAGE_SIZE, PRIVATE)
        equal("private, and new", _load(vcpu, PAGE), "")
        vcpu.store(PAGE, PRIVATE_BYTES)
        equal("what user space has", machine.read(hva + PAGE, 8), SHARED_BYTES)
        vm.set_memory_attributes(PAGE, PAGE_SIZE, 0)
        equal("shared", _load(vcpu, PAGE), SHARED_BYTES.decode())
        vm.set_memory_attributes(PAGE, PAGE_SIZE, PRIVATE)
        equal("private, and kept", _load(vcpu, PAGE), PRIVATE_BYTES.decode())
        file.fallocate(PUNCH_HOLE, PAGE, PAGE_SIZE)
        equal("private, and punched", _load(vcpu, PAGE), "")
        file.fallocate(PUNCH_HOLE, PAGE, PAGE_SIZE)
        vm.set_memory_attributes(PAGE, PAGE_SIZE, 0)


@SUITE.test("range", "stale-spte", needs=PROTECTED)
def whole_range(machine: Machine) -> None:
    """A range is converted as a whole, and no page beside it, even before its memslot exists."""
    vm = machine.create_vm(KVM_X86_SW_PROTECTED_VM)
    vm.set_memory_attributes(PAGE, OTHER - PAGE, PRIVATE)
    vcpu, hva = vm.create_vcpu(), machine.mmap(SIZE)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva)
    pages = range(0, SIZE, PAGE_SIZE)
    private = [page for page in pages if _load(vcpu, page).startswith("MEMORY_FAULT")]
    equal("private pages", private, [page for page in pages if PAGE <= page < OTHER])
