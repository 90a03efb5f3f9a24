# SPDX-License-Identifier: GPL-2.0-only
"""Case 54: a vCPU sleeps in SCHEDOP_poll until a masked event is pending (wait_pending_event()).

Known from: kvm_xen_schedop_poll(), kvm_xen_check_poller() in arch/x86/kvm/xen.c of v7.3.4.
Right verdict: the wakeup is never lost; if the vCPU looked first and set its bit in poll_mask then, it would be
(deadlock). The hypercall sleeps in the SRCU read section of vcpu_run(), other than vcpu_block(), which leaves it. A
VMM that updates a memslot before it sends the event waits forever: deadlock, in 7.3.4 as well; it holds if the
section is left.
"""

from __future__ import annotations

from pfncache import World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.lang.atomic import atomic, block_until
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu, KvmVcpuXen
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import ENOTCONN
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import read_lock_irq
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux


class PollingVcpuXen(KvmVcpuXen, extends=True):
    """struct kvm_vcpu_xen, with the vCPU's bit of poll_mask, KVM_REQ_UNBLOCK, and the event's bit in shared_info."""

    poll_mask: bool
    unblock: bool
    event_pending: bool


class Poll(Patch, Vmlinux):
    """KVM: x86/xen: SCHEDOP_poll, as in 7.3.4."""

    structs = (PollingVcpuXen,)

    @atomic
    def set_evtchn_pending(self, gpc: GfnToPfnCache) -> Errno:
        """Set the event's bit in shared_info; the guest has masked it."""
        self.access_khva(gpc, True)
        kvm = gpc.kvm
        assert kvm is not None
        for vcpu in kvm.vcpus:
            xen = vcpu.xen
            assert isinstance(xen, PollingVcpuXen)
            xen.event_pending = True
        return -ENOTCONN

    def kvm_xen_set_evtchn_fast(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Check the poller of a masked event; in C with gpc->lock held."""
        rc = super().kvm_xen_set_evtchn_fast(kvm, vcpu)
        if rc == -ENOTCONN:
            self.kvm_xen_check_poller(vcpu)
        return rc

    def kvm_xen_check_poller(self, vcpu: KvmVcpu) -> None:
        """Wake the vCPU if it polls."""
        xen = vcpu.xen
        assert isinstance(xen, PollingVcpuXen)
        if self.test_and_clear_poll_mask(xen):
            xen.unblock = True
            self.kvm_vcpu_kick(vcpu)

    @atomic
    def test_and_clear_poll_mask(self, xen: PollingVcpuXen) -> bool:
        """Clear the vCPU's bit; return whether it was set."""
        found: bool = xen.poll_mask
        xen.poll_mask = False
        return found

    def wait_pending_event(self, vcpu: KvmVcpu) -> bool:
        """Return whether the event is pending, or shared_info cannot be accessed."""
        kvm = vcpu.kvm
        assert kvm is not None
        xen = vcpu.xen
        assert isinstance(xen, PollingVcpuXen)
        gpc = kvm.xen.shinfo_cache
        with srcu_read_lock(kvm.srcu), read_lock_irq(gpc.lock):
            if not self.kvm_gpc_check(gpc, self.PAGE_SIZE):
                return True
            self.access_khva(gpc, False)
            return xen.event_pending

    def kvm_xen_schedop_poll(self, vcpu: KvmVcpu) -> bool:
        """Poll: a hypercall, in the SRCU section of vcpu_run()."""
        kvm = vcpu.kvm
        assert kvm is not None
        xen = vcpu.xen
        assert isinstance(xen, PollingVcpuXen)
        with mutex(vcpu.mutex), srcu_read_lock(kvm.srcu):
            if not self.set_bit_and_look(vcpu):
                self.halt(vcpu)
            xen.poll_mask = False
        return True

    def set_bit_and_look(self, vcpu: KvmVcpu) -> bool:
        """Set the bit, then look whether the event is pending."""
        xen = vcpu.xen
        assert isinstance(xen, PollingVcpuXen)
        xen.poll_mask = True
        return self.wait_pending_event(vcpu)

    def halt(self, vcpu: KvmVcpu) -> None:
        """Sleep in kvm_vcpu_halt(), without a timeout."""
        self.sleep(vcpu)

    @atomic
    def sleep(self, vcpu: KvmVcpu) -> None:
        """Sleep until KVM_REQ_UNBLOCK."""
        might_sleep()
        xen = vcpu.xen
        assert isinstance(xen, PollingVcpuXen)
        block_until(xen.unblock)


class LookFirst(Poll):
    """KVM: x86/xen: look, then set the bit."""

    def set_bit_and_look(self, vcpu: KvmVcpu) -> bool:
        """Look first."""
        xen = vcpu.xen
        assert isinstance(xen, PollingVcpuXen)
        pending = self.wait_pending_event(vcpu)
        xen.poll_mask = True
        return pending


class LeaveSection(Poll):
    """KVM: x86/xen: leave the SRCU section while a vCPU polls."""

    def kvm_xen_schedop_poll(self, vcpu: KvmVcpu) -> bool:
        """Sleep outside of the section, as vcpu_block() does."""
        kvm = vcpu.kvm
        assert kvm is not None
        xen = vcpu.xen
        assert isinstance(xen, PollingVcpuXen)
        with mutex(vcpu.mutex):
            with srcu_read_lock(kvm.srcu):
                pending = self.set_bit_and_look(vcpu)
            if not pending:
                self.halt(vcpu)
            xen.poll_mask = False
        return True


def shared_info(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    """Return the cache of shared_info."""
    assert vcpu.kvm is not None
    return (vcpu.kvm.xen.shinfo_cache,)


def _poll(w: World) -> World:
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.do(w.call("set_shared_info", w.kvm, w.gpa, w.other_hva, True))
    return w.actor("vcpu", w.call("kvm_xen_schedop_poll", w.vcpu))


@scenario(caches=shared_info)
def poll_and_send(w: World) -> None:
    """A vCPU polls for an event that is sent."""
    w.cannot_reach("sender: kvm_xen_set_evtchn() succeeded", "a masked event is not delivered")
    _poll(w)
    w.actor("sender", w.call("kvm_xen_set_evtchn", w.kvm, w.vcpu))


@scenario(caches=shared_info, slots=2)
def poll_and_update(w: World) -> None:
    """A vCPU polls for an event that the VMM sends after it has deleted a memslot."""
    w.cannot_reach("vmm: kvm_xen_set_evtchn() succeeded", "a masked event is not delivered")
    _poll(w)
    w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("kvm_xen_set_evtchn", w.kvm, w.vcpu),
    )


poll = mainline_7_3 + [Poll]
poll_looks_first = mainline_7_3 + [LookFirst]
poll_leaves_section = mainline_7_3 + [LeaveSection]
