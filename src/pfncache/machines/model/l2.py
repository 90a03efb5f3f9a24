# SPDX-License-Identifier: GPL-2.0-only
"""L2 guests of the model: the entry and the exit by KVM, and the access in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfncache.linux.arch.x86.include.asm.svm import SVM_EXIT_HLT, SVM_EXIT_NPF
from pfncache.linux.arch.x86.kvm.mmu.mmu import RET_PF_RETRY
from pfncache.linux.arch.x86.kvm.mmu.paging_tmpl import PT_BASE_ADDR_MASK
from pfncache.linux.arch.x86.kvm.svm.svm import INJECTED_GP
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import INVALID_GPA
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.machines.machine import Exit, GuestExit
from pfncache.machines.model.host import ModelHost
from pfncache.machines.program import L2_TARGETS

if TYPE_CHECKING:
    from pfncache.machines.model.host import HostKernel

SHUTDOWN, EMULATION_FAILURE = Exit("SHUTDOWN"), Exit("INTERNAL_ERROR", detail="suberror 1")
_TRIES = 16
"""Maximum faults of one access."""


@dataclass(frozen=True)
class NestedRun:
    """Runs an L2 guest on a vCPU: the host, and the records of the VM and of the vCPU."""

    host: ModelHost
    kvm: Kvm
    vcpu: KvmVcpu

    def enter(self, entry: int, vmcb: int | None) -> bytes | None:
        """VMRUN; L2 reads. The machine's own VMCB is in no memory of the model, and is left out."""
        with self._in_kernel() as kernel:
            if vmcb is None:
                kernel.kvm_mmu_sync_roots(self.vcpu)
            elif kernel.nested_svm_vmrun(self.vcpu, vmcb) != 0:
                raise GuestExit(SHUTDOWN if kernel.vmcb12_is_unreachable() == INJECTED_GP else EMULATION_FAILURE)
        if self._shadow(entry):
            return L2_TARGETS[self.vcpu.shadow.gpte & PT_BASE_ADDR_MASK]
        self._exit(SVM_EXIT_NPF)
        return None

    def leave(self) -> int:
        """L2 halts."""
        return self._exit(SVM_EXIT_HLT)

    def write_apic(self, gpa: int, meanwhile: Callable[[], object]) -> None:
        """VMLAUNCH; L2 writes, by the pfn that was looked up at the entry; exit."""
        kernel = self.host.kernel
        with self.host.syscall("KVM_RUN"):
            if kernel.run_nested_entry(self.vcpu, gpa) != 0:
                raise GuestExit(Exit("VMFAIL"))
        meanwhile()
        with self.host.syscall("KVM_RUN"):
            kernel.run_l2(self.vcpu)
            kernel.run_nested_exit(self.vcpu)

    def _shadow(self, entry: int) -> bool:
        """Let L2 access the page that an entry maps. Returns False for a nested page fault."""
        for _ in range(_TRIES):
            if self.vcpu.shadow.gpa == entry:
                return True
            with self._in_kernel() as kernel:
                ret = kernel.page_fault(self.vcpu, entry)
            if ret == RET_PF_RETRY:
                self.host.tasks.resched()
            elif ret != 0:
                return False
        return False

    def _exit(self, exit_code: int) -> int:
        if self.vcpu.host_vmcb12_gpa == INVALID_GPA:
            return exit_code
        with self._in_kernel() as kernel:
            if not kernel.nested_svm_vmexit(self.vcpu, exit_code):
                raise GuestExit(SHUTDOWN)
        return exit_code

    @contextmanager
    def _in_kernel(self) -> Iterator[HostKernel]:
        """KVM_RUN, in an exit of the guest."""
        with self.host.syscall("KVM_RUN"):
            self.host.kernel.vcpu_enter_guest(self.vcpu)
            with mutex(self.vcpu.mutex), vcpu_loaded(self.vcpu), srcu_read_lock(self.kvm.srcu):
                yield self.host.kernel
