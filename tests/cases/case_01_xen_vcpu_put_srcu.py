# SPDX-License-Identifier: GPL-2.0-only
"""Case 01: kvm_arch_vcpu_put() updates the Xen runstate outside the SRCU read section of its other branch.

Known from: 9c1a07442c95 ("KVM: x86/xen: Take srcu lock when accessing kvm_memslots()") in v5.12-rc8, which lockdep
found.
Right verdict: violated, srcu-unprotected.
"""

from __future__ import annotations

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock


class XenPutWithoutSrcu(Patch, X86):
    """Revert "KVM: x86/xen: Take srcu lock when accessing kvm_memslots()"."""

    def kvm_arch_vcpu_put(self, vcpu: KvmVcpu) -> None:
        """Enter a section in the branch for steal time alone."""
        kvm = vcpu.kvm
        assert kvm is not None
        if kvm.xen.hvm_config:
            self.kvm_xen_runstate_set_preempted(vcpu)
        else:
            with srcu_read_lock(kvm.srcu):
                self.kvm_steal_time_set_preempted(vcpu)


xen_put = mainline_7_3 + [XenPutWithoutSrcu]
