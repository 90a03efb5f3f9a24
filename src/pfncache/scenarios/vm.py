# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of the end of a VM."""

from __future__ import annotations

from pfncache.check.system import System
from pfncache.scenarios.scenario import Kernel
from pfncache.scenarios.world import World


def destroy_dontneed(kernel: Kernel) -> System:
    """The last reference on a VM goes while user space takes the memory of its clock away."""
    w = World(kernel).clock_on()
    w.actor("destroy", w.call("kvm_put_kvm", w.kvm))
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva)).system()


def destroy_exit(kernel: Kernel) -> System:
    """The last reference on a VM goes in another process while its own exits."""
    w = World(kernel).clock_on()
    w.actor("destroy", w.call("kvm_put_kvm", w.kvm), process=False)
    return w.actor("exit", w.call("exit_mmap", w.mm)).system()
