# SPDX-License-Identifier: GPL-2.0-only
"""Case 34: the host tests `preempted` and then clears it; a request for a TLB flush that comes in between is lost.

Known from: b043138246a4 ("x86/KVM: Make sure KVM_VCPU_FLUSH_TLB flag is not missed") in v5.6, CVE-2019-3016.
Right verdict: violated, lost-update. The contents of guest memory are no state of the model: the byte is a record of
the author's.
"""

from __future__ import annotations

from pfncache import World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.lang.atomic import atomic
from pfncache.lang.records import Record
from pfncache.lang.report import report
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.world import no_caches


class Steal(Record):
    """struct kvm_steal_time, and what the guest expects."""

    preempted: bool = True
    flush: bool
    expected: bool
    flushed: bool


class ClearAfterTest(Patch, Vmlinux):
    """Revert "x86/KVM: Make sure KVM_VCPU_FLUSH_TLB flag is not missed"."""

    def host_enter(self, st: Steal) -> None:
        """Do what record_steal_time() does."""
        if st.flush:
            st.flushed = True
        self.clear(st)
        self.look(st)

    @atomic
    def clear(self, st: Steal) -> None:
        """Write 0 to the one byte."""
        st.preempted = False
        st.flush = False

    @atomic
    def guest_flush(self, st: Steal) -> None:
        """Flush the TLB of another vCPU of the guest: if it is preempted, by a flag and without an IPI."""
        if st.preempted:
            st.flush = True
            st.expected = True

    @atomic
    def look(self, st: Steal) -> None:
        """Run the vCPU."""
        if st.expected and not st.flushed:
            report("lost-update", "the guest asked for a TLB flush that was never made")


@scenario(caches=no_caches)
def flush(w: World) -> None:
    """A flush is asked for while a vCPU is scheduled in."""
    st = Steal("st")
    w.actor("host", w.call("host_enter", st))
    w.actor("other vcpu", w.call("guest_flush", st))


clear_after_test = mainline_7_3 + [ClearAfterTest]
