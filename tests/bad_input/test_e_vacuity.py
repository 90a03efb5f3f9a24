# SPDX-License-Identifier: GPL-2.0-only
"""Designs that refuse everything, and so violate nothing: each is called vacuous, or violates another property."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Patch
from pfncache.lang.atomic import atomic, block_until
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, Gpa
from pfncache.linux.include.linux.types import Errno, Hva, Pfn
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.virt.kvm.pfncache import Pfncache
from pfncache.scenarios import SCENARIOS
from pfncache.verify.session import SearchOptions, Session


class RefuseRefresh(Patch, Pfncache):
    """Never refresh a cache."""

    def kvm_gpc_refresh(self, gpc: GfnToPfnCache, length: int) -> Errno:
        """Fail."""
        return -EFAULT


class RefuseLookup(Patch, Pfncache):
    """Never find a page."""

    def lookup_pfn(self, gpc: GfnToPfnCache, hva: Hva) -> Pfn:
        """Fail."""
        return KVM_PFN_ERR_FAULT


class RefuseUse(Patch, Pfncache):
    """Never let a cache be used."""

    def kvm_gpc_check(self, gpc: GfnToPfnCache, length: int) -> bool:
        """Fail."""
        return False


class RefuseActivation(Patch, Pfncache):
    """Never activate a cache."""

    def kvm_gpc_activate(self, gpc: GfnToPfnCache, gpa: Gpa, length: int) -> Errno:
        """Fail."""
        return -EFAULT


class BlockInvalidation(Patch, Pfncache):
    """Never return from an invalidation."""

    def gfn_to_pfn_cache_invalidate_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Block."""
        self.wait_forever(kvm)

    @atomic
    def wait_forever(self, kvm: Kvm) -> None:
        """Wait for what never happens."""
        block_until(kvm.users_count < 0)


class NeverWrite(Patch, X86):
    """Never write the clock."""

    def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("patch", "scenario", "verdict", "reason"),
    [
        (RefuseRefresh, "clock/anon/dontneed", "vacuous", "a cache was never refreshed"),
        (RefuseRefresh, "xen/two-senders", "vacuous", "a cache was never refreshed"),
        (
            RefuseRefresh, "gpc/refresh-deactivate", "vacuous",
            "refresher: refresh_cache() never succeeded, a cache was never used, a cache was never refreshed",
        ),
        (RefuseLookup, "clock/anon/munmap", "vacuous", "the clock was never written, a cache was never used"),
        (RefuseUse, "gpc/activate-munmap", "vacuous", "a cache was never used"),
        (
            RefuseUse, "clock/anon/munmap", "violated",
            "setup loops forever after __kvm_gpc_refresh(), without an access that other actors can see",
        ),
        (
            RefuseActivation, "clock/anon/munmap", "vacuous",
            "the clock was never written, a cache was never used",
        ),
        (
            RefuseActivation, "gpc/activate-munmap", "vacuous",
            "a: activate_cache() never succeeded, a cache was never used, a cache was never refreshed",
        ),
        (
            BlockInvalidation, "clock/anon/munmap", "violated",
            "no actor can take a step: munmap in gfn_to_pfn_cache_invalidate_start()",
        ),
        (NeverWrite, "clock/anon/munmap", "vacuous", "the clock was never written, a cache was never used"),
    ],
)  # fmt: skip
def test_vacuous_designs(patch: type[Patch], scenario: str, verdict: str, reason: str) -> None:
    design = (mainline_7_3 + [patch]).named("empty", "")
    session = Session.plan([design], [SCENARIOS[scenario]], wanted=(), options=SearchOptions(processes=1))
    session.run()
    ((outcome,),) = (d.outcomes for d in session.outcomes)
    assert (outcome.verdict, outcome.reason) == (verdict, reason)
