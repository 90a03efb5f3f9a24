# SPDX-License-Identifier: GPL-2.0-only
"""Our tests beside the C of 7.3.4: nothing differs, and the verdicts and what is needed are as they are here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pfncache.litmus.catalogue import LITMUS_TESTS, NoSuchLitmusTest, named
from pfncache.litmus.fit import fit
from pfncache.litmus.judge import judge
from pfncache.litmus.protocol import LitmusVerdict
from pfncache.litmus.protocols import alternatives
from pfncache.litmus.render import render
from pfncache.litmus.result import LitmusResult, Need
from pfncache.litmus.source import KernelSource
from pfncache.litmus.step import marked
from tests.csource.kvm.trees import source
from tests.litmus.trees import model

SLOW = {"publish/invalidate", "activation/list", "mmu/vmsa", "mmu/fault"}
NEEDED = {
    "publish/invalidate": [
        "lock(cache_lock) in gfn_to_pfn_cache_invalidate_start()",
        "lock(mn_invalidate_lock) in kvm_mmu_notifier_invalidate_range_end()",
        "smp_wmb() in kvm_mmu_notifier_invalidate_range_end()",
        "smp_rmb() in hva_to_pfn_retry()",
        "lock(cache_lock) in hva_to_pfn_retry()",
        "smp_rmb() in mmu_notifier_retry_cache()",
    ],
    "publish/use": [
        "lock(cache_lock) in gfn_to_pfn_cache_invalidate_start()",
        "lock(cache_lock) in kvm_setup_guest_pvclock()",
    ],
    "activation/list": [
        "lock(gpc_lock) in gfn_to_pfn_cache_invalidate_start()",
        "lock(mn_invalidate_lock) in kvm_mmu_notifier_invalidate_range_end()",
        "smp_wmb() in kvm_mmu_notifier_invalidate_range_end()",
        "lock(gpc_lock) in __kvm_gpc_activate()",
        "smp_rmb() in hva_to_pfn_retry()",
        "smp_rmb() in mmu_notifier_retry_cache()",
    ],
    "activation/deactivate": [
        "lock(cache_lock) in kvm_gpc_deactivate()",
        "lock(cache_lock) in kvm_setup_guest_pvclock()",
    ],
    "memslots/srcu": [
        "synchronize_srcu(srcu) in kvm_swap_active_memslots()",
        "srcu_read_lock(srcu) in kvm_handle_hva_range()",
    ],
    "memslots/publish": [
        "smp_store_release(memslots) in kvm_swap_active_memslots()",
    ],
    "memslots/generation": [
        "smp_store_release(memslots) in kvm_swap_active_memslots()",
    ],
    "memslots/notifier": [
        "lock(mn_invalidate_lock) in kvm_swap_active_memslots()",
        "lock(mn_invalidate_lock) in kvm_mmu_notifier_invalidate_range_start()",
        "lock(mn_invalidate_lock) in kvm_mmu_notifier_invalidate_range_end()",
    ],
    "memslots/rcuwait": [
        "lock(mn_invalidate_lock) in kvm_swap_active_memslots()",
        "lock(mn_invalidate_lock) in kvm_mmu_notifier_invalidate_range_end()",
    ],
    "requests/mode": [
        "smp_mb__before_atomic() in kvm_vcpu_exiting_guest_mode()",
        "smp_mb__after_srcu_read_unlock() in vcpu_enter_guest()",
    ],
    "requests/data": [
        "smp_wmb() in __kvm_make_request()",
        "smp_mb__after_atomic() in kvm_check_request()",
    ],
    "requests/shadow-walk": [
        "smp_mb__before_atomic() in kvm_vcpu_exiting_guest_mode()",
        "smp_mb() in walk_shadow_page_lockless_begin()",
    ],
    "requests/shadow-walk-end": [
        "smp_store_release(mode) in walk_shadow_page_lockless_end()",
    ],
    "requests/online": [
        "smp_wmb() in kvm_vm_ioctl_create_vcpu()",
        "smp_rmb() in kvm_get_vcpu()",
    ],
    "requests/on-spin": [
        "smp_wmb() in kvm_vm_ioctl_create_vcpu()",
        "smp_rmb() in kvm_vcpu_on_spin()",
    ],
    "requests/exit": [],
    "requests/halt-poll": [
        "smp_wmb() in kvm_vm_ioctl_enable_cap_generic()",
        "smp_rmb() in kvm_vcpu_max_halt_poll_ns()",
    ],
    "gmem/release": [],
    "gmem/unbind": [
        "synchronize_srcu(srcu) in kvm_swap_active_memslots()",
    ],
    "gmem/bind": [
        "lock(invalidate_lock) in kvm_gmem_commit_memory_region()",
        "lock(invalidate_lock) in kvm_gmem_punch_hole()",
    ],
    "mmu/fault": [
        "lock(mmu_lock) in kvm_handle_hva_range()",
        "lock(mmu_lock) in kvm_handle_hva_range()",
        "smp_rmb() in kvm_mmu_faultin_pfn()",
        "lock(mmu_lock) in kvm_tdp_mmu_page_fault()",
    ],
    "mmu/precheck": [],
    "mmu/vmsa": [
        "lock(mmu_lock) in __kvm_gmem_invalidate_start()",
        "lock(mmu_lock) in __kvm_gmem_invalidate_end()",
        "smp_rmb() in __sev_snp_reload_vmsa()",
        "lock(mmu_lock) in __sev_snp_reload_vmsa()",
    ],
    "mmu/track-write": [
        "smp_mb() in account_shadowed()",
        "smp_mb() in kvm_mmu_track_write()",
    ],
    "mmu/page-hash": [
        "smp_store_release(mmu_page_hash) in kvm_mmu_alloc_page_hash()",
    ],
    "guest/pvclock": [
        "smp_wmb() in kvm_setup_guest_pvclock()",
        "smp_wmb() in kvm_setup_guest_pvclock()",
        "smp_rmb() in pvclock_read_begin()",
        "smp_rmb() in pvclock_read_retry()",
    ],
    "guest/wall-clock": [
        "smp_wmb() in kvm_xen_shared_info_init()",
        "smp_wmb() in kvm_xen_shared_info_init()",
        "smp_rmb() in pvclock_read_wallclock()",
        "smp_rmb() in pvclock_read_wallclock()",
    ],
    "guest/runstate": [
        "smp_wmb() in kvm_xen_update_runstate_guest()",
        "smp_wmb() in kvm_xen_update_runstate_guest()",
    ],
    "evtchn/deliver": [],
    "evtchn/inject": [],
    "evtchn/kick": [
        "smp_mb__after_atomic() in kvm_check_request()",
    ],
    **{test.name: [] for test in alternatives.TESTS},
}


@pytest.fixture(scope="module")
def kernel() -> KernelSource:
    """Linux 7.3.4, parsed once."""
    return KernelSource(source("7.3.4"))


@pytest.mark.parametrize("name", LITMUS_TESTS)
def test_the_c_is_that_of_the_test(name: str, kernel: KernelSource) -> None:
    fitted = fit(LITMUS_TESTS[name], kernel)
    assert fitted.differences == ()
    assert fitted.out_of_date == ()


@pytest.mark.parametrize("name", LITMUS_TESTS)
def test_a_test_has_c_of_the_kernel_in_a_thread_of_its_own(name: str) -> None:
    test = LITMUS_TESTS[name]
    assert any(thread.slices for thread in test.threads) or test in alternatives.TESTS
    assert test.protects
    assert test.name == name


@pytest.mark.parametrize("name", [name for name in LITMUS_TESTS if name not in SLOW])
def test_the_verdict_and_what_is_needed(name: str, kernel: KernelSource) -> None:
    result = judge(fit(LITMUS_TESTS[name], kernel), model())
    assert result.verdict is result.test.expected
    assert needed(result) == NEEDED[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SLOW))
def test_the_verdict_and_what_is_needed_in_a_large_test(name: str, kernel: KernelSource) -> None:
    result = judge(fit(LITMUS_TESTS[name], kernel), model())
    assert result.verdict is result.test.expected
    assert needed(result) == NEEDED[name]


def needed(result: LitmusResult) -> list[str]:
    """What the order of a test needs."""
    return [f"{f.event} in {f.event.function}()" for f in result.findings if f.need is Need.ORDER]


@pytest.mark.parametrize("name", ["requests/mode", "guest/pvclock", "mmu/precheck", "evtchn/inject"])
def test_the_quick_way_to_ask_gives_what_the_whole_one_does(name: str, kernel: KernelSource) -> None:
    fitted, asked = fit(LITMUS_TESTS[name], kernel), model()
    for threads in (fitted.threads, tuple(marked(steps) for steps in fitted.threads)):
        text = render(fitted.test, threads)
        whole = asked.run(text)
        assert asked.reaches(text) == ("Never" not in whole[1])
        assert asked.races(text) == ("Flag data-race" in whole.string)


def test_names() -> None:
    assert [test.name for test in named(["mmu/"])] == [
        "mmu/fault", "mmu/precheck", "mmu/vmsa", "mmu/track-write", "mmu/page-hash",
    ]  # fmt: skip
    assert [test.name for test in named(["gmem/bind", "mmu/vmsa"])] == ["gmem/bind", "mmu/vmsa"]
    assert len(named([])) == len(LITMUS_TESTS)
    with pytest.raises(NoSuchLitmusTest, match=r"^no litmus test 'none'; there are: publish/invalidate, "):
        named(["none"])


def test_a_data_race_has_an_access_that_has_to_be_marked(kernel: KernelSource) -> None:
    result = judge(fit(LITMUS_TESTS["memslots/generation"], kernel), model())
    assert result.verdict is LitmusVerdict.DATA_RACE
    assert [f"{f.event} in {f.event.function}()" for f in result.races] == [
        "write of generation in kvm_swap_active_memslots()",
        "read of generation in kvm_gpc_check()",
    ]


def test_the_page_table_lock_orders_the_page_before_the_sequence(kernel: KernelSource) -> None:
    fitted = fit(LITMUS_TESTS["publish/invalidate"], kernel)
    unlocked = tuple(tuple(step for step in steps if step.event.name != "ptl") for steps in fitted.threads)
    without = replace(fitted, threads=unlocked)
    assert judge(fitted, model(), with_variants=False).verdict is LitmusVerdict.DATA_RACE
    assert judge(without, model(), with_variants=False).verdict is LitmusVerdict.BROKEN
