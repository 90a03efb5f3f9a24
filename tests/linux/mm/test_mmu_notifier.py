# SPDX-License-Identifier: GPL-2.0-only
"""Who hears of changes to a process's page tables, and until when."""

from __future__ import annotations

from typing import Any

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.sched import current
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported


class Listening(Vmlinux):
    """Notes what VMs are told."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.heard: list[tuple[str, str]] = []

    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: int, end: int) -> None:
        self.heard.append(("start", str(kvm)))

    def kvm_mmu_notifier_invalidate_range_end(self, kvm: Kvm, start: int, end: int) -> None:
        self.heard.append(("end", str(kvm)))

    def kvm_mmu_notifier_release(self, kvm: Kvm) -> None:
        self.heard.append(("release", str(kvm)))


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """A process with two VMs."""
    made = make_host(Listening)
    made.kernel.kvm_create_vm("other", made.mm)
    return made


def heard(host: Host) -> list[tuple[str, str]]:
    assert isinstance(host.kernel, Listening)
    return host.kernel.heard


def test_every_vm_of_the_process_is_told(host: Host) -> None:
    host.kernel.vm_munmap(host.mm, HVA)
    assert heard(host) == [("start", "kvm"), ("start", "other"), ("end", "kvm"), ("end", "other")]


def test_another_process_is_nobodys_business(host: Host) -> None:
    other = host.kernel.new_mm("other process")
    host.kernel.vm_mmap_pgoff(other, HVA, None, 0)
    host.kernel.vm_munmap(other, HVA)
    assert heard(host) == []


def test_unregister_releases_once(host: Host) -> None:
    host.kernel.mmu_notifier_unregister(host.kvm, host.mm)
    host.kernel.mmu_notifier_unregister(host.kvm, host.mm)
    host.kernel.vm_munmap(host.mm, HVA)
    assert heard(host) == [("release", "kvm"), ("start", "other"), ("end", "other")]


def test_release_unsubscribes_everybody(host: Host) -> None:
    host.kernel.mmu_notifier_unregister(host.kvm, host.mm)
    host.kernel.mmu_notifier_release(host.mm)
    host.kernel.vm_munmap(host.mm, HVA)
    assert heard(host) == [("release", "kvm"), ("release", "other")]


def test_unregister_waits_for_whoever_is_calling(host: Host) -> None:
    host.mm.notifier_srcu.read_lock()
    with pytest.raises(WouldBlock):
        host.kernel.mmu_notifier_unregister(host.kvm, host.mm)


def test_release_without_subscribers_waits_for_nothing(host: Host) -> None:
    for kvm in host.mm.notifiers:
        host.kernel.mmu_notifier_unregister(kvm, host.mm)
    host.mm.notifier_srcu.read_lock()
    host.kernel.mmu_notifier_release(host.mm)


def test_release_empties_the_list_before_its_section_ends(make_host: MakeHost) -> None:
    host = make_host(Listening)
    host.mm.notifier_srcu.read_lock()
    with pytest.raises(WouldBlock):
        host.kernel.mmu_notifier_release(host.mm)
    assert not host.kvm.mmu_notifier_registered


@pytest.mark.parametrize("which", ["start", "end"])
def test_notifications_may_sleep(host: Host, which: str) -> None:
    current().preempt_count = 1
    with reported("sleeping-in-atomic"):
        getattr(host.kernel, f"mmu_notifier_invalidate_range_{which}")(host.mm, HVA, HVA + 0x1000)
