# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of user page tables that several tasks change at a time, a refresh of the cache among them."""

from __future__ import annotations

from pfncache.linux.include.uapi.linux.falloc import FALLOC_FL_KEEP_SIZE
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


def _clock_without_page(w: World) -> None:
    """Enable the clock and zap its page; add a vCPU that updates it."""
    w.clock_on()
    w.do(w.call("madvise_dontneed", w.mm, w.hva))
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))


@scenario(pages=4)
def two_faults(w: World) -> None:
    """A refresh and the process fault in one anonymous page."""
    _clock_without_page(w)
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(memory=MemoryKind.MEMFD, pages=4)
def two_faults_of_a_file(w: World) -> None:
    """A refresh and the process fault in one page of a memfd."""
    _clock_without_page(w)
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(pages=4)
def fault_and_unmap(w: World) -> None:
    """A refresh faults in a page while the process unmaps it, and steal time is written there."""
    _clock_without_page(w)
    w.steal_time_on()
    w.actor("steal", w.call("run_steal_time_update", w.vcpu))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(memory=MemoryKind.MEMFD, pages=4)
def fault_and_map(w: World) -> None:
    """A refresh faults in a page while the process maps other memory there, and touches it."""
    _clock_without_page(w)
    w.actor("mmap", w.call("vm_mmap_pgoff", w.mm, w.hva, None, 0))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(pages=4)
def fault_and_mprotect(w: World) -> None:
    """A refresh faults in a page while the process makes it read-only, and touches it."""
    _clock_without_page(w)
    w.actor("mprotect", w.call("do_mprotect_pkey", w.mm, w.hva, False))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(pages=4)
def two_advices(w: World) -> None:
    """A thread zaps a page while another unmaps it and a refresh faults it in."""
    _clock_without_page(w)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario
def migrate_and_fault(w: World) -> None:
    """The page of the clock is moved while the clock is updated and the process touches it."""
    w.clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("compaction", w.call("migrate_pages", w.mm, w.hva))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


# System calls beside each other


@scenario(pages=4)
def move_down_and_migrate(w: World) -> None:
    """The page is moved to another page frame while its mapping moves down: the walk goes up, and has to find it."""
    _move_down(w)
    w.actor("compaction", w.call("migrate_pages", w.mm, w.other_hva), process=False)


@scenario(memory=MemoryKind.MEMFD, pages=4)
def move_down_and_migrate_file(w: World) -> None:
    """The page of a memfd is moved to another page frame while its mapping moves down."""
    _move_down(w)
    w.actor("compaction", w.call("migrate_file_page", w.memfd, 0), process=False)


@scenario(memory=MemoryKind.GMEM_MMAP)
def move_down_and_punch(w: World) -> None:
    """The page is punched out of its guest_memfd while its mapping moves down."""
    _move_down(w)
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(memory=MemoryKind.MEMFD)
def move_up_and_punch(w: World) -> None:
    """The page is punched out of its memfd while its mapping moves up, without the locks of the walk."""
    w.do(w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("mover", w.call("do_mremap", w.mm, w.hva, w.other_hva))
    w.actor("punch", w.zap())


def _move_down(w: World) -> None:
    """Move the page up before, and add a task that moves it down and accesses it."""
    w.do(w.call("do_mremap", w.mm, w.hva, w.other_hva), w.call("do_user_addr_fault", w.mm, w.other_hva))
    w.actor("mover", w.call("do_mremap", w.mm, w.other_hva, w.hva), w.call("user_access_retry", w.hva, True))


@scenario(pages=4)
def populate(w: World) -> None:
    """MADV_POPULATE_WRITE makes a page present while it is unmapped and another task touches it."""
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("populate", w.call("madvise_populate", w.mm, w.hva, True))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(memory=MemoryKind.GMEM_MMAP)
def remove(w: World) -> None:
    """MADV_REMOVE punches the page of a guest_memfd whose descriptor is closed, and which is unmapped."""
    w.do(w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("remove", w.call("madvise_remove", w.mm, w.hva))
    w.actor("vmm", w.call("filp_close", w.gmem), w.call("vm_munmap", w.mm, w.hva))


@scenario(memory=MemoryKind.GMEM_MMAP)
def remove_and_touch(w: World) -> None:
    """MADV_REMOVE punches the page of a guest_memfd that user space touches."""
    w.actor("remove", w.call("madvise_remove", w.mm, w.hva))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(memory=MemoryKind.MEMFD, pages=4)
def allocate_and_remove(w: World) -> None:
    """The page of a memfd is allocated while MADV_REMOVE punches it, and user space touches it."""
    w.actor("allocate", w.call("shmem_fallocate", w.memfd, FALLOC_FL_KEEP_SIZE, 0, w.kernel.PAGE_SIZE))
    w.actor("remove", w.call("madvise_remove", w.mm, w.hva))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))
