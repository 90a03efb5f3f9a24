# SPDX-License-Identifier: GPL-2.0-only
"""Case 54: a vCPU sleeps in SCHEDOP_poll until a masked event is pending (wait_pending_event()).

Known from: kvm_xen_schedop_poll(), kvm_xen_check_poller() in arch/x86/kvm/xen.c of v7.3.4.
Right verdict: the wakeup is never lost; if the vCPU looked first and set its bit in poll_mask then, it would be
(deadlock). That a memslot update waits for the event is of 7.3.4 itself: docs/findings/xen-poll-in-srcu.md.
"""

from __future__ import annotations

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.arch.x86.kvm.xen.poll import XenPoll
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.types import Errno


class LookFirst(Patch, XenPoll):
    """KVM: x86/xen: look, then set the bit."""

    def kvm_xen_schedop_poll(self, vcpu: KvmVcpu, param: Gpa) -> Errno:
        """Look first."""
        ret = self.read_sched_poll(vcpu, param)
        if ret == 0 and not self.wait_pending_event(vcpu):
            vcpu.xen.poll_mask = True
            self.halt_polling_vcpu(vcpu)
        vcpu.xen.poll_mask = False
        return ret


poll_looks_first = mainline_7_3 + [LookFirst]
