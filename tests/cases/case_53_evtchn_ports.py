# SPDX-License-Identifier: GPL-2.0-only
"""Case 53: an event channel of the guest is deassigned while the guest sends an event through it.

Known from: kvm_xen_eventfd_deassign() and kvm_xen_hcall_evtchn_send() in arch/x86/kvm/xen.c of v7.3.4: the idr is
looked up under RCU, what is found there is protected by kvm->srcu.
Right verdict: holds, beside a memslot update as well, the other synchroniser of kvm->srcu. Without the wait:
violated, use-after-free.
"""

from __future__ import annotations

from pfncache import World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.lang.records import Record
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu, KvmXen
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import ENOENT, ENOMEM
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.kernel.rcu.tree import rcu_read_lock
from pfncache.linux.mm.slub import kfree, kzalloc
from pfncache.linux.vmlinux import Vmlinux


class EvtchnFd(Record, slab=True):
    """struct evtchnfd."""

    vcpu_idx: bool
    """deliver.port.vcpu_idx is cached."""


class XenWithPorts(KvmXen, extends=True):
    """struct kvm_xen, with the one entry of its idr evtchn_ports."""

    evtchn_port: EvtchnFd | None


class EvtchnPorts(Patch, Vmlinux):
    """KVM: x86/xen: event channels of the guest, as in 7.3.4."""

    structs = (XenWithPorts,)

    def kvm_xen_eventfd_assign(self, kvm: Kvm, pool: tuple[EvtchnFd, ...]) -> Errno:
        """Add the port."""
        xen = kvm.xen
        assert isinstance(xen, XenWithPorts)
        evtchnfd = kzalloc(pool)
        if evtchnfd is None:
            return -ENOMEM
        with mutex(xen.xen_lock):
            xen.evtchn_port = evtchnfd
        return 0

    def kvm_xen_eventfd_deassign(self, kvm: Kvm) -> Errno:
        """Remove the port, wait for those that have looked it up, free it."""
        xen = kvm.xen
        assert isinstance(xen, XenWithPorts)
        with mutex(xen.xen_lock):
            evtchnfd = xen.evtchn_port
            xen.evtchn_port = None
        if evtchnfd is None:
            return -ENOENT
        self.wait_for_senders(kvm)
        kfree(evtchnfd)
        return 0

    def wait_for_senders(self, kvm: Kvm) -> None:
        """Wait for every reader of kvm->srcu."""
        kvm.srcu.synchronize()

    def kvm_xen_hcall_evtchn_send(self, vcpu: KvmVcpu) -> bool:
        """Look the port up and send the event: a hypercall, in the SRCU section of vcpu_run()."""
        kvm = vcpu.kvm
        assert kvm is not None
        xen = kvm.xen
        assert isinstance(xen, XenWithPorts)
        with mutex(vcpu.mutex), srcu_read_lock(kvm.srcu):
            with rcu_read_lock(self.rcu):
                evtchnfd = xen.evtchn_port
            if evtchnfd is None:
                return False
            evtchnfd.vcpu_idx = True
            self.kvm_xen_set_evtchn(kvm, vcpu)
            return evtchnfd.vcpu_idx


class NoWait(EvtchnPorts):
    """KVM: x86/xen: free an event channel at once."""

    def wait_for_senders(self, kvm: Kvm) -> None:
        """Do not wait."""


def shared_info(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    """Return the cache of shared_info."""
    assert vcpu.kvm is not None
    return (vcpu.kvm.xen.shinfo_cache,)


def _assign(w: World) -> World:
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.do(w.call("set_shared_info", w.kvm, w.gpa, w.other_hva, True))
    w.do(w.call("kvm_xen_eventfd_assign", w.kvm, (EvtchnFd("evtchnfd"),)))
    w.actor("vcpu", w.call("kvm_xen_hcall_evtchn_send", w.vcpu))
    return w.actor("deassign", w.call("kvm_xen_eventfd_deassign", w.kvm))


@scenario(caches=shared_info)
def deassign(w: World) -> None:
    """An event is sent while its port is deassigned."""
    _assign(w)


@scenario(caches=shared_info, slots=2)
def deassign_and_delete(w: World) -> None:
    """An event is sent while its port is deassigned and the memslot deleted."""
    _assign(w)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


ports = mainline_7_3 + [EvtchnPorts]
ports_without_wait = mainline_7_3 + [NoWait]
