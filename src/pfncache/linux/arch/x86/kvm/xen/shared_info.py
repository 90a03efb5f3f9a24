# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: shared_info, a page that a Xen guest shares with its hypervisor."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class XenSharedInfo(KvmMm):
    """The functions of arch/x86/kvm/xen.c for shared_info."""

    def kvm_xen_shared_info_init(self, kvm: Kvm) -> Errno:
        """Write the wall clock into shared_info.

        Linux: arch/x86/kvm/xen.c kvm_xen_shared_info_init(), v7.3.4.
        Locks: xen_lock.
        Returns: 0, or the error of the refresh.
        Simplified: one write instead of the version's protocol.
        """
        gpc = kvm.xen.shinfo_cache
        with srcu_read_lock(kvm.srcu):
            gpc.lock.read_lock_irq()
            while not self.kvm_gpc_check(gpc, self.PAGE_SIZE):
                gpc.lock.read_unlock_irq()
                ret = self.kvm_gpc_refresh(gpc, self.PAGE_SIZE)
                if ret != 0:
                    return ret
                gpc.lock.read_lock_irq()
            self.write_shared_wall_clock(kvm, gpc)
            gpc.lock.read_unlock_irq()
        return 0

    @part_of("kvm_xen_shared_info_init")
    @atomic
    def write_shared_wall_clock(self, kvm: Kvm, gpc: GfnToPfnCache) -> None:
        """Write the wall clock, in one step.

        Linux: arch/x86/kvm/xen.c kvm_xen_shared_info_init(), v7.3.4.
        Locks: gpc.lock for reading.
        """
        self.access_khva(gpc, True)
        self.host_wall_clock(kvm, gpc)

    @part_of("kvm_xen_shared_info_init")
    @host_only
    def host_wall_clock(self, kvm: Kvm, gpc: GfnToPfnCache) -> None:
        """Write the bytes of the wall clock; the layer for direct execution has the layouts.

        Linux: arch/x86/kvm/xen.c kvm_xen_shared_info_init(), v7.3.4.
        """

    def kvm_xen_destroy_vm(self, kvm: Kvm) -> None:
        """Deactivate the cache of a VM that is destroyed.

        Linux: arch/x86/kvm/xen.c kvm_xen_destroy_vm(), v7.3.4.
        """
        self.kvm_gpc_deactivate(kvm.xen.shinfo_cache)
