# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of user page tables that several change at a time, with a user of the cache among them."""

from __future__ import annotations

from pfncache.check.system import System
from pfncache.scenarios.scenario import Kernel
from pfncache.scenarios.world import Memory, World


def _clock_without_page(kernel: Kernel, memory: Memory) -> World:
    """The clock is on, and its page has gone."""
    w = World(kernel, memory, pages=4).clock_on()
    w.do(w.call("madvise_dontneed", w.mm, w.hva))
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    return w


def two_faults(kernel: Kernel) -> System:
    """A refresh and the process fault one anonymous page in."""
    w = _clock_without_page(kernel, Memory.ANON)
    return w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva)).system()


def two_faults_of_a_file(kernel: Kernel) -> System:
    """The same for a page of a memfd."""
    w = _clock_without_page(kernel, Memory.MEMFD)
    return w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva)).system()


def fault_and_unmap(kernel: Kernel) -> System:
    """A refresh faults a page in while the process unmaps it, and steal time is written there."""
    w = _clock_without_page(kernel, Memory.ANON)
    w.vcpu.st.cache.gpa = w.gpa
    w.actor("steal", w.call("run_steal_time_update", w.vcpu))
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.hva)).system()


def fault_and_map(kernel: Kernel) -> System:
    """A refresh faults a page in while the process maps other memory there, and touches it."""
    w = _clock_without_page(kernel, Memory.MEMFD)
    w.actor("mmap", w.call("vm_mmap_pgoff", w.mm, w.hva, None, 0))
    return w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva)).system()


def fault_and_mprotect(kernel: Kernel) -> System:
    """A refresh faults a page in while the process takes the permission to write away, and touches it."""
    w = _clock_without_page(kernel, Memory.ANON)
    w.actor("mprotect", w.call("do_mprotect_pkey", w.mm, w.hva, False))
    return w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva)).system()


def two_advices(kernel: Kernel) -> System:
    """A thread gives a page back while another unmaps it and a refresh faults it in."""
    w = _clock_without_page(kernel, Memory.ANON)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
    return w.actor("munmap", w.call("vm_munmap", w.mm, w.hva)).system()
