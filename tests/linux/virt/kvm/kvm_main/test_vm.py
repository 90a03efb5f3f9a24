# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.lang.report import PropertyViolated
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported


def test_destroy_lets_go_of_everything(host: Host) -> None:
    host.add_slot()
    host.kernel.run_guest_access(host.vcpu, 0, False)
    with srcu_read_lock(host.kvm.srcu):
        host.kernel.kvm_gpc_activate(host.gpc, 0, 8)
    slot = host.slot()
    host.kernel.kvm_put_kvm(host.kvm)
    assert (host.gpc.active, host.kvm.sptes[0].pfn, host.kvm.mmu_notifier_registered) == (False, -1, False)
    with pytest.raises(PropertyViolated):
        slot.base_gfn = 0
    host.kernel.vm_munmap(host.mm, HVA)  # the VM has unsubscribed
    assert host.kvm.gpc_invalidate_seq == 0


def test_destroy_accepts_an_invalidation_whose_end_is_not_notified(host: Host) -> None:
    host.add_slot()
    host.kernel.mmu_notifier_invalidate_range_start(host.mm, HVA, HVA + 0x1000)
    host.kernel.kvm_put_kvm(host.kvm)
    assert host.kvm.mn_active_invalidate_count == 0


def test_destroy_warns_of_an_mmu_invalidation_in_progress(host: Host) -> None:
    host.kvm.mmu_invalidate_in_progress = 1
    with pytest.raises(PropertyViolated) as splat:
        host.kernel.kvm_put_kvm(host.kvm)
    assert splat.value.kind == "warn-on"


def test_vcpu_with_a_timer_that_is_not_stopped(make_host: MakeHost) -> None:
    class Forgetful(Vmlinux):
        def kvm_xen_stop_timer(self, vcpu: KvmVcpu) -> None:
            """Nothing."""

    host = make_host(Forgetful)
    host.vcpu.xen.timer.start()
    with reported("use-after-free"):
        host.kernel.kvm_put_kvm(host.kvm)


def test_background_work_is_stopped_while_the_notifier_is_registered(make_host: MakeHost) -> None:
    seen: list[bool] = []

    class Watching(Vmlinux):
        def kvm_arch_pre_destroy_vm(self, kvm: Kvm) -> None:
            seen.append(kvm.mmu_notifier_registered)

        def kvm_arch_destroy_vm(self, kvm: Kvm) -> None:
            seen.append(kvm.mmu_notifier_registered)

    host = make_host(Watching)
    host.kernel.kvm_put_kvm(host.kvm)
    assert seen == [True, False]


def test_vm_without_references_gets_none(host: Host) -> None:
    host.kvm.users_count = 0
    with reported("refcount-imbalance"):
        host.kernel.kvm_get_kvm(host.kvm)
