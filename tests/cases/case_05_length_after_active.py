# SPDX-License-Identifier: GPL-2.0-only
"""Case 05: a cache becomes active although its structure crosses a page; the next refresh has no address.

Known from: 5c9ca4ed8908 ("KVM: Check validity of offset+length of gfn_to_pfn_cache prior to activation") in v6.9,
found by syzkaller.
Right verdict: violated, warn-on, which is new: mainline holds where the cache is used only if it is active. (Mainline
has a WARN of its own, in xen/never-activated.)
"""

from __future__ import annotations

from pfncache import World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.virt.kvm.pfncache import Pfncache


class LengthAfterActive(Patch, Pfncache):
    """Revert "KVM: Check validity of offset+length of gfn_to_pfn_cache prior to activation"."""

    def _kvm_gpc_activate(self, gpc: GfnToPfnCache, gpa: Gpa, uhva: Hva, length: int) -> Errno:
        """Make the cache active first; then look at the length."""
        with mutex(gpc.refresh_lock):
            if not gpc.active:
                self.list_and_activate(gpc)
            if not self.kvm_gpc_is_valid_len(gpa, uhva, length):
                return -EINVAL
            return self._kvm_gpc_refresh(gpc, gpa, uhva)


def vcpu_info(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    """Return the cache that the scenario uses."""
    return (vcpu.xen.vcpu_info_cache,)


@scenario(caches=vcpu_info)
def crosses_a_page(w: World) -> None:
    """A vcpu_info that crosses a page is set, and then read."""
    w.cannot_reach("vcpu: set_vcpu_info() succeeded", "the structure crosses a page")
    w.cannot_reach("a cache was used", "the cache is not active")
    w.kernel.VCPU_INFO_SIZE = 2
    w.actor("vcpu", w.call("set_vcpu_info", w.vcpu, w.gpa + 1), w.call("kvm_xen_has_interrupt", w.vcpu))


active_before_length = mainline_7_3 + [LengthAfterActive]
