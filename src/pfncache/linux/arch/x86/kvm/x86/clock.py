# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c, msrs.c: kvm-clock, steal time, and what KVM asks of the architecture."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_DEFAULT_VM, KVM_X86_SNP_VM
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmMemorySlot, KvmVcpu
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno, Gfn, Gpa, Hva, Pfn
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

PVCLOCK_TSC_STABLE_BIT = 1
PVCLOCK_GUEST_STOPPED = 2


class X86(KvmMm):
    """The functions of arch/x86/kvm/x86.c."""

    # kvm-clock

    @part_of("kvm_set_msrs")
    def set_msr_system_time(self, vcpu: KvmVcpu, gpa: Gpa, enable: bool) -> int:
        """KVM_SET_MSRS of MSR_KVM_SYSTEM_TIME_NEW.

        Linux: arch/x86/kvm/msrs.c kvm_set_msrs(), msr_io(), v7.3.4.
        Returns: how many MSRs were set: 1, or 0 when the write is refused.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), srcu_read_lock(kvm.srcu):
            return 1 if self.kvm_write_system_time(vcpu, gpa, enable) == 0 else 0

    def kvm_write_system_time(self, vcpu: KvmVcpu, gpa: Gpa, enable: bool) -> Errno:
        """The guest says where it wants its clock. Whether that works is not told to it.

        Linux: arch/x86/kvm/msrs.c kvm_write_system_time(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Returns: 0.
        Simplified: void in Linux; there has been a patch that returns what the activation says.
        """
        vcpu.clock_update = True
        if enable:
            self.kvm_gpc_activate(vcpu.pv_time, gpa, self.PVCLOCK_SIZE)
        else:
            self.kvm_gpc_deactivate(vcpu.pv_time)
        return 0

    @part_of("vcpu_enter_guest")
    def run_clock_update(self, vcpu: KvmVcpu) -> None:
        """KVM_RUN that has a clock update to serve, as after KVM_SET_CLOCK or a migration to another CPU.

        Linux: arch/x86/kvm/x86.c vcpu_enter_guest() with KVM_REQ_CLOCK_UPDATE, vcpu_run(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), srcu_read_lock(kvm.srcu):
            vcpu.clock_update = False
            self.kvm_guest_time_update(vcpu)

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Write the clock to wherever the guest has asked for it.

        Linux: arch/x86/kvm/x86.c kvm_guest_time_update(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Simplified: the Xen places are updated by their own entry points.
        """
        if vcpu.pv_time.active:
            self.kvm_setup_guest_pvclock(vcpu, vcpu.pv_time)

    def kvm_setup_guest_pvclock(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Write a pvclock structure: version odd, contents, version even. Without the page, the update is lost.

        Linux: arch/x86/kvm/x86.c kvm_setup_guest_pvclock(), v7.3.4.
        Locks: SRCU; may sleep.
        """
        gpc.lock.read_lock_irq()
        while not self.kvm_gpc_check(gpc, self.PVCLOCK_SIZE):
            gpc.lock.read_unlock_irq()
            if self.kvm_gpc_refresh(gpc, self.PVCLOCK_SIZE) != 0:
                return
            gpc.lock.read_lock_irq()
        self.begin_pvclock_update(gpc)
        self.write_pvclock_payload(vcpu, gpc)
        self.end_pvclock_update(vcpu, gpc)
        self.kvm_gpc_mark_dirty_in_slot(gpc)
        self.note_dirty(gpc)
        gpc.lock.read_unlock_irq()

    @part_of("kvm_setup_guest_pvclock")
    @atomic
    def begin_pvclock_update(self, gpc: GfnToPfnCache) -> None:
        """Make the version odd: the guest waits.

        Linux: arch/x86/kvm/x86.c kvm_setup_guest_pvclock(), v7.3.4.
        Locks: gpc.lock for reading.
        """
        self.trace_pv_begin(gpc)
        gpc.updating = True
        self.gpc_access(gpc, True)
        self.host_pvclock_version(gpc, True)

    @part_of("kvm_setup_guest_pvclock")
    @atomic
    def write_pvclock_payload(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Write the contents.

        Linux: arch/x86/kvm/x86.c kvm_setup_guest_pvclock(), v7.3.4.
        Locks: gpc.lock for reading.
        """
        self.gpc_access(gpc, True)
        self.host_pvclock_payload(vcpu, gpc)

    @part_of("kvm_setup_guest_pvclock")
    @atomic
    def end_pvclock_update(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Make the version even: the guest may read.

        Linux: arch/x86/kvm/x86.c kvm_setup_guest_pvclock(), v7.3.4.
        Locks: gpc.lock for reading.
        """
        pfn = self.gpc_access(gpc, True)
        self.host_pvclock_version(gpc, False)
        gpc.updating = False
        kvm = vcpu.kvm
        assert kvm is not None
        if not self.is_error_gpa(gpc.gpa):
            self.trace_pv_update(kvm, gpc.gpa, pfn)

    @part_of_caller
    @atomic
    def note_dirty(self, gpc: GfnToPfnCache) -> None:
        """Let the properties see that the writer has marked what it wrote.

        Linux: nothing; a tracepoint of the model.
        """
        self.trace_gpc_dirty(gpc, gpc.gpa)

    @part_of("kvm_setup_guest_pvclock")
    @host_only
    def host_pvclock_version(self, gpc: GfnToPfnCache, begin: bool) -> None:
        """Move the version on.

        Linux: arch/x86/kvm/x86.c kvm_setup_guest_pvclock(), v7.3.4.
        """
        data = self.host_pvclock_bytes(gpc)
        version = int.from_bytes(data[:4], "little")
        version = (version + 1) | 1 if begin else version + 1
        data[:4] = (version & 0xFFFFFFFF).to_bytes(4, "little")

    @part_of("kvm_setup_guest_pvclock")
    @host_only
    def host_pvclock_payload(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Write the contents through the cache.

        Linux: arch/x86/kvm/x86.c kvm_setup_guest_pvclock(), v7.3.4.
        """
        self.host_fill_pvclock(vcpu, self.host_pvclock_bytes(gpc))

    @part_of("kvm_setup_guest_pvclock")
    def host_pvclock_bytes(self, gpc: GfnToPfnCache) -> memoryview:
        """Where the structure is. In a Xen guest's vcpu_info it comes second.

        Linux: arch/x86/kvm/x86.c kvm_setup_guest_pvclock(), the offset from kvm_guest_time_update(), v7.3.4.
        """
        kvm = gpc.kvm
        assert kvm is not None
        second = any(gpc is vcpu.xen.vcpu_info_cache for vcpu in kvm.vcpus)
        offset = self.XEN_VCPU_INFO_TIME if second else 0
        return self.host_kernel_bytes(gpc.khva)[offset:]

    @part_of("kvm_guest_time_update")
    def host_fill_pvclock(self, vcpu: KvmVcpu, data: memoryview) -> None:
        """Time stamp, time, scale and flags: the TSC counts nanoseconds. "Stopped" stays.

        Linux: arch/x86/kvm/x86.c kvm_guest_time_update(), kvm_setup_guest_pvclock(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        self.host_clock += 1
        stopped = data[29] & PVCLOCK_GUEST_STOPPED | (PVCLOCK_GUEST_STOPPED if vcpu.host_guest_stopped else 0)
        vcpu.host_guest_stopped = False
        data[4:8] = bytes(4)
        data[8:16] = self.host_clock.to_bytes(8, "little")
        data[16:24] = (self.host_clock + kvm.host_kvmclock_offset).to_bytes(8, "little")
        data[24:28] = (1 << 31).to_bytes(4, "little")
        data[28:32] = bytes((1, PVCLOCK_TSC_STABLE_BIT | stopped, 0, 0))

    def kvmclock_reset(self, vcpu: KvmVcpu) -> None:
        """The vCPU goes away, or is reset.

        Linux: arch/x86/kvm/x86.c kvmclock_reset(), v7.3.4.
        """
        self.kvm_gpc_deactivate(vcpu.pv_time)

    # Wall clock

    def kvm_write_wall_clock(self, kvm: Kvm, gpa: Gpa) -> None:
        """Tell the guest once when it was booted: version odd, contents, version even. Nobody hears of a failure.

        Linux: arch/x86/kvm/msrs.c kvm_write_wall_clock(), v7.3.4.
        Locks: SRCU.
        Simplified: the time is when the model's clock began, zero; an odd version is passed by.
        """
        if gpa == 0 or self.kvm_read_guest_page(kvm, self.gpa_to_gfn(gpa), self.offset_in_page(gpa), 4) != 0:
            return
        version = int.from_bytes(self.host_read_guest(kvm, gpa, 4), "little")
        version += (version & 1) + 1
        gfn, offset = self.gpa_to_gfn(gpa), self.offset_in_page(gpa)
        for data in (
            version.to_bytes(4, "little"),
            version.to_bytes(12, "little"),
            (version + 1).to_bytes(4, "little"),
        ):
            if self.kvm_write_guest_page(kvm, gfn, data, offset) != 0:
                return

    # Steal time

    @part_of("vcpu_enter_guest")
    def run_steal_time_update(self, vcpu: KvmVcpu) -> None:
        """KVM_RUN that has steal time to report.

        Linux: arch/x86/kvm/x86.c vcpu_enter_guest() with KVM_REQ_STEAL_UPDATE, v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), srcu_read_lock(kvm.srcu):
            self.record_steal_time(vcpu)

    def record_steal_time(self, vcpu: KvmVcpu) -> None:
        """Tell the guest how long it did not run, through the user address; a fault there loses the update.

        Linux: arch/x86/kvm/x86.c record_steal_time(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Simplified: preempted is reset, the time itself is not kept.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        ghc = vcpu.st.cache
        if self.kvm_memslots(kvm).generation != ghc.generation or ghc.memslot is None:
            if self.kvm_gfn_to_hva_cache_init(kvm, ghc, ghc.gpa) != 0:
                return
        if self.is_error_hva(ghc.hva):
            return
        st = ghc.hva
        if not self.copy_to_user(st + self.STEAL_PREEMPTED, b"\0"):
            return
        self.host_steal_time(st)
        self.mark_page_dirty_in_slot(kvm, ghc.memslot, self.gpa_to_gfn(ghc.gpa))
        slot = ghc.memslot
        assert slot is not None
        self.note_write(slot, self.gpa_to_gfn(ghc.gpa))

    @part_of("record_steal_time")
    @host_only
    def host_steal_time(self, hva: Hva) -> None:
        """Move the version on by two, past an odd one; the vCPU runs. No time is ever stolen.

        Linux: arch/x86/kvm/x86.c record_steal_time(), v7.3.4.
        """
        version = int.from_bytes(self.host_get(hva + 8, 4), "little")
        version = (version + (version & 1) + 2) & 0xFFFFFFFF
        self.host_put(hva + 8, version.to_bytes(4, "little"))
        self.host_put(hva + self.STEAL_PREEMPTED, b"\0")

    def kvm_steal_time_set_preempted(self, vcpu: KvmVcpu) -> None:
        """The vCPU is scheduled out: note so, if that takes no page fault.

        Linux: arch/x86/kvm/x86.c kvm_steal_time_set_preempted(), v7.3.4.
        Locks: SRCU, the runqueue's; nothing may sleep.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        ghc = vcpu.st.cache
        if self.kvm_memslots(kvm).generation != ghc.generation or ghc.memslot is None:
            return
        if not self.is_error_hva(ghc.hva):
            current().pagefault_disabled = True
            written = self.copy_to_user(ghc.hva + self.STEAL_PREEMPTED, b"\1")
            current().pagefault_disabled = False
            if written:
                self.mark_page_dirty_in_slot(kvm, ghc.memslot, self.gpa_to_gfn(ghc.gpa))

    def kvm_sched_out(self, vcpu: KvmVcpu) -> None:
        """The vCPU's thread is preempted.

        Linux: virt/kvm/kvm_main.c kvm_sched_out(), by way of kernel/sched/core.c prepare_task_switch(), v7.3.4.
        Locks: takes the runqueue's.
        """
        vcpu.rq.raw_spin_rq_lock()
        self.kvm_arch_vcpu_put(vcpu)
        vcpu.rq.raw_spin_rq_unlock()

    def kvm_arch_vcpu_put(self, vcpu: KvmVcpu) -> None:
        """Tell the guest that its vCPU does not run.

        Linux: arch/x86/kvm/x86.c kvm_arch_vcpu_put(), arch/x86/kvm/xen.h kvm_xen_runstate_set_preempted(), v7.3.4.
        Locks: the runqueue's.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu):
            if kvm.xen.hvm_config:
                self.kvm_xen_update_runstate(vcpu, True)
            else:
                self.kvm_steal_time_set_preempted(vcpu)

    # What virt/kvm asks of the architecture

    def kvm_arch_has_private_mem(self, kvm: Kvm) -> bool:
        """Whether the VM type has private memory.

        Linux: arch/x86/include/asm/kvm_host.h kvm_arch_has_private_mem(), v7.3.4.
        """
        return kvm.vm_type != KVM_X86_DEFAULT_VM

    def kvm_arch_prepare_memory_region(self, kvm: Kvm, slot: KvmMemorySlot) -> Errno:
        """Allocate what the architecture keeps for a slot.

        Linux: arch/x86/kvm/x86.c kvm_arch_prepare_memory_region(), kvm_alloc_memslot_metadata(), v7.3.4.
        Locks: slots_lock.
        Returns: 0.
        """
        slot.arch_ready = True
        return 0

    def kvm_arch_gmem_make_private(self, kvm: Kvm, gfn: Gfn, pfn: Pfn) -> Errno:
        """Assign a page to the guest in the RMP.

        Linux: arch/x86/kvm/x86.c kvm_arch_gmem_make_private(), arch/x86/kvm/svm/sev.c sev_gmem_make_private(), v7.3.4.
        Locks: the folio lock.
        Returns: 0.
        Simplified: SNP's rules for the CoCo type; other types have no RMP.
        """
        if kvm.vm_type == KVM_X86_SNP_VM and kvm.mem_attr_array[gfn].private:
            self.mem_map[pfn].rmp_private = True
        return 0

    def kvm_arch_gmem_reclaim(self, pfn: Pfn) -> None:
        """Give a page back to the host in the RMP.

        Linux: arch/x86/kvm/x86.c kvm_arch_gmem_reclaim(), arch/x86/kvm/svm/sev.c sev_gmem_make_shared(), v7.3.4.
        """
        if self.mem_map[pfn].rmp_private:
            self.mem_map[pfn].rmp_private = False
