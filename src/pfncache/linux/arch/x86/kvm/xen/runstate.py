# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: runstate, the time that a vCPU spends in each state, in an area on one or two pages."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu, KvmVcpuXen
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gpa
from pfncache.linux.include.linux.preempt import local_irq_disable, local_irq_enable
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.xen.interface.xen import RUNSTATE_RUNNABLE, RUNSTATE_RUNNING
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class XenRunstate(KvmMm):
    """The functions of arch/x86/kvm/xen.c for runstate."""

    @part_of_caller
    def runstate_size(self, kvm: Kvm) -> int:
        """Return the size of the guest's area; it grows if a guest changes to 64-bit mode after it has set the area.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), kvm_xen_update_runstate_guest(), v7.3.4.
        """
        return self.RUNSTATE_SIZE if kvm.xen.long_mode else self.RUNSTATE_COMPAT_SIZE

    @part_of("kvm_xen_vcpu_set_attr")
    def activate_runstate_area(self, vcpu: KvmVcpu, gpa: Gpa) -> Errno:
        """Activate the cache of each page; deactivate the second one for an area on one page.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4.
        Locks: xen_lock, SRCU.
        Returns: 0, or the error of the activation.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        size = self.runstate_size(kvm)
        first = self.PAGE_SIZE - self.offset_in_page(gpa)
        ret = self.kvm_gpc_activate(vcpu.xen.runstate_cache, gpa, first)
        if ret != 0:
            return ret
        if first >= size:
            self.kvm_gpc_deactivate(vcpu.xen.runstate2_cache)
            return 0
        return self.kvm_gpc_activate(vcpu.xen.runstate2_cache, gpa + first, size - first)

    def kvm_xen_update_runstate(self, vcpu: KvmVcpu, state: int) -> None:
        """Change the vCPU's runstate.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate(), v7.3.4.
        Locks: SRCU.
        Simplified: the times that are spent in each state are not modelled.
        """
        self.host_enter_runstate(vcpu, state)
        if vcpu.xen.runstate_cache.active:
            self.kvm_xen_update_runstate_guest(vcpu, state == RUNSTATE_RUNNABLE)

    @part_of("kvm_xen_update_runstate")
    @host_only
    def host_enter_runstate(self, vcpu: KvmVcpu, state: int) -> None:
        """Record the new runstate and the time of the change.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        self.host_clock += 1
        vcpu.xen.host_runstate = state
        vcpu.xen.host_runstate_entry_time = self.host_clock + kvm.host_kvmclock_offset

    @part_of_caller
    def runstate_of(self, xen: KvmVcpuXen) -> int:
        """Return current_runstate, in direct execution.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate(), v7.3.4.
        """
        return 0

    @part_of_caller
    def runstate_entry_time_of(self, xen: KvmVcpuXen) -> int:
        """Return runstate_entry_time in nanoseconds, in direct execution.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate(), v7.3.4.
        """
        return 0

    def kvm_xen_msr_enabled(self, kvm: Kvm) -> bool:
        """Return whether the VM runs a Xen guest.

        Linux: arch/x86/kvm/xen.h kvm_xen_msr_enabled(), v7.3.4.
        """
        return kvm.xen.hvm_config

    def kvm_xen_runstate_set_running(self, vcpu: KvmVcpu) -> None:
        """Enter the runstate of a vCPU that runs.

        Linux: arch/x86/kvm/xen.h kvm_xen_runstate_set_running(), v7.3.4.
        Locks: SRCU.
        """
        self.kvm_xen_update_runstate(vcpu, RUNSTATE_RUNNING)

    def kvm_xen_runstate_set_preempted(self, vcpu: KvmVcpu) -> None:
        """Enter the runstate of a vCPU that is scheduled out.

        Linux: arch/x86/kvm/xen.h kvm_xen_runstate_set_preempted(), v7.3.4.
        Locks: SRCU, the runqueue's.
        """
        self.kvm_xen_update_runstate(vcpu, RUNSTATE_RUNNABLE)

    @part_of("kvm_xen_update_runstate_guest")
    def runstate_read_lock(self, gpc: GfnToPfnCache, in_atomic: bool) -> bool:
        """Lock a runstate cache; use a trylock in the scheduler.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate_guest(), v7.3.4 (trylock since v6.2: bbe17c625d68).
        Locks: interrupts are off.
        Returns: whether it is locked.
        """
        if in_atomic:
            return gpc.lock.read_trylock()
        gpc.lock.read_lock()
        return True

    def kvm_xen_update_runstate_guest(self, vcpu: KvmVcpu, in_atomic: bool) -> None:
        """Write the runstate area, which may span two pages.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate_guest(), v7.3.4.
        Locks: SRCU; `in_atomic`: the runqueue's, so that this must neither sleep nor wait.
        Simplified: each page is written in one step.
        """
        gpc1 = vcpu.xen.runstate_cache
        gpc2 = vcpu.xen.runstate2_cache
        kvm = vcpu.kvm
        assert kvm is not None
        size = self.runstate_size(kvm)
        len1 = min(self.PAGE_SIZE - self.offset_in_page(gpc1.gpa), size)
        len2 = size - len1
        while True:
            local_irq_disable()
            if not self.runstate_read_lock(gpc1, in_atomic):
                local_irq_enable()
                return
            while not self.kvm_gpc_check(gpc1, len1):
                gpc1.lock.read_unlock_irq()
                # schedule() must not sleep: the guest's area is updated later.
                if in_atomic:
                    return
                if self.kvm_gpc_refresh(gpc1, len1) != 0:
                    return
                gpc1.lock.read_lock_irq()
            if len2 == 0:
                break
            # gpc1 before gpc2: no other path takes more than one.
            if not self.runstate_read_lock(gpc2, in_atomic):
                gpc1.lock.read_unlock_irq()
                return
            if self.kvm_gpc_check(gpc2, len2):
                break
            gpc2.lock.read_unlock()
            gpc1.lock.read_unlock_irq()
            if in_atomic:
                return
            # Not a refresh: set_attr has not activated the cache if the area was on one page in 32-bit mode. gpc1.gpa
            # is read without its lock: it changes only under vcpu.mutex, which is held.
            if self.kvm_gpc_activate(gpc2, gpc1.gpa + len1, len2) != 0:
                return
        self.write_runstate_area(vcpu, gpc1, 0, len1)
        if len2 != 0:
            self.write_runstate_area(vcpu, gpc2, len1, len2)
            self.kvm_gpc_mark_dirty_in_slot(gpc2)
            self.note_xen_dirty(gpc2)
            gpc2.lock.read_unlock()
        self.kvm_gpc_mark_dirty_in_slot(gpc1)
        self.note_xen_dirty(gpc1)
        gpc1.lock.read_unlock_irq()

    @part_of("kvm_xen_update_runstate_guest")
    @atomic
    def write_runstate_area(self, vcpu: KvmVcpu, gpc: GfnToPfnCache, start: int, length: int) -> None:
        """Write a part of the runstate area.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate_guest(), v7.3.4.
        Locks: gpc.lock for reading.
        """
        self.access_khva(gpc, True)
        self.trace_gpc_write(gpc)
        self.host_write_runstate(vcpu, gpc, start, length)

    @part_of("kvm_xen_update_runstate_guest")
    @host_only
    def host_write_runstate(self, vcpu: KvmVcpu, gpc: GfnToPfnCache, start: int, length: int) -> None:
        """Write the bytes of a part of the area; the layer for direct execution has the layouts.

        Linux: arch/x86/kvm/xen.c kvm_xen_update_runstate_guest(), v7.3.4.
        """

    @part_of_caller
    @atomic
    def note_xen_dirty(self, gpc: GfnToPfnCache) -> None:
        """Trace that the writer has marked what it wrote dirty.

        Linux: nothing; a tracepoint of the model.
        """
        if gpc.gpa != INVALID_GPA:
            self.trace_gpc_dirty(gpc, gpc.gpa)
