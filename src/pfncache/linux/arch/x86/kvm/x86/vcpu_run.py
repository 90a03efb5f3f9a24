# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: KVM_RUN, one request or guest access at a time."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.choose import choose
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.lang.report import report
from pfncache.linux.arch.x86.kvm.mmu.mmu import Mmu
from pfncache.linux.arch.x86.kvm.x86.clock import Clock
from pfncache.linux.arch.x86.kvm.x86.steal_time import StealTimeUpdate
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gfn, Gpa
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded


class VcpuRun(Clock, StealTimeUpdate, Mmu):
    """Parts of vcpu_run() and vcpu_enter_guest()."""

    @part_of("vcpu_run")
    def run_guest_access(self, vcpu: KvmVcpu, gpa: Gpa, private: bool) -> Errno:
        """Access memory as the guest: through its SPTE, or after one fault.

        Linux: arch/x86/kvm/x86.c vcpu_run(), v7.3.4.
        Returns: 0, RET_PF_RETRY or -EFAULT.
        Simplified: a fault that must be retried ends the operation instead of re-entering the guest. `vcpu` stands for
        another vCPU of the VM, whose mutex no other operation takes.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        gfn = self.gpa_to_gfn(gpa)
        with vcpu_loaded(vcpu):
            # The guest runs outside of a section: vcpu_enter_guest() drops SRCU before the entry.
            if self.guest_access(kvm, gfn):
                return 0
            with srcu_read_lock(kvm.srcu):
                ret: Errno = self.kvm_mmu_page_fault(vcpu, gpa, private)
            if ret == 0:
                self.guest_access(kvm, gfn)
            return ret

    @part_of_caller
    @atomic
    def guest_access(self, kvm: Kvm, gfn: Gfn) -> bool:
        """Access memory through the SPTE of gfn, or what a TLB has of it, in one step.

        Linux: nothing; the processor's nested paging.
        Returns: False for a TDP fault.
        """
        pfn = kvm.sptes[gfn].pfn
        if self.tlbs and kvm.sptes[gfn].tlb >= 0 and choose(2) == 1:
            pfn = kvm.sptes[gfn].tlb
        if pfn < 0:
            return False
        if self.pfn_valid(pfn) and self.mem_map[pfn].free:
            report("stale-spte", f"the guest accesses pfn {pfn} through {kvm.sptes[gfn]}, but the page is free")
        return True

    @part_of("kvm_vcpu_flush_tlb_all")
    @atomic
    def flush_guest_tlb(self, kvm: Kvm) -> None:
        """Flush what the vCPUs have of the SPTEs in their TLBs.

        Linux: arch/x86/kvm/x86.c kvm_vcpu_flush_tlb_all(), v7.3.4.
        """
        for spte in kvm.sptes:
            spte.tlb = -1

    @part_of("vcpu_enter_guest")
    def run_clock_update(self, vcpu: KvmVcpu) -> None:
        """Run a vCPU with a requested clock update, as after KVM_SET_CLOCK or a migration to another CPU: KVM_RUN.

        Linux: arch/x86/kvm/x86.c vcpu_enter_guest() with KVM_REQ_CLOCK_UPDATE, vcpu_run(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
            vcpu.clock_update = False
            self.kvm_guest_time_update(vcpu)

    @part_of("vcpu_enter_guest")
    def run_steal_time_update(self, vcpu: KvmVcpu) -> None:
        """Run a vCPU with a requested update of steal time: KVM_RUN.

        Linux: arch/x86/kvm/x86.c vcpu_enter_guest() with KVM_REQ_STEAL_UPDATE, v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
            self.record_steal_time(vcpu)

    @part_of("vcpu_enter_guest")
    def run_runstate_update(self, vcpu: KvmVcpu) -> None:
        """Run a vCPU after it was scheduled out: KVM_RUN.

        Linux: arch/x86/kvm/x86.c vcpu_enter_guest() with KVM_REQ_STEAL_UPDATE, v7.3.4.
        """
        self.run_steal_time_update(vcpu)

    @part_of("vcpu_run")
    def run_timer_injection(self, vcpu: KvmVcpu) -> None:
        """Run a vCPU with a pending Xen timer: KVM_RUN.

        Linux: arch/x86/kvm/x86.c vcpu_run(), arch/x86/kvm/irq.c kvm_inject_pending_timer_irqs(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
            self.kvm_xen_inject_timer_irqs(kvm, vcpu)

    @part_of("vcpu_run")
    def run_event_injection(self, vcpu: KvmVcpu) -> None:
        """Run a vCPU with pending Xen events: KVM_RUN.

        Linux: arch/x86/kvm/x86.c vcpu_run(), arch/x86/kvm/xen.h kvm_xen_has_pending_events(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
            if vcpu.xen.evtchn_pending_sel:
                self.kvm_xen_inject_pending_events(vcpu)

    @part_of("vcpu_run")
    def run_has_interrupt(self, vcpu: KvmVcpu) -> bool:
        """Look for a pending upcall of a vCPU that runs: KVM_RUN.

        Linux: arch/x86/kvm/x86.c vcpu_run(), arch/x86/kvm/irq.c kvm_cpu_has_interrupt(), v7.3.4.
        Returns: whether an upcall is pending.
        Simplified: without SRCU, as in handle_fastpath_hlt(); other callers hold it.
        """
        with mutex(vcpu.mutex), vcpu_loaded(vcpu):
            return self.kvm_xen_has_interrupt(vcpu)

    @part_of("vcpu_run")
    def run_schedop_poll(self, vcpu: KvmVcpu, param: Gpa) -> Errno:
        """Handle the hypercall SCHEDOP_poll of a Xen guest: KVM_RUN.

        Linux: arch/x86/kvm/x86.c vcpu_run(), vcpu_enter_guest(), arch/x86/kvm/xen.c kvm_xen_hypercall(), v7.3.4.
        Returns: what the guest gets.
        """
        with mutex(vcpu.mutex), vcpu_loaded(vcpu):
            self.kvm_vcpu_srcu_read_lock(vcpu)
            ret = self.kvm_xen_schedop_poll(vcpu, param)
            vcpu.unblock = False
            self.kvm_vcpu_srcu_read_unlock(vcpu)
            return ret

    @part_of("vcpu_block")
    def run_block(self, vcpu: KvmVcpu) -> bool:
        """Run a halted vCPU: KVM_RUN.

        Linux: arch/x86/kvm/x86.c vcpu_block(), which drops SRCU, v7.3.4.
        Returns: whether the vCPU would sleep.
        """
        with mutex(vcpu.mutex), vcpu_loaded(vcpu):
            return self.kvm_vcpu_block(vcpu)

    @part_of("vcpu_run")
    def run_sched_out(self, vcpu: KvmVcpu) -> None:
        """Schedule out a vCPU's thread during KVM_RUN, or any other ioctl of the vCPU.

        Linux: arch/x86/kvm/x86.c vcpu_run(), v7.3.4.
        """
        with mutex(vcpu.mutex), vcpu_loaded(vcpu):
            self.kvm_sched_out(vcpu)

    def vcpu_enter_guest(self, vcpu: KvmVcpu) -> None:
        """Serve the requests of a vCPU before it enters the guest: KVM_RUN.

        KVM_REQ_UNBLOCK, like any request that stays pending, keeps the vCPU out of the guest: vcpu_run() clears it, and
        delivers what is pending, as after an exit.

        Linux: arch/x86/kvm/x86.c vcpu_enter_guest(), vcpu_run(), kvm_arch_vcpu_load(), v7.3.4.
        Simplified: no guest exit is at an instruction boundary, so that none sets `preempted`.
        """
        if vcpu.clock_update:
            self.run_clock_update(vcpu)
        self.run_steal_time_update(vcpu)
        if vcpu.unblock:
            vcpu.unblock = False
            self.run_event_injection(vcpu)
            self.run_timer_injection(vcpu)
