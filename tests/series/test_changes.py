# SPDX-License-Identifier: GPL-2.0-only
"""What of a change is checked, on trees of our own C."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.csource.errors import SourceError
from pfncache.csource.kvm.translation import translate
from pfncache.series.changes import changes_between
from pfncache.series.trees import KernelTree

FILE = "virt/kvm/pfncache.c"
BASE = (
    "static bool mmu_notifier_retry_cache(struct kvm *kvm, unsigned long gpc_seq)\n{\n"
    "\tif (kvm->mn_active_invalidate_count)\n\t\treturn true;\n\n"
    "\tsmp_rmb();\n\treturn kvm->gpc_invalidate_seq != gpc_seq;\n}\n"
)
HEADER = "include/linux/kvm_types.h"
Row = tuple[str, str, str]


def tree(path: Path, texts: dict[str, str]) -> KernelTree:
    for name, text in texts.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return KernelTree(path, "7.3.4", {name: text.encode() for name, text in texts.items()})


def changes(folder: Path, old: dict[str, str], new: dict[str, str]) -> list[Row]:
    first, second = tree(folder / "a", old), tree(folder / "b", new)
    before, after = (translate(t.path, t.sources, version="7.3.4") for t in (first, second))
    return [(c.name, c.how, c.status.value) for c in changes_between(first, second, before, after)]


def test_a_changed_function(tmp_path: Path) -> None:
    new = BASE.replace("count)", "count > 0)")
    assert changes(tmp_path, {FILE: BASE}, {FILE: new}) == [("mmu_notifier_retry_cache", "changed", "checked from C")]


def test_a_new_function_and_its_caller(tmp_path: Path) -> None:
    new = "static bool busy(struct kvm *kvm)\n{\n\treturn kvm->mn_active_invalidate_count != 0;\n}\n\n"
    new += BASE.replace("kvm->mn_active_invalidate_count)", "busy(kvm))")
    assert changes(tmp_path, {FILE: BASE}, {FILE: new}) == [
        ("busy", "new", "checked from C"),
        ("mmu_notifier_retry_cache", "changed", "checked from C"),
    ]


def test_a_new_function_that_nothing_calls(tmp_path: Path) -> None:
    new = BASE + "\nint idle_function(void)\n{\n\treturn 0;\n}\n"
    assert changes(tmp_path, {FILE: BASE}, {FILE: new}) == [("idle_function", "new", "outside the model")]


def test_a_macro_that_is_not_there(tmp_path: Path) -> None:
    new = BASE.replace("kvm->mn_active_invalidate_count)", "NO_SUCH(kvm))")
    assert changes(tmp_path, {FILE: BASE}, {FILE: new}) == [("mmu_notifier_retry_cache", "changed", "refused")]


def test_a_function_twice(tmp_path: Path) -> None:
    new = BASE + BASE.replace("return true", "return false")
    assert changes(tmp_path, {FILE: BASE}, {FILE: new}) == [("mmu_notifier_retry_cache", "changed", "refused")]


def test_a_removed_function_that_the_model_calls(tmp_path: Path) -> None:
    assert changes(tmp_path, {FILE: BASE}, {FILE: "int x;\n"}) == [
        ("mmu_notifier_retry_cache", "removed", "refused"),
        ("x", "new", "outside the model"),
    ]


def test_lines_that_are_not_compiled(tmp_path: Path) -> None:
    new = BASE.replace("\tsmp_rmb", "#ifdef CONFIG_NO_SUCH\n\treturn false;\n#endif\n\tsmp_rmb")
    assert changes(tmp_path, {FILE: BASE}, {FILE: new}) == [("line 7", "changed", "not compiled")]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("arch/x86/kvm/mmu/mmu.c", "by hand"),
        ("mm/gup.c", "by hand"),
        ("tools/testing/selftests/kvm/x86/pfncache.c", "outside the model"),
        ("Documentation/virt/kvm/api.rst", "outside the model"),
    ],
)
def test_a_file_that_is_not_read(name: str, status: str, tmp_path: Path) -> None:
    assert changes(tmp_path, {FILE: BASE}, {FILE: BASE, name: "int x;\n"}) == [(name, "changed", status)]


def test_a_macro_of_a_header_is_not_expanded(tmp_path: Path) -> None:
    old, new = ({FILE: BASE, HEADER: f"#define twice(x) ((x) * {n})\n#define SIZE {n}\n"} for n in (2, 3))
    assert changes(tmp_path, old, new) == [("twice", "changed", "by hand"), ("SIZE", "changed", "checked from C")]


def test_what_the_parser_loses_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^virt/kvm/pfncache\.c:\d+: "):
        changes(tmp_path, {FILE: BASE}, {FILE: BASE.replace("return true;", "return true; {")})
