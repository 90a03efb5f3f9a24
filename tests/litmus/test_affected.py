# SPDX-License-Identifier: GPL-2.0-only
"""What patches of Linux 7.3.4 change of the tests, compared with the unpatched C."""

from __future__ import annotations

from pathlib import Path

from pfncache.kernels.patch_mail import read
from pfncache.litmus.affected import AffectedTests, affected
from pfncache.litmus.protocol import LitmusVerdict
from pfncache.litmus.source import KernelSource
from tests.csource.edits import Change, Edit, drop, insert, mail, place, substitute, swap
from tests.csource.kvm.trees import source
from tests.litmus.trees import model

HOST_H = "include/linux/kvm_host.h"
PFNCACHE = "virt/kvm/pfncache.c"


def changed(tmp_path: Path, file: str, function: str, edit: Edit) -> AffectedTests:
    """What a patch of one function changes."""
    tree = source("7.3.4")
    path = mail(tree, tmp_path, [Change(file, function, edit)])
    with KernelSource(tree) as before, KernelSource(tree, read(path)) as after:
        return affected(before, after, model())


def test_a_dropped_smp_rmb(tmp_path: Path) -> None:
    found = changed(tmp_path, HOST_H, "kvm_get_vcpu", drop(place("smp_rmb")))
    assert [str(change) for change in found.changes] == [
        "requests/online: ordered -> broken; without smp_rmb() in kvm_get_vcpu()"
    ]
    assert found.changes[0].differences == ("reader: - smp_rmb()",)
    assert found.worse == found.changes
    assert found.same == ()


def test_a_swapped_pair(tmp_path: Path) -> None:
    edit = swap(place("max_halt_poll_ns"), place("smp_wmb"))
    found = changed(tmp_path, "virt/kvm/kvm_main.c", "kvm_vm_ioctl_enable_cap_generic", edit)
    assert [str(change) for change in found.changes] == ["requests/halt-poll: data race -> broken"]
    assert [line.split(" at ")[0] for line in found.changes[0].differences] == [
        "KVM_ENABLE_CAP: + smp_wmb()",
        "KVM_ENABLE_CAP: - smp_wmb()",
    ]


def test_a_mark_that_goes_is_a_new_race(tmp_path: Path) -> None:
    edit = substitute(r"READ_ONCE\(kvm->max_halt_poll_ns\)", "kvm->max_halt_poll_ns")
    found = changed(tmp_path, "virt/kvm/kvm_main.c", "kvm_vcpu_max_halt_poll_ns", edit)
    (change,) = found.changes
    assert change.is_worse
    assert (change.before.verdict, change.after.verdict) == (LitmusVerdict.DATA_RACE, LitmusVerdict.DATA_RACE)
    assert [f"{f.event} in {f.event.function}()" for f in change.new_races] == [
        "read of max_halt_poll_ns in kvm_vcpu_max_halt_poll_ns()"
    ]


def test_an_access_more_is_out_of_date(tmp_path: Path) -> None:
    edit = insert(place("smp_rmb"), "kvm->override_halt_poll_ns = false;")
    found = changed(tmp_path, "virt/kvm/kvm_main.c", "kvm_vcpu_max_halt_poll_ns", edit)
    assert [str(change) for change in found.worse] == [
        "requests/halt-poll: data race -> out of date; kvm_vcpu_max_halt_poll_ns(): "
        "the C has 1 write of override_halt_poll_ns more than the test"
    ]


def test_a_harmless_patch_is_not_run(tmp_path: Path) -> None:
    edit = insert(place("smp_rmb"), "pr_debug_ratelimited(gpc_seq);")
    found = changed(tmp_path, PFNCACHE, "mmu_notifier_retry_cache", edit)
    assert found.changes == ()
    assert found.same == ("publish/invalidate", "activation/list")


def test_a_patch_of_another_function_touches_nothing(tmp_path: Path) -> None:
    found = changed(tmp_path, PFNCACHE, "kvm_gpc_init", insert(place("gpc uhva"), "gpc->pfn = 0;"))
    assert (found.changes, found.same) == ((), ())
