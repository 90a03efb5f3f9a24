# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: the token of asynchronous page faults in guest memory."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

WAKEUP_ALL = b"\xff\xff\xff\xff"
"""The token that stands for every page."""
SHORT_WAKEUP_ALL = WAKEUP_ALL[:1]
"""The same in the checker's small pages."""


class X86AsyncPf(KvmMm):
    """The gfn_to_hva_cache by which KVM reports pages that are ready."""

    def kvm_arch_async_page_present(self, vcpu: KvmVcpu) -> None:
        """Write the token of the pages that are ready, if the guest has enabled it.

        Linux: arch/x86/kvm/x86.c kvm_arch_async_page_present(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        """
        if vcpu.apf.enabled and self.apf_put_user_ready(vcpu, self.wakeup_token()) == 0:
            vcpu.apf.pageready_pending = True

    def kvm_arch_can_dequeue_async_page_present(self, vcpu: KvmVcpu) -> bool:
        """Return whether the guest can take a report now.

        Linux: arch/x86/kvm/x86.c kvm_arch_can_dequeue_async_page_present(), v7.3.4.
        """
        return not vcpu.apf.enabled or (vcpu.apic_enabled and self.apf_pageready_slot_free(vcpu))

    def apf_pageready_slot_free(self, vcpu: KvmVcpu) -> bool:
        """Return whether the token is zero; False if it cannot be read.

        Linux: arch/x86/kvm/x86.c apf_pageready_slot_free(), v7.3.4.
        Locks: SRCU.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if self.kvm_read_guest_offset_cached(kvm, vcpu.apf.data, self.APF_TOKEN, self.APF_TOKEN_SIZE) != 0:
            return False
        return self.token_is_zero(vcpu)

    @part_of("apf_pageready_slot_free")
    def token_is_zero(self, vcpu: KvmVcpu) -> bool:
        """Return whether the guest has acknowledged the last report; in the checker, it has.

        Linux: arch/x86/kvm/x86.c apf_pageready_slot_free(), v7.3.4.
        """
        if self.host_execution:
            return self.host_get(vcpu.apf.data.hva + self.APF_TOKEN, self.APF_TOKEN_SIZE) == bytes(self.APF_TOKEN_SIZE)
        return True

    @part_of("kvm_arch_async_page_present")
    def wakeup_token(self) -> bytes:
        """Return the token that stands for every page.

        Linux: arch/x86/kvm/x86.c kvm_arch_async_page_present(), v7.3.4.
        """
        if self.host_execution:
            return WAKEUP_ALL
        return SHORT_WAKEUP_ALL

    def apf_put_user_ready(self, vcpu: KvmVcpu, token: bytes) -> Errno:
        """Write the token.

        Linux: arch/x86/kvm/x86.c apf_put_user_ready(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        return self.kvm_write_guest_offset_cached(kvm, vcpu.apf.data, token, self.APF_TOKEN)
