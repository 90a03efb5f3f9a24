# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: SCHEDOP_poll, by which a vCPU sleeps until an event that it has masked is pending."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu, KvmVcpuXen
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.spinlock import read_lock_irq
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

ANY_PORT = -1
"""poll_evtchn of a vCPU that polls for more than one event."""


class XenPoll(KvmMm):
    """The functions of arch/x86/kvm/xen.c for vCPUs that poll."""

    def max_evtchn_port(self, kvm: Kvm) -> int:
        """Return the number of event channels of a guest.

        Linux: arch/x86/kvm/xen.c max_evtchn_port(), v7.3.4.
        """
        return 4096 if kvm.xen.long_mode else 1024

    def kvm_xen_check_poller(self, vcpu: KvmVcpu, port: int) -> None:
        """Wake a vCPU that polls for the event that is pending now, or for one of several.

        Linux: arch/x86/kvm/xen.c kvm_xen_check_poller(), v7.3.4.
        Locks: any context; shared_info's gpc.lock for reading, SRCU.
        """
        poll_evtchn = self.poll_evtchn_of(vcpu.xen)
        polls = poll_evtchn == port or poll_evtchn == ANY_PORT  # noqa: PLR1714 - the language has no `in`
        if polls and self.test_and_clear_poll_mask(vcpu):
            vcpu.unblock = True
            self.kvm_vcpu_kick(vcpu)

    @part_of_caller
    def poll_evtchn_of(self, xen: KvmVcpuXen) -> int:
        """Return poll_evtchn: the port that the vCPU polls for, or ANY_PORT. In the checker, the guest has one event.

        Linux: arch/x86/kvm/xen.c kvm_xen_check_poller(), v7.3.4.
        """
        return ANY_PORT

    @part_of("kvm_xen_check_poller")
    @atomic
    def test_and_clear_poll_mask(self, vcpu: KvmVcpu) -> bool:
        """Clear the vCPU's bit of poll_mask: test_and_clear_bit().

        Linux: arch/x86/kvm/xen.c kvm_xen_check_poller(), v7.3.4.
        Returns: whether it was set.
        """
        was: bool = vcpu.xen.poll_mask
        vcpu.xen.poll_mask = False
        return was

    def wait_pending_event(self, vcpu: KvmVcpu) -> bool:
        """Look for a pending event among those that a vCPU polls for.

        Linux: arch/x86/kvm/xen.c wait_pending_event(), v7.3.4.
        Locks: SRCU; takes it again.
        Returns: whether one is pending, or shared_info cannot be accessed.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        gpc = kvm.xen.shinfo_cache
        with srcu_read_lock(kvm.srcu), read_lock_irq(gpc.lock):
            if not self.kvm_gpc_check(gpc, self.PAGE_SIZE):
                return True
            return self.polled_event_is_pending(vcpu, gpc)

    @part_of("wait_pending_event")
    @atomic
    def polled_event_is_pending(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> bool:
        """Read the event's bit of shared_info.

        Linux: arch/x86/kvm/xen.c wait_pending_event(), v7.3.4.
        Locks: gpc.lock for reading.
        """
        self.access_khva(gpc, False)
        kvm = gpc.kvm
        assert kvm is not None
        return kvm.xen.evtchn_pending

    def kvm_xen_schedop_poll(self, vcpu: KvmVcpu, param: Gpa) -> Errno:
        """Sleep until an event is pending. The bit is set before the event is looked for: no wakeup is lost.

        The vCPU sleeps in the SRCU read section in which its exit is handled, other than in vcpu_block().

        Linux: arch/x86/kvm/xen.c kvm_xen_schedop_poll(), v7.3.4.
        Locks: vcpu.mutex, SRCU; sleeps.
        Returns: what the guest gets: 0, -EFAULT, -EINVAL.
        Simplified: addresses are already translated; kmalloc() does not fail. The timeout is that of poll_timer, in
        direct execution.
        """
        ret = self.read_sched_poll(vcpu, param)
        if ret == 0:
            vcpu.xen.poll_mask = True
            if not self.wait_pending_event(vcpu):
                self.halt_polling_vcpu(vcpu)
        vcpu.xen.poll_mask = False
        return ret

    @part_of("kvm_xen_schedop_poll")
    def halt_polling_vcpu(self, vcpu: KvmVcpu) -> None:
        """Sleep.

        Linux: arch/x86/kvm/xen.c kvm_xen_schedop_poll(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        """
        self.kvm_vcpu_halt(vcpu)

    @part_of("kvm_xen_schedop_poll")
    def read_sched_poll(self, vcpu: KvmVcpu, param: Gpa) -> Errno:
        """Read struct sched_poll at `param`, and the ports, which are behind it.

        Linux: arch/x86/kvm/xen.c kvm_xen_schedop_poll(), v7.3.4.
        Locks: SRCU; may sleep.
        Returns: 0 or -EFAULT; -EINVAL for too many ports, or one that does not exist, in direct execution.
        """
        if self.kvm_read_guest_virt(vcpu, param, 1) != 0:
            return -EFAULT
        return self.kvm_read_guest_virt(vcpu, param, 1)

    def cancel_evtchn_poll(self, vcpu: KvmVcpu) -> None:
        """Wake a vCPU whose poll has timed out.

        Linux: arch/x86/kvm/xen.c cancel_evtchn_poll(), v7.3.4.
        Locks: a timer's softirq.
        """
        vcpu.unblock = True
        self.kvm_vcpu_kick(vcpu)
