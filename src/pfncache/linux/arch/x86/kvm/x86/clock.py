# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: kvm-clock."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.arch.x86.include.asm.pvclock_abi import PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class Clock(KvmMm):
    """The functions of arch/x86/kvm/x86.c for kvm-clock."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Write the clock to each address that the guest has set.

        Linux: arch/x86/kvm/x86.c kvm_guest_time_update(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Simplified: without kvm_hv_setup_tsc_page(), which writes the TSC page of a Hyper-V guest by kvm_write_guest().
        """
        if vcpu.pv_time.active:
            self.kvm_setup_guest_pvclock(vcpu, vcpu.pv_time)
            self.host_end_stopped_request(vcpu)
        if vcpu.xen.vcpu_info_cache.active:
            self.kvm_setup_guest_pvclock(vcpu, vcpu.xen.vcpu_info_cache)
        if vcpu.xen.vcpu_time_info_cache.active:
            self.kvm_setup_guest_pvclock(vcpu, vcpu.xen.vcpu_time_info_cache)

    def kvm_setup_guest_pvclock(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Write a pvclock structure: version odd, contents, version even. If the refresh fails, the update is dropped.

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
        """Make the version odd, so that the guest retries.

        Linux: arch/x86/kvm/x86.c kvm_setup_guest_pvclock(), v7.3.4.
        Locks: gpc.lock for reading.
        """
        self.trace_pv_begin(gpc)
        gpc.updating = True
        self.access_khva(gpc, True)
        self.host_pvclock_version(gpc, True)

    @part_of("kvm_setup_guest_pvclock")
    @atomic
    def write_pvclock_payload(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Write the contents, in one step.

        Linux: arch/x86/kvm/x86.c kvm_setup_guest_pvclock(), v7.3.4.
        Locks: gpc.lock for reading.
        """
        self.access_khva(gpc, True)
        self.host_pvclock_payload(vcpu, gpc)

    @part_of("kvm_setup_guest_pvclock")
    @atomic
    def end_pvclock_update(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Make the version even, so that the guest may read.

        Linux: arch/x86/kvm/x86.c kvm_setup_guest_pvclock(), v7.3.4.
        Locks: gpc.lock for reading.
        """
        pfn = self.access_khva(gpc, True)
        self.host_pvclock_version(gpc, False)
        gpc.updating = False
        kvm = vcpu.kvm
        assert kvm is not None
        if not self.kvm_is_error_gpa(gpc.gpa):
            self.trace_pv_update(kvm, gpc.gpa, pfn)

    @part_of_caller
    @atomic
    def note_dirty(self, gpc: GfnToPfnCache) -> None:
        """Trace that the writer has marked what it wrote dirty.

        Linux: nothing; a tracepoint of the model.
        """
        self.trace_gpc_dirty(gpc, gpc.gpa)

    @part_of("kvm_setup_guest_pvclock")
    @host_only
    def host_pvclock_version(self, gpc: GfnToPfnCache, begin: bool) -> None:
        """Increment the version to the next odd or even number.

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
        data = self.host_pvclock_bytes(gpc)
        self.host_fill_pvclock(vcpu, data, self.host_pvclock_flags(vcpu, gpc, data[29]))

    @part_of("kvm_guest_time_update")
    @host_only
    def host_end_stopped_request(self, vcpu: KvmVcpu) -> None:
        """End the request of PVCLOCK_GUEST_STOPPED, whether or not the clock could be written.

        Linux: arch/x86/kvm/x86.c kvm_guest_time_update(), v7.3.4.
        """
        vcpu.host_guest_stopped = False

    @part_of("kvm_guest_time_update")
    def host_pvclock_flags(self, vcpu: KvmVcpu, gpc: GfnToPfnCache, guest: int) -> int:
        """Return the flags of a clock whose copy in the guest has the flags `guest`.

        PVCLOCK_GUEST_STOPPED is kept where the guest has it, and set for kvm-clock alone.

        Linux: arch/x86/kvm/x86.c kvm_guest_time_update(), kvm_setup_guest_pvclock(), v7.3.4.
        """
        flags = PVCLOCK_TSC_STABLE_BIT | guest & PVCLOCK_GUEST_STOPPED
        if gpc is vcpu.pv_time and vcpu.host_guest_stopped:
            vcpu.host_guest_stopped = False
            flags |= PVCLOCK_GUEST_STOPPED
        return flags

    @part_of("kvm_setup_guest_pvclock")
    def host_pvclock_bytes(self, gpc: GfnToPfnCache) -> memoryview:
        """Return the bytes of the structure; in vcpu_info of a Xen guest it has an offset.

        Linux: arch/x86/kvm/x86.c kvm_setup_guest_pvclock(), the offset from kvm_guest_time_update(), v7.3.4.
        """
        kvm = gpc.kvm
        assert kvm is not None
        second = any(gpc is vcpu.xen.vcpu_info_cache for vcpu in kvm.vcpus)
        offset = self.XEN_VCPU_INFO_TIME if second else 0
        return self.host_kernel_bytes(gpc.khva)[offset:]

    @part_of("kvm_guest_time_update")
    def host_fill_pvclock(self, vcpu: KvmVcpu, data: memoryview, flags: int) -> None:
        """Write time stamp, time, scale and flags. The TSC counts nanoseconds.

        Linux: arch/x86/kvm/x86.c kvm_guest_time_update(), kvm_setup_guest_pvclock(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        self.host_clock += 1
        data[4:8] = bytes(4)
        data[8:16] = self.host_clock.to_bytes(8, "little")
        data[16:24] = (self.host_clock + kvm.host_kvmclock_offset).to_bytes(8, "little")
        data[24:28] = (1 << 31).to_bytes(4, "little")
        data[28:32] = bytes((1, flags, 0, 0))

    def kvmclock_reset(self, vcpu: KvmVcpu) -> None:
        """Deactivate the clock of a vCPU that is destroyed or reset.

        Linux: arch/x86/kvm/x86.c kvmclock_reset(), v7.3.4.
        Simplified: arch.time, which RDMSR returns, stays.
        """
        self.kvm_gpc_deactivate(vcpu.pv_time)

    def kvm_set_guest_paused(self, vcpu: KvmVcpu) -> Errno:
        """Set PVCLOCK_GUEST_STOPPED with the next clock update: KVM_KVMCLOCK_CTRL.

        Linux: arch/x86/kvm/x86.c kvm_set_guest_paused(), v7.3.4.
        Returns: 0, or -EINVAL without a clock.
        """
        with mutex(vcpu.mutex), vcpu_loaded(vcpu):
            if not vcpu.pv_time.active:
                return -EINVAL
            self.host_set_guest_stopped(vcpu)
            vcpu.clock_update = True
        return 0

    @part_of("kvm_set_guest_paused")
    @host_only
    def host_set_guest_stopped(self, vcpu: KvmVcpu) -> None:
        """Request the flag PVCLOCK_GUEST_STOPPED.

        Linux: arch/x86/kvm/x86.c kvm_set_guest_paused(), v7.3.4.
        """
        vcpu.host_guest_stopped = True

    def kvm_vm_ioctl_set_clock(self, kvm: Kvm, nanoseconds: int) -> Errno:
        """Set the VM's clock, and request a clock update of every vCPU: KVM_SET_CLOCK.

        Linux: arch/x86/kvm/x86.c kvm_vm_ioctl_set_clock(), v7.3.4.
        Returns: 0.
        """
        kvm.host_kvmclock_offset = nanoseconds - self.host_clock
        for vcpu in kvm.vcpus:
            vcpu.clock_update = True
        return 0

    def get_kvmclock_ns(self, kvm: Kvm) -> int:
        """Advance the clock and return the VM's time: KVM_GET_CLOCK.

        Linux: arch/x86/kvm/x86.c get_kvmclock_ns(), get_kvmclock(), v7.3.4.
        """
        self.host_clock += 1
        return self.host_clock + kvm.host_kvmclock_offset
