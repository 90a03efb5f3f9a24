# SPDX-License-Identifier: GPL-2.0-only
"""Case 37: the scheduler notes "preempted" with page faults enabled, under the runqueue's lock.

Known from: the class of 931f261b42f1 ("KVM: x86: fix NULL deref/scheduling while atomic: ... kvm_arch_vcpu_put()"),
2016-12.
Right verdict: violated, sleeping-in-atomic.
"""

from __future__ import annotations

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import KvmVcpu


class FaultsInSchedOut(Patch, X86):
    """KVM: x86: write "preempted" with page faults enabled."""

    def kvm_steal_time_set_preempted(self, vcpu: KvmVcpu) -> None:
        """Write without pagefault_disable()."""
        kvm = vcpu.kvm
        assert kvm is not None
        ghc = vcpu.st.cache
        if self.kvm_memslots(kvm).generation != ghc.generation or ghc.memslot is None:
            return
        if not self.kvm_is_error_hva(ghc.hva) and self.copy_to_user(ghc.hva + self.STEAL_PREEMPTED, b"\1"):
            self.mark_page_dirty_in_slot(kvm, ghc.memslot, self.gpa_to_gfn(ghc.gpa))


faults = mainline_7_3 + [FaultsInSchedOut]
