# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/msrs.c, x86.c, virt/kvm/async_pf.c: guests are told that pages are ready; for direct execution."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

KVM_ASYNC_PF_WANTED = 1 | 8
"""KVM_ASYNC_PF_ENABLED, KVM_ASYNC_PF_DELIVERY_AS_INT."""
KVM_ASYNC_PF_RESERVED = 0x30
APF_TOKEN = 4
"""offsetof(struct kvm_vcpu_pv_apf_data, token)."""
TOKEN_SIZE = 4
WAKEUP_ALL = b"\xff" * TOKEN_SIZE
"""The token for every page."""


class AsyncPf(KvmMm):
    """Asynchronous page faults, as far as KVM tells a guest of them: by a gfn_to_hva_cache."""

    def kvm_pv_enable_async_pf(self, vcpu: KvmVcpu, data: int) -> int:
        """The guest says where it wants to be told, and is to be told first that every page is ready.

        Linux: arch/x86/kvm/msrs.c kvm_pv_enable_async_pf(), virt/kvm/async_pf.c kvm_async_pf_wakeup_all(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Returns: 0; 1 where the write is refused: reserved bits, no APIC of KVM's, no memslot.
        Simplified: an APIC of KVM's is enabled.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if data & KVM_ASYNC_PF_RESERVED:
            return 1
        if not vcpu.apic_enabled:
            return 1 if data != 0 else 0
        enable = data & KVM_ASYNC_PF_WANTED == KVM_ASYNC_PF_WANTED
        if enable and self.kvm_gfn_to_hva_cache_init(kvm, vcpu.apf.data, data & ~0x3F) != 0:
            return 1
        vcpu.apf.enabled = enable
        vcpu.apf.wakeup_all = enable
        return 0

    def kvm_check_async_pf_completion(self, vcpu: KvmVcpu) -> None:
        """Tell the guest of what is ready, if it has taken note of what it was told before.

        Linux: virt/kvm/async_pf.c kvm_check_async_pf_completion(), arch/x86/kvm/x86.c kvm_arch_async_page_present(),
        v7.3.4.
        Locks: vcpu.mutex, SRCU.
        """
        if vcpu.apf.wakeup_all and self.kvm_arch_can_dequeue_async_page_present(vcpu):
            vcpu.apf.wakeup_all = False
            if vcpu.apf.enabled and self.apf_put_user_ready(vcpu, WAKEUP_ALL) == 0:
                vcpu.apf.pageready_pending = True

    def kvm_arch_can_dequeue_async_page_present(self, vcpu: KvmVcpu) -> bool:
        """Whether the guest can be told now.

        Linux: arch/x86/kvm/x86.c kvm_arch_can_dequeue_async_page_present(), v7.3.4.
        """
        return not vcpu.apf.enabled or (vcpu.apic_enabled and self.apf_pageready_slot_free(vcpu))

    def apf_pageready_slot_free(self, vcpu: KvmVcpu) -> bool:
        """Whether the token is zero; not where it cannot be read.

        Linux: arch/x86/kvm/x86.c apf_pageready_slot_free(), v7.3.4.
        Locks: SRCU.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        if self.kvm_read_guest_cached(kvm, vcpu.apf.data, TOKEN_SIZE) != 0:
            return False
        return self.host_get(vcpu.apf.data.hva + APF_TOKEN, TOKEN_SIZE) == bytes(TOKEN_SIZE)

    def apf_put_user_ready(self, vcpu: KvmVcpu, token: bytes) -> Errno:
        """Write the token.

        Linux: arch/x86/kvm/x86.c apf_put_user_ready(), v7.3.4.
        Locks: SRCU.
        Returns: 0 or -EFAULT.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        return self.kvm_write_guest_cached(kvm, vcpu.apf.data, token, APF_TOKEN)
