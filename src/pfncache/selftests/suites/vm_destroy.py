# SPDX-License-Identifier: GPL-2.0-only
"""A VM is destroyed while its process lives on: kvm_destroy_vm() unsubscribes from MMU notifications before it stops
Xen timers, and user space may unmap the page of shared_info in between (docs/findings/vm-destroy-window.md).
"""

from __future__ import annotations

import time
from functools import partial

from pfncache.designs.design import Design
from pfncache.designs.fixes import InvalidateCachesOnRelease, StopXenTimers
from pfncache.linux.include.uapi import (
    KVM_XEN_ATTR_TYPE_SHARED_INFO,
    KVM_XEN_INVALID_GFN,
    KVM_XEN_VCPU_ATTR_TYPE_TIMER,
    PAGE_SIZE,
    XEN_LONG_MODE,
)
from pfncache.machines.machine import Machine
from pfncache.machines.resource import UNREGISTER
from pfncache.selftests.selftest import SelftestSkipped, Suite, check, delayed, disposable
from pfncache.selftests.suites.testbed import ANON, SECOND, Testbed
from pfncache.selftests.suites.widened import dontneed, late, nothing
from pfncache.selftests.suites.xen import PORT, XEN, Take, guest, is_pending, share

SUITE = Suite("vm-destroy")
TIMER_SECONDS = 0.12
"""From the start of close() to the expiry of the timer, on a machine whose tasks stop until they are released."""
AFTER_SECONDS = 0.01
"""From the expiry until its interrupt has certainly run."""
ATTEMPTS = 6
"""VMs that are closed until one's timer expires inside of the delay."""
TIMER_SHARE = 0.6
"""The same, as a share of a close() that is delayed: most of it is the delay, at its end."""


def _unmap(bed: Testbed, hva: int) -> None:
    bed.machine.munmap(hva, PAGE_SIZE)


def _timer_seconds(machine: Machine) -> float:
    """From the start of close() to the expiry, inside of the delay: a kernel's is measured with another VM."""
    if not machine.capabilities.parallel:
        return TIMER_SECONDS
    bed = guest(ANON, machine)

    def timed() -> float:
        started = time.monotonic()
        bed.vm.close()
        return time.monotonic() - started

    return TIMER_SHARE * machine.delayed(timed, UNREGISTER).result()


def _destroyed(take: Take, timer: bool, deactivate: bool, machine: Machine) -> bool:
    """Close VMs until the window is hit in one. Returns whether the event is pending in a page that has stayed."""
    for _ in range(ATTEMPTS):
        found = _attempt(take, timer, deactivate, machine)
        if found is not None:
            return found
    raise SelftestSkipped(f"the timer of none of {ATTEMPTS} VMs expired inside of the delay: the machine is too busy")


def _attempt(take: Take, timer: bool, deactivate: bool, machine: Machine) -> bool | None:
    """The last descriptor of a VM is closed; when it has unsubscribed, the page goes, and the timer expires.

    Returns whether the event is pending in a page that has stayed; None if the window was missed.
    """
    seconds = _timer_seconds(machine)
    bed = guest(ANON, machine)
    hva = share(bed)
    old = machine.pin(hva)
    bed.vm.set_clock(SECOND)
    if deactivate:
        bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO, KVM_XEN_INVALID_GFN)
    began: list[float] = []

    def close() -> None:
        began.append(time.monotonic())
        if timer:
            expires = bed.vm.get_clock() + int(seconds * SECOND)
            bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_TIMER, PORT, expires)
        bed.vm.close()

    task = late(machine, close, UNREGISTER)
    take(bed, hva)
    early = old.read(XEN_LONG_MODE.pending, 512) != bytes(512)
    machine.sleep(max(0.0, began[0] + seconds - time.monotonic()) + AFTER_SECONDS)
    inside = task.blocked(0)
    task.release()
    task.result()
    if early or not inside:
        return None
    if take is nothing:
        return is_pending(bed, hva)
    untouched = old.read(XEN_LONG_MODE.pending, 512) == bytes(512)
    check(untouched, "KVM has written to a page that is no longer the guest's")
    return False


def _lacks(design: Design) -> str:
    fixed = any(issubclass(patch, InvalidateCachesOnRelease | StopXenTimers) for patch in design.patches)
    return "" if fixed else "kvm_destroy_vm() unsubscribes before it stops Xen timers"


for _name, _take, _timer, _deactivate in (
    ("dontneed", dontneed, True, False),
    ("munmap", _unmap, True, False),
    ("no-timer", dontneed, False, False),
    ("deactivated", dontneed, True, True),
    ("nothing", nothing, True, False),
):
    _stale = _timer and not _deactivate and _take is not nothing
    SUITE.add(
        _name, f"a VM is destroyed, its timer expires, shared_info's page goes before ({_name})", "stale-translation",
        partial(_destroyed, _take, _timer, _deactivate), needs=(*XEN, delayed, disposable), seconds=40.0,
        lacks=_lacks if _stale else lambda design: "",
        opt_in="it writes to a page that its process has unmapped" if _stale else "",
    )  # fmt: skip
