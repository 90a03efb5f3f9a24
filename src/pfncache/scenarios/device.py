# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of device memory: a page that stays when it is invalidated, or one of a driver, with a struct page."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.scenarios import users
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


def _protect(w: World) -> World:
    """Add a task that makes device memory read-only and writable again: the pfn is the same after the invalidations."""
    protect = (w.call("do_mprotect_pkey", w.mm, w.hva, writable) for writable in (False, True))
    return w.actor("mprotect", *protect)


@scenario(memory=MemoryKind.PFNMAP)
def clock_and_mprotect(w: World) -> None:
    """The clock in device memory is updated while mprotect() invalidates its cache and leaves the page where it is."""
    w.clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    _protect(w)


@scenario(memory=MemoryKind.PFNMAP)
def activate_and_mprotect(w: World) -> None:
    """A cache of device memory is activated while mprotect() invalidates it and leaves the page where it is."""
    gpc = w.vcpu.pv_time
    w.actor(
        "a",
        Call(users.activate_cache, (w.kernel, w.kvm, gpc, 0)),
        Call(users.use_cache, (w.kernel, w.kvm, gpc)),
    )
    _protect(w)


@scenario(memory=MemoryKind.PFNMAP)
def guest_and_mprotect(w: World) -> None:
    """The guest writes to device memory that becomes read-only, so that KVM emulates the write, and writable again."""
    write = w.call("run_guest_access", w.vcpu, 0, False)
    w.actor("guest", write, write)
    _protect(w)


def _free(w: World) -> Call:
    """Map a driver's page, which has a struct page, by remap_pfn_range(); return the call by which the driver frees it.

    KVM takes no reference on such a page, whether or not the driver counts references.
    """
    device = w.kernel.new_memfd("device", 1)
    page = w.kernel.alloc_page()
    assert page is not None
    w.do(w.call("vm_mmap_pgoff", w.mm, w.hva, device, 0), w.call("remap_pfn_range", w.mm, w.hva, page.pfn))
    return Call(users.free_driver_page, (w.kernel, device, page))


@scenario
def clock_and_free(w: World) -> None:
    """The clock in a driver's page is updated while the driver frees it, and user space gets it."""
    free = _free(w)
    w.clock_on()
    update = w.call("run_clock_update", w.vcpu)
    w.actor("vcpu", update, update)
    w.actor("driver", free, process=False)
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.actor("other", w.call("do_user_addr_fault", w.mm, w.other_hva))


@scenario
def activate_and_free(w: World) -> None:
    """A cache of a driver's page is activated, and then used, while the driver frees it."""
    free = _free(w)
    gpc = w.vcpu.pv_time
    w.actor(
        "a",
        Call(users.activate_cache, (w.kernel, w.kvm, gpc, 0)),
        Call(users.use_cache, (w.kernel, w.kvm, gpc)),
    )
    w.actor("driver", free, process=False)


@scenario
def clock_and_protected_free(w: World) -> None:
    """The clock in a driver's page, whose cache is invalid, is updated while the driver frees it."""
    free = _free(w)
    w.clock_on()
    w.do(*(w.call("do_mprotect_pkey", w.mm, w.hva, writable) for writable in (False, True)))
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("driver", free, process=False)


@scenario
def guest_and_free(w: World) -> None:
    """The guest writes to a driver's page while the driver frees it."""
    free = _free(w)
    write = w.call("run_guest_access", w.vcpu, 0, False)
    w.actor("guest", write, write)
    w.actor("driver", free, process=False)


@scenario
def map_and_free(w: World) -> None:
    """A driver maps its page, and frees it again, while the process touches other memory."""
    device = w.kernel.new_memfd("device", 1)
    page = w.kernel.alloc_page()
    assert page is not None
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.actor(
        "driver",
        w.call("vm_mmap_pgoff", w.mm, w.hva, device, 0),
        w.call("remap_pfn_range", w.mm, w.hva, page.pfn),
        Call(users.free_driver_page, (w.kernel, device, page)),
    )
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.other_hva))
