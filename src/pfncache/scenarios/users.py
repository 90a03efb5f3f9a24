# SPDX-License-Identifier: GPL-2.0-only
"""Actors' functions that call pfncache's own interface as its users in KVM do."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import File, GfnToPfnCache, Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gfn, Gpa
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Page
from pfncache.linux.include.linux.preempt import ThreadInfo
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.include.linux.types import Errno, Hva, Pgoff
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.linux.vmlinux import Vmlinux


def activate_cache(k: Vmlinux, kvm: Kvm, gpc: GfnToPfnCache, gpa: Gpa, length: int = 1) -> Errno:
    """Activate a cache."""
    with srcu_read_lock(kvm.srcu):
        return k.kvm_gpc_activate(gpc, gpa, length)


def activate_cache_by_hva(k: Vmlinux, kvm: Kvm, gpc: GfnToPfnCache, uhva: Hva, length: int = 1) -> Errno:
    """Activate a cache for a user address."""
    with srcu_read_lock(kvm.srcu):
        return k.kvm_gpc_activate_hva(gpc, uhva, length)


def deactivate_cache(k: Vmlinux, gpc: GfnToPfnCache) -> None:
    """Deactivate a cache."""
    k.kvm_gpc_deactivate(gpc)


def refresh_cache(k: Vmlinux, kvm: Kvm, gpc: GfnToPfnCache, length: int = 1) -> Errno:
    """Refresh a cache, valid or not."""
    with srcu_read_lock(kvm.srcu):
        return k.kvm_gpc_refresh(gpc, length)


def use_cache(k: Vmlinux, kvm: Kvm, gpc: GfnToPfnCache) -> None:
    """Access memory through a cache if it is valid; never refresh it."""
    with srcu_read_lock(kvm.srcu):
        gpc.lock.read_lock_irq()
        if k.kvm_gpc_check(gpc, 1):
            k.access_khva(gpc, True)
        gpc.lock.read_unlock_irq()


def serve_userfaults(k: Vmlinux, mm: MmStruct, address: Hva) -> None:
    """Allow writes to a page if a task waits for that, as the thread of a VMM does that polls its userfaultfd."""
    if k.userfaultfd_poll(mm.userfaultfd):
        k.userfaultfd_writeprotect(mm, address, False)


def free_driver_page(k: Vmlinux, mapping: AddressSpace, page: Page) -> None:
    """Take a page away from user space, and free it, as a driver does with what it has mapped by remap_pfn_range()."""
    k.unmap_mapping_range(mapping, 0, 1)
    k.put_page(page)


def timer_irq(k: Vmlinux, kvm: Kvm, vcpu: KvmVcpu, interrupted: ThreadInfo) -> None:
    """Fire a guest timer in a hard interrupt of the CPU that runs `interrupted`."""
    k.expire_timer(kvm, vcpu, interrupted)


def load_shadow_mmu(k: Vmlinux, kvm: Kvm) -> Errno:
    """Allocate what shadow paging needs, as a vCPU does that enters its first L2 guest."""
    with srcu_read_lock(kvm.srcu):
        return k.mmu_first_shadow_root_alloc(kvm)


def zap_range(k: Vmlinux, kvm: Kvm, start: Gfn, end: Gfn) -> bool:
    """Zap a range whose memory type changes; return whether its first page is to be faulted in again."""
    k.kvm_zap_gfn_range(kvm, start, end)
    return kvm.sptes[start].pfn < 0


def allocation_returns(k: Vmlinux, file: File, start: Pgoff, end: Pgoff, expected: Errno) -> bool:
    """Return whether fallocate() of pages of a guest_memfd returns what it is expected to."""
    return k.kvm_gmem_allocate(file, start, end) == expected


def send_signal(task: TaskStruct) -> None:
    """Send a signal to a task, as another task does by kill(): what it does that is interruptible ends."""
    task.signal_pending = True


def report_ready_page(k: Vmlinux, vcpu: KvmVcpu) -> bool:
    """Report to the guest that its pages are ready, as vcpu_run() does; return whether the token is written."""
    kvm = vcpu.kvm
    assert kvm is not None
    with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
        k.kvm_check_async_pf_completion(vcpu)
        return vcpu.apf.pageready_pending


def shadow_entry(k: Vmlinux, vcpu: KvmVcpu, table: Gpa) -> Errno:
    """Shadow an entry of a page table of L1, as a nested page fault of L2 does."""
    kvm = vcpu.kvm
    assert kvm is not None
    with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
        return k.page_fault(vcpu, table)


def sync_shadow(k: Vmlinux, vcpu: KvmVcpu) -> bool:
    """Enter L2 again, for which what L1 has changed is read; return whether the shadow is left."""
    kvm = vcpu.kvm
    assert kvm is not None
    with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
        k.kvm_mmu_sync_roots(vcpu)
        return vcpu.shadow.gpa != INVALID_GPA


def change_table(k: Vmlinux, vcpu: KvmVcpu, table: Gpa) -> None:
    """Write to a page table of L1, as another vCPU does, which faults if it is shadowed."""
    kvm = vcpu.kvm
    assert kvm is not None
    with write_lock(kvm.mmu_lock):
        k.mmu_try_to_unsync_pages(vcpu, k.gpa_to_gfn(table))
