# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/async_pf.c: completion of asynchronous page faults."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class AsyncPf(KvmMm):
    """The functions of virt/kvm/async_pf.c."""

    def kvm_check_async_pf_completion(self, vcpu: KvmVcpu) -> None:
        """Report the pages that are ready, if the guest has acknowledged the previous report.

        Linux: virt/kvm/async_pf.c kvm_check_async_pf_completion(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        """
        if vcpu.apf.wakeup_all and self.kvm_arch_can_dequeue_async_page_present(vcpu):
            vcpu.apf.wakeup_all = False
            self.kvm_arch_async_page_present(vcpu)
