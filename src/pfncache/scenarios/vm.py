# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of the destruction of a VM."""

from __future__ import annotations

from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World


@scenario
def destroy_dontneed(w: World) -> None:
    """The last reference to a VM is dropped while user space zaps the memory of its clock."""
    w.clock_on()
    w.actor("destroy", w.call("kvm_put_kvm", w.kvm))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario
def destroy_exit(w: World) -> None:
    """The last reference to a VM is dropped in another process while the VM's process exits."""
    w.clock_on()
    w.actor("destroy", w.call("kvm_put_kvm", w.kvm), process=False)
    w.actor("exit", w.call("exit_mmap", w.mm))
