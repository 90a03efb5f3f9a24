# SPDX-License-Identifier: GPL-2.0-only
"""Kinds of guest memory: what backs a memslot, and what is mapped at its user address."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pfncache.linux.include.uapi import (
    GUEST_MEMFD_FLAG_NO_DIRECT_MAP,
    KVM_MEMORY_ATTRIBUTE_PRIVATE,
    KVM_X86_DEFAULT_VM,
    KVM_X86_SNP_VM,
    KVM_X86_SW_PROTECTED_VM,
    PAGE_SIZE,
    SHARED_GMEM,
)
from pfncache.machines.machine import Machine, Vcpu, Vm
from pfncache.selftests.selftest import Need, guest_memfd_slots, memory_attributes, vm_type

SIZE = 8 * PAGE_SIZE
NO_DIRECT_MAP = SHARED_GMEM | GUEST_MEMFD_FLAG_NO_DIRECT_MAP


class UserMapping(enum.Enum):
    """Mapping at the memslot's user address."""

    ITSELF = "mapped"
    """The memory that backs the slot."""
    NOTHING = "unmapped"
    OTHER = "other"
    """An unrelated anonymous page."""


@dataclass
class ProbeSetup:
    """A VM with one vCPU and eight pages of guest memory of a kind."""

    machine: Machine
    vm: Vm
    vcpu: Vcpu
    hva: int
    """The slot's user address."""

    def page(self, gpa: int) -> int:
        """User address of the page that contains a guest physical address."""
        return self.hva + gpa // PAGE_SIZE * PAGE_SIZE


@dataclass(frozen=True)
class GuestMemoryKind:
    """A kind of guest memory: a column of the matrix."""

    name: str
    text: str
    at: UserMapping
    flags: int | None = None
    """The guest_memfd's; None without one."""
    private: bool = False
    """Whether the memory is private, by attribute, in a SW_PROTECTED_VM."""
    memfd: bool = False

    @property
    def head(self) -> tuple[str, str]:
        """Head of its column: what backs the slot, and what is at the user address."""
        return (self.name.partition("/")[0], self.name.partition("/")[2])

    @property
    def needs(self) -> tuple[Need, ...]:
        """Requirements on a machine."""
        if self.flags is None:
            return ()
        if self.private:
            return (
                vm_type(KVM_X86_SW_PROTECTED_VM, "SW_PROTECTED_VM"),
                memory_attributes(KVM_MEMORY_ATTRIBUTE_PRIVATE),
            )
        return (guest_memfd_slots(self.flags),)

    def build(self, machine: Machine, irqchip: bool = False, synic: bool = False, snp: bool = False) -> ProbeSetup:
        """Create a VM with memory of this kind from gpa 0 on."""
        private = KVM_X86_SNP_VM if snp else KVM_X86_SW_PROTECTED_VM
        vm = machine.create_vm(private if self.private else KVM_X86_DEFAULT_VM)
        if irqchip:
            vm.create_irqchip()
        if synic:
            vm.enable_synic()
        vcpu = vm.create_vcpu()
        file = machine.memfd(SIZE) if self.memfd else None
        if self.flags is not None:
            file = vm.create_guest_memfd(SIZE, self.flags)
        if self.at is UserMapping.NOTHING:
            hva = machine.hole(SIZE)
        else:
            hva = machine.mmap(SIZE, file if self.at is UserMapping.ITSELF else None)
        if self.flags is None or file is None:
            vm.set_user_memory_region(0, 0, SIZE, hva)
        else:
            vm.bind(0, 0, SIZE, hva, file)
        if self.private:
            vm.set_memory_attributes(0, SIZE, KVM_MEMORY_ATTRIBUTE_PRIVATE)
        return ProbeSetup(machine, vm, vcpu, hva)


def _kinds() -> list[GuestMemoryKind]:
    kind, at = GuestMemoryKind, UserMapping
    return [
        kind("anon/mapped", "anonymous memory", at.ITSELF),
        kind("memfd/mapped", "a memfd, mapped", at.ITSELF, memfd=True),
        kind(
            "gmem/mapped", "guest_memfd with MMAP and INIT_SHARED, mapped at the slot's address", at.ITSELF, SHARED_GMEM
        ),
        kind("gmem/unmapped", "the same, with nothing at the slot's address", at.NOTHING, SHARED_GMEM),
        kind("gmem/other", "the same, with an unrelated anonymous page there", at.OTHER, SHARED_GMEM),
        kind("gmem0/unmapped", "guest_memfd without flags, no private memory, nothing there", at.NOTHING, 0),
        kind("gmem0/other", "the same, with an anonymous page there, which then is the guest's memory", at.OTHER, 0),
        kind("ndm/mapped", "guest_memfd with MMAP, INIT_SHARED and NO_DIRECT_MAP, mapped", at.ITSELF, NO_DIRECT_MAP),
        kind("ndm/unmapped", "the same, with nothing at the slot's address", at.NOTHING, NO_DIRECT_MAP),
        kind("private/unmapped", "private memory of a SW_PROTECTED_VM, nothing there", at.NOTHING, 0, private=True),
        kind("private/other", "the same, with an anonymous page there, for what is shared", at.OTHER, 0, private=True),
    ]


KINDS: dict[str, GuestMemoryKind] = {kind.name: kind for kind in _kinds()}
"""Every kind, by name."""
