# SPDX-License-Identifier: GPL-2.0-only
"""What a machine has, and what it can do: asked of it, never told from a version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Processor:
    """What the vCPUs run on: how much of a guest's work is left to KVM."""

    nested_paging: bool = False
    """Whether the processor walks the guest's page tables, and runs real mode and ring 0."""
    next_rip: bool = False
    """Whether it says where the next instruction is, so that KVM need not read the one that it skips."""


EMULATING = Processor()
"""No hardware virtualisation."""


@dataclass(frozen=True)
class Capabilities:
    """What a machine offers, asked of it and not told from a version."""

    guest_memfd: bool = False
    guest_memfd_for_all: bool = False
    """Whether memslots of VMs without private memory may have one."""
    guest_memfd_flags: int = 0
    memory_attributes: int = 0
    vm_types: frozenset[int] = frozenset({0})
    userfaultfd: int = 0
    """The UFFD_* modes that can pause an access of the kernel."""
    notifier_window: bool = False
    """Whether a long MMU-notifier window can be opened."""
    pfncache_gmem: bool = False
    """Whether pfncaches find guest_memfd pages that user space has not mapped."""
    processor: Processor = EMULATING
    forced_emulation: bool = False
    """Whether the guest can have KVM emulate an instruction, by a prefix (KVM's parameter force_emulation_prefix)."""
    nested_svm: bool = False
    """Whether guests can be hypervisors that use SVM."""
    xen: int = 0
    """KVM_CAP_XEN_HVM: the XEN_HVM_CONFIG_* that there are."""
    delayed: bool = False
    """Whether tasks can be stopped behind their lookup of a page."""
    parallel: bool = False
    """Whether threads run at the same time, so that races may be met by chance."""
    expendable: bool = False
    """Whether nobody minds when tasks of it hang for ever, and pages of it fail."""

    @property
    def emulates_any(self) -> bool:
        """Whether KVM emulates whatever instruction one wants."""
        return not self.processor.nested_paging or self.forced_emulation
