# SPDX-License-Identifier: GPL-2.0-only
"""Patches of Linux 7.3.4: no test is edited, and each result is that of the patched C."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.kernels.patch_mail import read
from pfncache.litmus.catalogue import LITMUS_TESTS
from pfncache.litmus.fit import Fitted, fit
from pfncache.litmus.judge import judge
from pfncache.litmus.protocol import LitmusVerdict
from pfncache.litmus.source import KernelSource
from tests.conftest import Call
from tests.csource.edits import Change, Edit, drop, insert, mail, place, swap
from tests.csource.kvm.trees import source
from tests.litmus.trees import model

PFNCACHE = "virt/kvm/pfncache.c"
KVM_MAIN = "virt/kvm/kvm_main.c"


def patched(tmp_path: Path, test: str, file: str, function: str, edit: Edit) -> Fitted:
    """A test under a patch of one function."""
    tree = source("7.3.4")
    path = mail(tree, tmp_path, [Change(file, function, edit)])
    with KernelSource(tree, read(path)) as kernel:
        return fit(LITMUS_TESTS[test], kernel)


def verdict(fitted: Fitted) -> LitmusVerdict:
    return judge(fitted, model(), with_variants=False).verdict


def test_a_dropped_smp_rmb_breaks_the_order(tmp_path: Path) -> None:
    fitted = patched(tmp_path, "publish/invalidate", PFNCACHE, "mmu_notifier_retry_cache", drop(place("smp_rmb")))
    assert fitted.differences == ("__kvm_gpc_refresh(): - smp_rmb()",)
    assert verdict(fitted) is LitmusVerdict.BROKEN


def test_a_swapped_pair_breaks_the_order(tmp_path: Path) -> None:
    count = place("mn_active_invalidate_count", 2)
    edit = swap(place("gpc_invalidate_seq"), count)
    fitted = patched(tmp_path, "publish/invalidate", KVM_MAIN, "kvm_mmu_notifier_invalidate_range_end", edit)
    assert fitted.differences == (
        "kvm_mmu_notifier_invalidate_range_end(): - read of gpc_invalidate_seq",
        "kvm_mmu_notifier_invalidate_range_end(): - write of gpc_invalidate_seq",
        "kvm_mmu_notifier_invalidate_range_end(): + read of gpc_invalidate_seq at virt/kvm/kvm_main.c:828",
        "kvm_mmu_notifier_invalidate_range_end(): + write of gpc_invalidate_seq at virt/kvm/kvm_main.c:828",
    )
    assert verdict(fitted) is LitmusVerdict.BROKEN


def test_a_harmless_patch_changes_nothing(tmp_path: Path) -> None:
    edit = insert(place("smp_rmb"), "pr_debug_ratelimited(gpc_seq);")
    fitted = patched(tmp_path, "publish/invalidate", PFNCACHE, "mmu_notifier_retry_cache", edit)
    assert fitted.differences == ()
    assert verdict(fitted) is LitmusVerdict.DATA_RACE


def test_a_barrier_more_is_a_difference_and_breaks_nothing(tmp_path: Path) -> None:
    edit = insert(place("smp_wmb"), "smp_mb();")
    fitted = patched(tmp_path, "requests/data", "include/linux/kvm_host.h", "__kvm_make_request", edit)
    assert fitted.differences == ("kvm_make_request(): + smp_mb() at include/linux/kvm_host.h:2293",)
    assert verdict(fitted) is LitmusVerdict.ORDERED


@pytest.mark.parametrize(
    ("test", "file", "function", "edit"),
    [
        ("requests/data", "include/linux/kvm_host.h", "__kvm_make_request", drop(place("smp_wmb"))),
        ("requests/mode", "arch/x86/kvm/x86.c", "vcpu_enter_guest", drop(place("smp_mb__after_srcu_read_unlock"))),
        ("guest/pvclock", "arch/x86/kvm/x86.c", "kvm_setup_guest_pvclock", drop(place("smp_wmb", 2))),
        ("gmem/bind", "virt/kvm/guest_memfd.c", "kvm_gmem_punch_hole", drop(place("filemap_invalidate_lock"))),
    ],
)
def test_others_that_break(tmp_path: Path, test: str, file: str, function: str, edit: Edit) -> None:
    assert verdict(patched(tmp_path, test, file, function, edit)) is LitmusVerdict.BROKEN


def test_another_access_makes_a_test_out_of_date(tmp_path: Path) -> None:
    edit = insert(place("smp_rmb"), "kvm->gpc_invalidate_seq = 0;")
    fitted = patched(tmp_path, "publish/invalidate", PFNCACHE, "mmu_notifier_retry_cache", edit)
    assert fitted.out_of_date == ("__kvm_gpc_refresh(): the C has 1 write of gpc_invalidate_seq more than the test",)
    assert verdict(fitted) is LitmusVerdict.OUT_OF_DATE


def test_the_command_takes_a_series(tmp_path: Path, pfncache: Call) -> None:
    model()
    tree = source("7.3.4")
    path = mail(tree, tmp_path, [Change("include/linux/kvm_host.h", "kvm_get_vcpu", drop(place("smp_rmb")))], "online")
    run = pfncache("litmus", "requests/online", "--verdicts", "--series", str(path))
    assert run.code == 1
    assert "requests/online: kvm_get_vcpu(): - smp_rmb()" in run.out
    assert "the C of Linux 7.3.4 with online.patch" in run.out
    assert "1 test, 1 broken in " in run.out
    assert pfncache("litmus", "requests/online", "--verdicts").code == 0
