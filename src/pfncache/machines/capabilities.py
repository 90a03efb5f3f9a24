# SPDX-License-Identifier: GPL-2.0-only
"""Capabilities of a machine, found by probing it, never by its version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Processor:
    """Virtualisation features of the processor: the fewer it has, the more KVM has to emulate."""

    nested_paging: bool = False
    """Whether the processor walks the guest's page tables, and runs real mode and ring 0."""
    next_rip: bool = False
    """Whether an exit reports the next instruction's address, so that KVM need not decode the one that it skips."""


EMULATING = Processor()
"""No hardware virtualisation."""


@dataclass(frozen=True)
class Capabilities:
    """Capabilities of a machine."""

    guest_memfd: bool = False
    guest_memfd_for_all: bool = False
    """Whether memslots of VMs without private memory may have a guest_memfd."""
    guest_memfd_flags: int = 0
    memory_attributes: int = 0
    vm_types: frozenset[int] = frozenset({0})
    userfaultfd: int = 0
    """The UFFDIO_REGISTER_MODE_* that can stop an access of the kernel."""
    notifier_window: bool = False
    """Whether a long MMU-notifier window can be opened."""
    pfncache_gmem: bool = False
    """Whether pfncaches resolve guest_memfd pages that user space has not mapped."""
    processor: Processor = EMULATING
    forced_emulation: bool = False
    """Whether a prefix makes KVM emulate an instruction (KVM's parameter force_emulation_prefix)."""
    nested_svm: bool = False
    """Whether guests can be hypervisors that use SVM."""
    nested_npt: bool = False
    """Whether these can use nested paging, so that KVM shadows their tables."""
    nested_vmx: bool = False
    """Whether guests can be hypervisors that use VMX: on a model alone, as no machine has the code of such a guest."""
    snp: bool = False
    """Whether guests can be SNP guests: on a model alone, for the same reason."""
    synic: bool = False
    """Whether a vCPU can have the synthetic interrupt controller of Hyper-V."""
    xen: int = 0
    """Result of KVM_CAP_XEN_HVM: the supported KVM_XEN_HVM_CONFIG_*."""
    delayed: bool = False
    """Whether tasks can be stopped where a kernel function is entered or returns (StopPoint)."""
    parallel: bool = False
    """Whether threads run at the same time, so that races can happen by chance."""
    disposable: bool = False
    """Whether the kernel may be left with hung tasks and poisoned pages."""

    @property
    def emulates_any(self) -> bool:
        """Whether any instruction can be made to be emulated by KVM."""
        return not self.processor.nested_paging or self.forced_emulation
