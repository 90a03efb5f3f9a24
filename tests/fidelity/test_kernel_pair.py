# SPDX-License-Identifier: GPL-2.0-only
"""What is compared with what, for kernels that the model has and for others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pfncache.csource.kvm.translation import translate
from pfncache.designs.catalogue import DESIGNS
from pfncache.fidelity.cited import citations, definition
from pfncache.fidelity.kernel_pair import KernelPair, has_design, nearest, pair_of
from pfncache.fidelity.known import DIFFERENCES, REFUSALS
from pfncache.kernels.patch_mail import SeriesError
from pfncache.scenarios import DEFAULT_SCENARIOS
from tests.csource.edits import Change, substitute
from tests.csource.kvm.trees import copied, source

PFNCACHE = "virt/kvm/pfncache.c"
RETRY = Change(
    PFNCACHE, "mmu_notifier_retry_cache",
    substitute(r"if \(kvm->mn_active_invalidate_count\)", "if (kvm->mn_active_invalidate_count > 5)"),
)  # fmt: skip
UNKNOWN = Change(PFNCACHE, "kvm_gpc_check", substitute(r"if \(!gpc->valid\)", "if (no_such_function(gpc))"))
RELEASES = {"mainline-7.3": "7.3.4", "mainline-7.2": "7.2.12", "mainline-6.12": "6.12.117"}


def edited(folder: Path, version: str, *changes: Change) -> Path:
    """Copy what is read of 7.3.4, edit it, and give it a version."""
    tree = copied("7.3.4", folder / "linux")
    for name in citations():
        if (source("7.3.4") / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source("7.3.4") / name, tree / name)
    numbers = dict(zip(("VERSION", "PATCHLEVEL", "SUBLEVEL"), version.split("."), strict=True))
    (tree / "Makefile").write_text("".join(f"{name} = {number}\n" for name, number in numbers.items()))
    for change in changes:
        change.apply(tree)
    return tree


def pair(tree: Path) -> KernelPair:
    return pair_of(tree, lambda version: source("7.3.4") if version == "7.3" else None)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("7.3.9", ["7.3", "7.2", "6.18", "6.12"]),
        ("7.4", ["7.3", "7.2", "6.18", "6.12"]),
        ("6.19.2", ["6.18", "6.12", "7.2", "7.3"]),
        ("6.1.1", ["6.12", "6.18", "7.2", "7.3"]),
        ("10.0", ["7.3", "7.2", "6.18", "6.12"]),
    ],
)
def test_nearest(version: str, expected: list[str]) -> None:
    assert nearest(version) == expected


def test_has_design() -> None:
    assert has_design("7.3.4")
    assert has_design("6.12.117")
    assert not has_design("7.4.0")
    assert not has_design("7.30.1")


def test_a_kernel_that_the_model_has_is_beside_the_model(tmp_path: Path) -> None:
    found = pair(edited(tmp_path, "7.3.4", RETRY))
    assert (found.reference.name, found.subject.name, found.is_drift) == ("mainline-7.3", "linux-7.3.4", False)
    assert (found.since, [(c.name, c.status) for c in found.changes]) == (
        "7.3.4", [("mmu_notifier_retry_cache", "checked from C")],
    )  # fmt: skip
    assert (found.refused, found.unseen) == ((), [])


def test_the_source_itself_has_no_changes() -> None:
    found = pair(source("7.3.4"))
    assert (found.since, found.changes) == ("", ())


def test_another_kernel_is_beside_the_nearest_c(tmp_path: Path) -> None:
    found = pair(edited(tmp_path, "7.4.1", RETRY))
    assert (found.reference.name, found.subject.name, found.is_drift) == ("linux-7.3.4", "linux-7.4.1", True)
    assert (found.since, [c.name for c in found.changes]) == ("7.3.4", ["mmu_notifier_retry_cache"])


@pytest.mark.parametrize("version", ["7.3.4", "7.4.1"])
def test_a_function_that_cannot_be_translated_is_not_seen(tmp_path: Path, version: str) -> None:
    found = pair(edited(tmp_path, version, UNKNOWN))
    unseen = {change.name: change.what for change in found.unseen}
    assert unseen["kvm_gpc_check"].startswith("the model has no no_such_function()")


SECTION = Change("arch/x86/kvm/mmu/mmu.c", "kvm_zap_gfn_range", substitute(r"\tguard\(srcu\)[^;]*;\n", ""))


@pytest.mark.parametrize("version", ["7.3.4", "7.4.1"])
def test_a_function_that_the_model_has_by_hand_has_changed(tmp_path: Path, version: str) -> None:
    found = pair(edited(tmp_path, version, SECTION))
    assert [(c.file, c.name, c.how, c.status) for c in found.changes] == [
        ("arch/x86/kvm/mmu/mmu.c", "kvm_zap_gfn_range", "changed", "by hand")
    ]
    assert (found.unseen == list(found.changes)) == (version == "7.4.1")


def test_a_file_that_the_model_has_by_hand_is_gone(tmp_path: Path) -> None:
    tree = edited(tmp_path, "7.4.1")
    (tree / "mm" / "gup.c").unlink()
    assert [(c.kind, c.file, c.how) for c in pair(tree).changes] == [("file", "mm/gup.c", "removed")]


def test_what_the_model_cites_is_found_in_the_source() -> None:
    tree = source("7.3.4")
    texts = {file: (tree / file).read_text(errors="replace") for file in citations() if (tree / file).is_file()}
    found = {name for file, text in texts.items() for name in citations()[file] if definition(text, name)[0]}
    assert {"kvm_zap_gfn_range", "tdp_mmu_zap_leafs", "do_anonymous_page", "unmap_mapping_folio"} <= found
    assert len(found) > 300


def test_definition() -> None:
    text = "int f(int a);\n\nstatic int\nf(int a)\n{\n\treturn a; /* ours */\n}\n\nint g(void)\n{\n\treturn f(1);\n}\n"
    assert definition(text, "g") == (9, "int g ( void ) { return f ( 1 ) ; }")
    assert definition(text, "f") == (4, "f ( int a ) { return a ; }")
    assert definition(text, "h") == (0, "")


def test_without_any_source_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=r"has no model, .* \(7\.3, 7\.2, .*fetch --source 7\.3$"):
        pair_of(edited(tmp_path, "7.4.1"), lambda version: None)


def test_a_folder_that_is_no_kernel(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="is no kernel tree: it has no Makefile"):
        pair(tmp_path)
    (tmp_path / "Makefile").write_text("all:\n")
    with pytest.raises(SeriesError, match="its Makefile has no VERSION and PATCHLEVEL"):
        pair(tmp_path)
    (tmp_path / "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 3\n")
    with pytest.raises(SeriesError, match=r"it has no virt/kvm/pfncache\.c"):
        pair(tmp_path)


def test_what_is_explained_is_still_so() -> None:
    """A refusal whose function is translated by now, and a scenario that is gone, have no reason left."""
    assert set(DIFFERENCES) | set(REFUSALS) <= set(DESIGNS)
    assert {name for rows in DIFFERENCES.values() for name in rows} <= set(DEFAULT_SCENARIOS)
    for design, reasons in REFUSALS.items():
        release = RELEASES[design]
        assert set(translate(source(release), version=release).refused) == set(reasons)
