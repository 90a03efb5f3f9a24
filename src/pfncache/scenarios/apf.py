# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of asynchronous page faults: KVM writes the token of a page that is ready by a gfn_to_hva_cache."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.linux.arch.x86.include.uapi.asm.kvm_para import (
    KVM_ASYNC_PF_DELIVERY_AS_INT,
    KVM_ASYNC_PF_ENABLED,
    MSR_KVM_ASYNC_PF_EN,
)
from pfncache.linux.include.trace.events.kvm import GUEST_WRITTEN
from pfncache.scenarios import users
from pfncache.scenarios.results import returns
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World, no_caches


def _report(w: World) -> Call:
    """Let the guest enable reports, and return the call that makes one."""
    w.vcpu.apic_enabled = True
    w.do(w.call("msr_io", w.vcpu, MSR_KVM_ASYNC_PF_EN, KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT))
    return Call(users.report_ready_page, (w.kernel, w.vcpu))


@scenario(caches=no_caches, log_dirty=True)
def dontneed(w: World) -> None:
    """A report is made while the page of the token is zapped, and faults in again."""
    w.reaches(GUEST_WRITTEN)
    w.actor("vcpu", returns(_report(w), 1))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(caches=no_caches, slots=2, log_dirty=True)
def slot_delete(w: World) -> None:
    """A report is made while the memslot of the token is deleted: its generation differs, and the lookup fails."""
    w.reaches(GUEST_WRITTEN)
    w.actor("vcpu", returns(_report(w), 1, 0))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


@scenario(caches=no_caches, slots=3, log_dirty=True)
def slot_move(w: World) -> None:
    """A report is made after the memslot of the token has been deleted and made again elsewhere in user space."""
    report = _report(w)
    w.do(
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0),
        w.call("vm_munmap", w.mm, w.hva),
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.other_hva, True),
    )
    w.reaches(GUEST_WRITTEN)
    w.actor("vcpu", returns(report, 1))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.other_hva))


@scenario(caches=no_caches, log_dirty=True)
def write_protected(w: World) -> None:
    """A report is made in memory that user space has made read-only: the token is read, but not written."""
    report = _report(w)
    w.cannot_reach("vcpu: report_ready_page() succeeded", "the token cannot be written")
    w.do(w.call("do_mprotect_pkey", w.mm, w.hva, False))
    w.actor("vcpu", returns(report, 0))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
