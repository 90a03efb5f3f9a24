# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: steal time, and the vCPU's thread is scheduled out."""

from __future__ import annotations

from pfncache.lang.atomic import host_only
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class StealTimeUpdate(KvmMm):
    """The functions of arch/x86/kvm/x86.c for steal time."""

    def record_steal_time(self, vcpu: KvmVcpu) -> None:
        """Write steal time through the user address; a fault there drops the update. The page is marked dirty anyway.

        A Xen guest has its runstate instead, whatever it has written to the MSR.

        Linux: arch/x86/kvm/x86.c record_steal_time(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Simplified: `preempted` is reset, by one access; those to version and steal, each of which may fault alone, are
        left out. The address of MSR_KVM_STEAL_TIME is the cache's.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if self.kvm_xen_msr_enabled(kvm):
            self.kvm_xen_runstate_set_running(vcpu)
            return
        if not vcpu.st.enabled:
            return
        if current().mm is not kvm.mm:
            WARN_ON_ONCE(True, "WARN_ON_ONCE(current->mm != vcpu->kvm->mm)")
            return
        ghc = vcpu.st.cache
        slots = self.kvm_memslots(kvm)
        if slots.generation != ghc.generation or self.kvm_is_error_hva(ghc.hva) or ghc.memslot is None:
            if self.kvm_gfn_to_hva_cache_init(kvm, ghc, ghc.gpa, self.STEAL_SIZE) != 0:
                return
        st = ghc.hva
        written = self.unsafe_put_user(st + self.STEAL_PREEMPTED, b"\0")
        if written:
            self.host_steal_time(st)
        self.mark_page_dirty_in_slot(kvm, ghc.memslot, self.gpa_to_gfn(ghc.gpa))
        slot = ghc.memslot
        assert slot is not None
        if written:
            self.note_write(slot, self.gpa_to_gfn(ghc.gpa))

    @part_of("record_steal_time")
    @host_only
    def host_steal_time(self, hva: Hva) -> None:
        """Advance the version to the next even number, and clear `preempted`. Steal time is always zero.

        Linux: arch/x86/kvm/x86.c record_steal_time(), v7.3.4.
        """
        version = int.from_bytes(self.host_get(hva + 8, 4), "little")
        version = (version + (version & 1) + 2) & 0xFFFFFFFF
        self.host_put(hva + 8, version.to_bytes(4, "little"))
        self.host_put(hva + self.STEAL_PREEMPTED, b"\0")

    def kvm_steal_time_set_preempted(self, vcpu: KvmVcpu) -> None:
        """Set `preempted` of a vCPU that is scheduled out, unless that takes a page fault.

        Linux: arch/x86/kvm/x86.c kvm_steal_time_set_preempted(), v7.3.4.
        Locks: SRCU, the runqueue's; nothing may sleep.
        Simplified: without the tests of at_instruction_boundary, of the MSR's enable bit and of st.preempted, so that a
        second preemption without a run in between writes again.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if current().mm is not kvm.mm:  # a process that exits
            return
        ghc = vcpu.st.cache
        slots = self.kvm_memslots(kvm)
        if slots.generation != ghc.generation or self.kvm_is_error_hva(ghc.hva) or ghc.memslot is None:
            return
        current().pagefault_disabled = True
        self.copy_to_user(ghc.hva + self.STEAL_PREEMPTED, b"\1")
        current().pagefault_disabled = False
        self.mark_page_dirty_in_slot(kvm, ghc.memslot, self.gpa_to_gfn(ghc.gpa))

    def kvm_arch_vcpu_put(self, vcpu: KvmVcpu) -> None:
        """Record for the guest that its vCPU does not run.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_put(), v7.3.4.
        Locks: the runqueue's.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu):
            if self.kvm_xen_msr_enabled(kvm):
                self.kvm_xen_runstate_set_preempted(vcpu)
            else:
                self.kvm_steal_time_set_preempted(vcpu)
