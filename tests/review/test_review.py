# SPDX-License-Identifier: GPL-2.0-only
"""What a review says of series of our own: of right ones, of five kinds of fault, and of what cannot be checked."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Call
from tests.csource.edits import Change, both, condition, insert, place, substitute
from tests.csource.kvm.fault import PFNCACHE, Fault
from tests.csource.kvm.faults import FAULTS
from tests.csource.kvm.rfc import V4
from tests.csource.kvm.trees import copied, source
from tests.docs.test_json import members
from tests.kernels.posted import diff as file_diff
from tests.review.conftest import Review, checked
from tests.review.threads import Step, folder_of, write
from tools.console import ROOT

RELEASE = "7.3.4"
RETRY = "mmu_notifier_retry_cache"
COUNT = r"if \(kvm->mn_active_invalidate_count\)"
BUSY = [Change(PFNCACHE, RETRY, substitute(COUNT, "bool busy = kvm->mn_active_invalidate_count != 0;\n\n\tif (busy)"))]
CHECK = [Change(PFNCACHE, "kvm_gpc_check", substitute(r"if \(!gpc->valid\)", "if (gpc->valid == false)"))]
LATE = [Change(PFNCACHE, RETRY, substitute(COUNT, "if (kvm->mn_active_invalidate_count > 1)"))]
SHORT = ("-s", "clock/anon/munmap")
EARLY = both(
    insert(place("gpc valid false"), "bool early = false;"),
    both(
        condition(place("mmu_notifier_retry_cache"), "early"),
        insert(place("write_lock_irq"), "early = mmu_notifier_retry_cache(gpc->kvm, gpc_seq);"),
    ),
)
"""The test whether to retry is made before gpc->lock is taken."""
KINDS = {
    "missing revalidation": FAULTS["check-ignores-valid"],
    "lock dropped": FAULTS["refresh-without-mutex"],
    "sequence read after the lookup": FAULTS["sequence-after-lookup"],
    "forgotten release": FAULTS["page-leaks"],
    "retry test too early": Fault("hva_to_pfn_retry", EARLY, "gpc/activate-munmap", "stale-translation"),
}
"""Faults of five kinds."""


@pytest.mark.slow
def test_a_right_series_holds(review: Review, tmp_path: Path) -> None:
    tree = source(RELEASE)
    path = write(tree, tmp_path, [Step("KVM: pfncache: name a test", BUSY), Step("KVM: pfncache: compare", CHECK)])
    run = review(path, "--tree", str(tree), *SHORT)
    assert run.code == 0, run.out + run.err
    lines = run.out.splitlines()
    assert lines[0] == "series, 2 patches, on Linux 7.3.4: nothing wrong was found."
    assert lines[2:6] == [
        "1/2 KVM: pfncache: name a test: holds, 0 new, 0 unchanged, 0 cured",
        f"    checked from C: {RETRY}()",
        "2/2 KVM: pfncache: compare: holds, 0 new, 0 unchanged, 0 cured",
        "    checked from C: kvm_gpc_check()",
    ]
    assert "kernel build: skipped: --no-kernel" in lines
    assert max(map(len, lines)) <= 72


def test_the_patch_that_breaks_is_named_and_quoted(review: Review, tmp_path: Path) -> None:
    tree = source(RELEASE)
    path = write(tree, tmp_path, [Step("KVM: pfncache: compare", CHECK), Step("KVM: pfncache: late", LATE)])
    run = review(path, "--tree", str(tree), *SHORT)
    assert run.code == 1
    start = run.out.index("> 2/2 KVM: pfncache: late\n")
    quoted, text = run.out[start:].split("\n\n")[:2]
    assert quoted.splitlines()[2:] == [
        "> -\tif (kvm->mn_active_invalidate_count)",
        "> +\tif (kvm->mn_active_invalidate_count > 1)",
    ]
    assert text == "stale-translation in clock/anon/munmap, which Linux 7.3.4 does not have:"
    assert "  if\n" in run.out or "mn_active_invalidate_count > 1" in run.out.split("CPU0: vcpu")[1].replace("\n", " ")
    assert "> 1/2" not in run.out
    again = f"pfncache review {path} --tree {tree} --no-kernel -s clock/anon/munmap"
    assert f"To see it again:\n  {again}\n" in run.out
    assert run.out.splitlines()[0] == "series, 2 patches, on Linux 7.3.4: the series is wrong."


@pytest.mark.slow
def test_what_a_later_patch_cures_is_a_fault_of_the_bisection(review: Review, tmp_path: Path) -> None:
    tree = source(RELEASE)
    back = [Change(PFNCACHE, RETRY, substitute(r"count > 1\)", "count > 0)"))]
    path = write(tree, tmp_path, [Step("KVM: pfncache: late", LATE), Step("KVM: pfncache: in time", back)])
    run = review(path, "--tree", str(tree), *SHORT, "--json")
    found = checked(run)["review"]
    assert (run.code, found["verdict"]) == (1, "faulty")
    assert [(p["verdict"], p["new"] > 0) for p in found["patches"]] == [("violated", True), ("holds", False)]
    faults = [f for f in found["findings"] if f["weight"] == "fault"]
    assert {(f["kind"], f["patch"]) for f in faults} == {("bisection", 1)}
    assert "until patch 2" in faults[0]["text"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_fault_is_found_in_its_patch(kind: str, review: Review, tmp_path: Path) -> None:
    tree = source(RELEASE)
    known = KINDS[kind]
    edit = Change(known.file, known.function, known.edit)
    path = write(tree, tmp_path, [Step("KVM: pfncache: compare", CHECK), Step(f"KVM: {kind}", [edit])])
    run = review(path, "--tree", str(tree), "-s", known.scenario, "--json")
    found = checked(run)["review"]
    assert run.code == 1, run.err
    (first,) = [f for f in found["findings"] if f["subject"].partition(" in ")[0] == known.property]
    assert (first["kind"], first["patch"], first["scenario"]) == ("violation", 2, known.scenario)
    assert any(line.startswith(("+", "-")) for line in first["quoted"])
    assert first["trace"]["steps"][-1]["function"]


@pytest.mark.slow
def test_a_dropped_barrier_is_a_fault_by_the_memory_model(review: Review, tmp_path: Path) -> None:
    from tests.litmus.trees import model

    model()  # skips the test where herd7 or the kernel's source is missing
    tree = source(RELEASE)
    drop = Step("KVM: pfncache: drop", [Change(PFNCACHE, RETRY, substitute(r"\tsmp_rmb\(\);\n", ""))])
    found = checked(review(write(tree, tmp_path, [drop]), "--tree", str(tree), "-s", "gpc/refresh-twice", "--json"))
    kinds = [(f["kind"], f["weight"], f["subject"]) for f in found["review"]["findings"]]
    assert ("litmus", "fault", "publish/invalidate") in kinds
    assert ("unseen", "unknown", f"{RETRY} checked from C") in kinds
    assert found["status"] == 1


def test_a_patch_that_does_not_apply_leaves_those_before_it(review: Review, tmp_path: Path) -> None:
    tree = source(RELEASE)
    good = write(tree, tmp_path, [Step("KVM: pfncache: compare", CHECK)])
    bodies = [next(good.iterdir()).read_text().partition("---\n")[2], file_diff("a\nb\n", "a\nc\n", PFNCACHE)]
    path = folder_of(tmp_path / "both", ["KVM: pfncache: compare", "KVM: pfncache: for another tree"], bodies)
    run = review(path, "--tree", str(tree), *SHORT, "--json")
    found = checked(run)["review"]
    assert (run.code, found["verdict"]) == (3, "incomplete")
    assert [(p["state"], p["verdict"]) for p in found["patches"]] == [("checked", "holds"), ("does not apply", None)]
    (finding,) = [f for f in found["findings"] if f["kind"] == "not-applied"]
    assert finding["text"].startswith("patch 2 (KVM: pfncache: for another tree) does not apply: virt/kvm/pfncache.c")
    assert finding["text"].endswith("(on Linux 7.3.4)")


@pytest.mark.slow
def test_a_series_outside_of_the_model(review: Review, tmp_path: Path) -> None:
    tree = source(RELEASE)
    body = file_diff("", "int other;\n", "drivers/other/other.c")
    path = folder_of(tmp_path / "series", ["other: a driver"], [body])
    run = review(path, "--tree", str(tree))
    assert run.code == 3
    text = " ".join(run.out.split())
    assert text.startswith("other: a driver, on Linux 7.3.4: it could not be checked.")
    assert "not checked: the series changes nothing that the model has: drivers/other/other.c." in text
    assert "outside the model: drivers/other/other.c" in text
    assert "verdicts: failed: no patch can be searched" in text


def test_a_design_is_reviewed_as_its_patches(review: Review) -> None:
    run = review("rfc-v4", "-s", "gmem/unmapped-punch", "--json")
    found = checked(run)["review"]
    assert (run.code, found["base"]) == (1, "no-direct-map-on-7.2")
    assert [p["verdict"] for p in found["patches"]] == ["violated"] * 4 + ["holds"]
    assert {(f["kind"], f["patch"]) for f in found["findings"] if f["weight"] == "fault"} == {("bisection", 1)}
    text = (ROOT / "docs/reference/json.md").read_text()
    rows = re.findall(r"^\| (`[^|]+) \|", text[text.index("## review") : text.index("## compare")], re.MULTILINE)
    named = {name.split(".")[-1] for row in rows for name in re.findall(r"`([\w.\[\]]+)`", row)}
    assert named == set(members(run.document))


@pytest.mark.slow
def test_the_steps_of_rfc_v4_in_c(review: Review, tmp_path: Path) -> None:
    tree = source(RELEASE)
    path = write(tree, tmp_path, [Step(f"KVM: pfncache: {name}", changes) for name, changes in V4.items()])
    run = review(path, "--tree", str(tree), "-s", "gmem/unmapped-punch", "--json")
    found = checked(run)["review"]
    assert run.code == 1
    faults = {(f["kind"], f["patch"], f["subject"].partition(" in ")[0]) for f in found["findings"] if f["trace"]}
    assert faults == {("violation", 1, "use-after-free"), ("violation", 1, "stale-translation")}
    (hidden,) = [f["text"] for f in found["findings"] if f["text"].startswith("stale-translation")]
    assert hidden.endswith("; whether the whole series has it is not known")
    assert {f["patch"] for f in found["findings"] if f["kind"] == "unreached"} >= {2, 4}


@pytest.mark.slow
def test_commits_of_a_tree_are_reviewed_as_mails(pfncache: Call, tmp_path: Path) -> None:
    tree = copied(RELEASE, tmp_path / "linux")
    (tree / "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n")
    git = ["git", "-C", str(tree), "-c", "user.name=Us", "-c", "user.email=us@example.org"]
    subprocess.run([*git, "init", "-q"], check=True, timeout=60)
    for subject, changes in (("base", []), ("KVM: first", CHECK), ("KVM: second", LATE)):
        for change in changes:
            change.apply(tree)
        subprocess.run([*git, "add", "-A"], check=True, timeout=60)
        subprocess.run([*git, "commit", "-q", "-m", subject], check=True, timeout=60)
    words = ("HEAD~2..HEAD", "--no-kernel", "--jobs", "1", "--json")
    run = pfncache("review", "--tree", str(tree), *words, *SHORT)
    found = checked(run)["review"]
    assert (run.code, found["title"]) == (1, "HEAD~2..HEAD")
    assert [(p["subject"], p["verdict"]) for p in found["patches"]] == [
        ("KVM: first", "holds"),
        ("KVM: second", "violated"),
    ]
    assert {f["patch"] for f in found["findings"] if f["weight"] == "fault"} == {2}
