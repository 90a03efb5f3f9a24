# SPDX-License-Identifier: GPL-2.0-only
"""New members, functions and parameters, and new names of old ones, on trees of our own C."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.series.change import SourceChange
from pfncache.series.step import BaseKernel, SeriesStep
from pfncache.series.trees import KernelTree
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import run
from tests.series.test_changes import tree

FILE, HEADER = "virt/kvm/pfncache.c", "include/linux/kvm_types.h"
CACHE = "struct gfn_to_pfn_cache {\n\tu64 generation;\n\tbool active;\n\tbool valid;\n\tstruct list_head list;\n};\n"
COUNT = "\tif (kvm->mn_active_invalidate_count)\n\t\treturn true;\n\n"
RETRY = (
    "static bool mmu_notifier_retry_cache(struct kvm *kvm, unsigned long gpc_seq)\n{\n"
    f"{COUNT}\treturn kvm->gpc_invalidate_seq != gpc_seq;\n}}\n"
)
LENGTH = (
    "static bool kvm_gpc_is_valid_len(gpa_t gpa, unsigned long uhva, unsigned long len)\n{\n"
    "\tunsigned long offset = gpa != INVALID_GPA ? offset_in_page(gpa) : offset_in_page(uhva);\n\n"
    "\treturn offset + len <= PAGE_SIZE;\n}\n"
)
CHECK = (
    "bool kvm_gpc_check(struct gfn_to_pfn_cache *gpc, unsigned long len)\n{\n"
    "\tif (!gpc->active)\n\t\treturn false;\n"
    "\tif (gpc->generation != kvm_memslots(gpc->kvm)->generation)\n\t\treturn false;\n"
    "\tif (!gpc->valid)\n\t\treturn false;\n\n\treturn true;\n}\n"
)
VALID, ACTIVE = "\tbool valid;\n", "\tif (!gpc->active)"
BASE = {FILE: RETRY + LENGTH + CHECK, HEADER: CACHE}


def step(folder: Path, new: dict[str, str], old: dict[str, str] = BASE) -> SeriesStep:
    before, after = tree(folder / "a", old), tree(folder / "b", new)
    return BaseKernel(before).step(KernelTree(after.path, "7.3.4", after.texts), "series", "a series")


def rows(changes: tuple[SourceChange, ...]) -> list[tuple[str, str, str]]:
    return [(c.name, c.how, c.status.value) for c in changes]


def edited(**changes: str) -> dict[str, str]:
    """The base with `old=new` texts, given as pairs of keywords a and b with a number."""
    texts = dict(BASE)
    for key in (k for k in changes if k.startswith("old")):
        texts = {name: text.replace(changes[key], changes[f"new{key[3:]}"]) for name, text in texts.items()}
    return texts


def searched(series: SeriesStep, scenario: str = "clock/anon/munmap") -> Outcome:
    assert series.refused == []
    return run(Job(series.design, scenario, max_states=100_000))


def test_a_new_member_is_false_at_first(tmp_path: Path) -> None:
    use = "\tif (gpc->needs_look)\n\t\tgpc->valid = true;\n\treturn true;\n}\n"
    new = edited(old1=VALID, new1=f"{VALID}\tbool needs_look;\n", old2="\treturn true;\n}\n", new2=use)
    series = step(tmp_path, new)
    assert rows(series.changes) == [
        ("gfn_to_pfn_cache", "changed", "checked from C"), ("kvm_gpc_check", "changed", "checked from C")
    ]  # fmt: skip
    assert searched(series).verdict == "holds"


def test_a_new_member_is_a_part_of_the_state(tmp_path: Path) -> None:
    """Every second check of a cache succeeds in any case."""
    use = f"\tgpc->looks = !gpc->looks;\n\tif (gpc->looks)\n\t\treturn true;\n{ACTIVE}"
    new = edited(old1=VALID, new1=f"{VALID}\tunsigned int looks;\n", old2=ACTIVE, new2=use)
    outcome = searched(step(tmp_path, new))
    changes = [c for v in outcome.violations if v.trace is not None for row in v.trace.rows for c in row.changes]
    assert any(change.startswith("vcpu.pv_time.looks: ") for change in changes), changes


def test_a_member_that_the_kernel_had_before_is_not_new(tmp_path: Path) -> None:
    had = {**BASE, HEADER: CACHE.replace(VALID, "\tbool valid;\n\tbool old_flag;\n")}
    new = {**had, FILE: had[FILE].replace(ACTIVE, "\tif (gpc->old_flag)")}
    (refused,) = step(tmp_path, new, had).refused
    assert refused.what == "the model's GfnToPfnCache has no member old_flag; enter it in the tables"


@pytest.mark.parametrize(
    ("declared", "shown"), [("struct rb_node {}", "struct rb_node"), ("u8 {}[4]", "u8[]"), ("char **{}", "char **")]
)
def test_a_new_member_that_the_model_cannot_have(declared: str, shown: str, tmp_path: Path) -> None:
    new = edited(old1=VALID, new1=f"\tbool valid;\n\t{declared.format('extra')};\n",
                 old2=ACTIVE, new2="\tif (gpc->extra)")  # fmt: skip
    (refused,) = step(tmp_path, new).refused
    assert refused.what == (
        f"the series adds extra of the type {shown} to the model's GfnToPfnCache; "
        "add a truth value, a number, or a pointer to a structure of the model"
    )


def test_a_member_with_another_name(tmp_path: Path) -> None:
    series = step(
        tmp_path, edited(old1="bool valid;", new1="bool is_usable;", old2="gpc->valid", new2="gpc->is_usable")
    )
    assert series.refused == []
    outcome = searched(series)
    assert outcome.verdict == "holds"
    assert outcome.states == searched(step(tmp_path / "same", BASE)).states


def test_a_wrong_use_of_a_member_with_another_name_is_found(tmp_path: Path) -> None:
    new = edited(old1="bool valid;", new1="bool is_usable;", old2="!gpc->valid", new2="gpc->is_usable && false")
    outcome = searched(step(tmp_path, new))
    assert "use-after-free" in outcome.properties


def test_a_member_that_is_gone(tmp_path: Path) -> None:
    (refused,) = step(tmp_path, edited(old1=VALID, new1="", old2="!gpc->valid", new2="false")).refused
    assert refused.what == "valid is removed, which functions of the model use; keep the name"


def test_a_function_with_another_name_that_the_model_calls(tmp_path: Path) -> None:
    series = step(tmp_path, edited(old1="kvm_gpc_check", new1="kvm_gpc_is_usable"))
    assert rows(series.changes) == [("kvm_gpc_is_usable", "renamed from kvm_gpc_check", "checked from C")]
    outcome = searched(series)
    assert outcome.verdict == "holds"
    wrong = edited(old1="kvm_gpc_check", new1="kvm_gpc_is_usable", old2="!gpc->valid", new2="false")
    (refused,) = step(tmp_path / "wrong", wrong).refused
    assert refused.what.startswith("it is removed, but ")


def test_new_parameters_and_functions_among_c(tmp_path: Path) -> None:
    helper = "static bool is_busy(struct kvm *kvm, bool strict)\n{\n"
    helper += "\treturn strict && kvm->mn_active_invalidate_count;\n}\n\n"
    for strict, verdict in (("true", "holds"), ("false", "violated")):
        new = helper + RETRY.replace("kvm->mn_active_invalidate_count)", f"is_busy(kvm, {strict}))") + LENGTH + CHECK
        series = step(tmp_path / strict, {**BASE, FILE: new})
        assert rows(series.changes) == [
            ("is_busy", "new", "checked from C"), ("mmu_notifier_retry_cache", "changed", "checked from C")
        ]  # fmt: skip
        assert searched(series).verdict == verdict


def test_a_new_parameter_of_a_function_that_the_model_calls(tmp_path: Path) -> None:
    new = edited(
        old1="unsigned long len)\n{\n\tif (!gpc->active)",
        new1="unsigned long len, bool strict)\n{\n\tif (!gpc->active)",
    )
    (refused,) = step(tmp_path, new).refused
    assert refused.name == "kvm_gpc_check"
    assert refused.what.startswith("the model's kvm_gpc_check() takes or returns something else, and ")
