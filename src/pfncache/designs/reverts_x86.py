# SPDX-License-Identifier: GPL-2.0-only
"""Reverts of changes of arch/x86/kvm: how older kernels behave."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.lang.atomic import host_only
from pfncache.linux.arch.x86.include.asm.pvclock_abi import PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT
from pfncache.linux.arch.x86.kvm.msrs import Msrs
from pfncache.linux.arch.x86.kvm.svm.svm import INJECTED_GP, Svm
from pfncache.linux.arch.x86.kvm.x86.clock import Clock
from pfncache.linux.arch.x86.kvm.xen.timer import XenTimer
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu


class RevertUpdateWork(Patch, Msrs):
    """Update all clocks once more, a tenth of a second after one is set up, as kernels before 7.2.12 do."""

    @host_only
    def host_keep_system_time(self, vcpu: KvmVcpu, data: int) -> None:
        """Serve KVM_REQ_GLOBAL_CLOCK_UPDATE by an update of the own clock, and all by kvmclock_update_work later."""
        super().host_keep_system_time(vcpu, data)
        if vcpu.kvm is not None:
            vcpu.kvm.host_kvmclock_update_work = True

    def flush_delayed_work(self, kvm: Kvm) -> None:
        """Do what kvmclock_update_fn() does."""
        if kvm.host_kvmclock_update_work:
            kvm.host_kvmclock_update_work = False
            for vcpu in kvm.vcpus:
                vcpu.clock_update = True


class RevertVmcbMemoryFailure(Patch, Svm):
    """Inject #GP if KVM cannot map a guest's VMCB, as kernels before 7.2.12 do; later ones exit to user space."""

    def vmcb12_is_unreachable(self) -> int:
        """Return the result of kvm_inject_gp()."""
        return INJECTED_GP


class RevertPvclockFlags(Patch, Clock):
    """Let PVCLOCK_GUEST_STOPPED pass from one PV clock of a vCPU to the next, as kernels before 6.15 do.

    Reverts 24c166378026 ("Don't bleed PVCLOCK_GUEST_STOPPED across PV clocks") and 93fb0b10e712 ("Set
    PVCLOCK_GUEST_STOPPED only for kvmclock, not for Xen PV clock").
    """

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Begin with flags that one update's clocks share."""
        self.host_reset_flags(vcpu)
        super().kvm_guest_time_update(vcpu)

    @host_only
    def host_reset_flags(self, vcpu: KvmVcpu) -> None:
        """Clear vcpu->hv_clock.flags."""
        vcpu.host_hv_clock_flags = 0

    def host_end_stopped_request(self, vcpu: KvmVcpu) -> None:
        """Keep the request until a clock is written."""

    def host_pvclock_flags(self, vcpu: KvmVcpu, gpc: GfnToPfnCache, guest: int) -> int:
        """Add what the guest has to the shared flags, and serve the request with the first clock that is written."""
        vcpu.host_hv_clock_flags |= guest & PVCLOCK_GUEST_STOPPED
        if vcpu.host_guest_stopped:
            vcpu.host_guest_stopped = False
            vcpu.host_hv_clock_flags |= PVCLOCK_GUEST_STOPPED
        return PVCLOCK_TSC_STABLE_BIT | vcpu.host_hv_clock_flags


class RevertTimerByGuestClock(Patch, XenTimer):
    """Revert "KVM: x86/xen: Use guest's copy of pvclock when starting timer" (6.15).

    Kernels before keep the contents of the guest's clock in the vCPU, and access no guest memory there.
    """

    def guest_now(self, vcpu: KvmVcpu) -> int:
        """Compute the guest's time without its clock."""
        kvm = vcpu.kvm
        assert kvm is not None
        return self.kvmclock_now(kvm)
