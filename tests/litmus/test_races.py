# SPDX-License-Identifier: GPL-2.0-only
"""The data races of docs/findings: the marks that are proposed there clear them, and change nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.kernels.patch_mail import read
from pfncache.litmus.catalogue import LITMUS_TESTS
from pfncache.litmus.fit import fit
from pfncache.litmus.judge import judge
from pfncache.litmus.protocol import LitmusVerdict
from pfncache.litmus.source import KernelSource
from tests.csource.edits import Change, mail, substitute
from tests.csource.kvm.trees import source
from tests.litmus.trees import model

PFNCACHE = "virt/kvm/pfncache.c"
KVM_MAIN = "virt/kvm/kvm_main.c"
MMU = "arch/x86/kvm/mmu/mmu.c"
SEV = "arch/x86/kvm/svm/sev.c"
X86 = "arch/x86/kvm/x86.c"


def read_once(file: str, function: str, place: str) -> Change:
    """Mark a plain read."""
    return Change(file, function, substitute(rf"(?<![\w>]){place}\b", f"READ_ONCE({place})"))


def count(file: str, function: str, statement: str, place: str, by: str) -> Change:
    """Mark the write of an increment or decrement."""
    return Change(file, function, substitute(statement, f"WRITE_ONCE({place}, {place} {by} 1);"))


def write_once(file: str, function: str, statement: str, place: str, value: str) -> Change:
    """Mark a plain write."""
    return Change(file, function, substitute(statement, f"WRITE_ONCE({place}, {value});"))


START, END = "kvm_mmu_notifier_invalidate_range_start", "kvm_mmu_notifier_invalidate_range_end"
COUNT, SEQUENCE = "kvm->mn_active_invalidate_count", "kvm->gpc_invalidate_seq"
GPC = [
    count(KVM_MAIN, START, rf"{COUNT}\+\+;", COUNT, "+"),
    count(KVM_MAIN, END, rf"{SEQUENCE}\+\+;", SEQUENCE, "+"),
    count(KVM_MAIN, END, rf"--{COUNT};", COUNT, "-"),
    read_once(PFNCACHE, "mmu_notifier_retry_cache", COUNT),
    read_once(PFNCACHE, "mmu_notifier_retry_cache", SEQUENCE),
    read_once(PFNCACHE, "hva_to_pfn_retry", f"gpc->{SEQUENCE}"),
]
MMU_SEQUENCE = [
    count(KVM_MAIN, "kvm_mmu_invalidate_end", r"kvm->mmu_invalidate_seq\+\+;", "kvm->mmu_invalidate_seq", "+"),
    read_once(MMU, "kvm_mmu_faultin_pfn", "vcpu->kvm->mmu_invalidate_seq"),
    read_once(SEV, "__sev_snp_reload_vmsa", "kvm->mmu_invalidate_seq"),
]
GENERATION = [
    Change(
        KVM_MAIN,
        "kvm_swap_active_memslots",
        substitute(r"slots->generation = gen;", "WRITE_ONCE(slots->generation, gen);"),
    ),
    read_once(PFNCACHE, "kvm_gpc_check", "slots->generation"),
]
ENABLE_CAP, LIMIT, OVERRIDE = "kvm_vm_ioctl_enable_cap_generic", "kvm->max_halt_poll_ns", "kvm->override_halt_poll_ns"
HALT_POLL = [
    write_once(KVM_MAIN, ENABLE_CAP, rf"{LIMIT} = cap->args\[0\];", LIMIT, "cap->args[0]"),
    write_once(KVM_MAIN, ENABLE_CAP, rf"{OVERRIDE} = true;", OVERRIDE, "true"),
    read_once(KVM_MAIN, "kvm_vcpu_max_halt_poll_ns", OVERRIDE),
]
PAGES = "kvm->arch.indirect_shadow_pages"
TRACK_WRITE = [
    count(MMU, "account_shadowed", rf"{PAGES}\+\+;", PAGES, "+"),
    read_once(MMU, "kvm_mmu_track_write", f"vcpu->{PAGES}"),
]
LEFT = r"vcpu->mode = OUTSIDE_GUEST_MODE;(?=\s+smp_wmb\(\);\s+kvm_load_xfeatures)"
EXIT = [write_once(X86, "vcpu_enter_guest", LEFT, "vcpu->mode", "OUTSIDE_GUEST_MODE")]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("memslots/generation", GENERATION),
        ("mmu/fault", MMU_SEQUENCE),
        ("mmu/vmsa", MMU_SEQUENCE),
        ("publish/invalidate", GPC),
        ("activation/list", GPC),
        ("requests/halt-poll", HALT_POLL),
        ("mmu/track-write", TRACK_WRITE),
        ("requests/exit", EXIT),
    ],
)
def test_marks_clear_the_data_race(name: str, changes: list[Change], tmp_path: Path) -> None:
    tree = source("7.3.4")
    with KernelSource(tree, read(mail(tree, tmp_path, changes))) as kernel:
        fitted = fit(LITMUS_TESTS[name], kernel)
    assert fitted.out_of_date == ()
    assert all("ONCE" in line or " of " in line for line in fitted.differences)
    assert judge(fitted, model(), with_variants=False).verdict is LitmusVerdict.ORDERED


@pytest.mark.parametrize("left_out", range(len(GPC)))
def test_none_of_the_marks_is_too_many(left_out: int, tmp_path: Path) -> None:
    tree = source("7.3.4")
    changes = [change for number, change in enumerate(GPC) if number != left_out]
    with KernelSource(tree, read(mail(tree, tmp_path, changes))) as kernel:
        fitted = fit(LITMUS_TESTS["publish/invalidate"], kernel)
    assert judge(fitted, model(), with_variants=False).verdict is LitmusVerdict.DATA_RACE
