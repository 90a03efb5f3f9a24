# SPDX-License-Identifier: GPL-2.0-only
"""verify --series on the kernel's own C: what is right holds, what is wrong is found, what is unseen is named."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest

from pfncache.commands.exit_status import ExitStatus
from tests.conftest import Call
from tests.csource.edits import Change, mail, substitute
from tests.csource.kvm.trees import copied, source

PFNCACHE = "virt/kvm/pfncache.c"
RETRY = "mmu_notifier_retry_cache"
COUNT = r"if \(kvm->mn_active_invalidate_count\)"
GOOD = [
    Change(PFNCACHE, RETRY, substitute(COUNT, "if (kvm->mn_active_invalidate_count > 0)")),
    Change(PFNCACHE, RETRY, substitute(COUNT, "bool busy = kvm->mn_active_invalidate_count != 0;\n\n\tif (busy)")),
    Change(PFNCACHE, RETRY, substitute(COUNT, "if (!!kvm->mn_active_invalidate_count)")),
    Change(PFNCACHE, "kvm_gpc_check", substitute(r"if \(!gpc->valid\)", "if (gpc->valid == false)")),
    Change(PFNCACHE, "kvm_gpc_is_valid_len", substitute(r"return ", "if (false)\n\t\treturn false;\n\treturn ")),
]  # fmt: skip
WRONG = [
    Change(PFNCACHE, RETRY, substitute(COUNT, "if (kvm->mn_active_invalidate_count > 5)")),
    Change(PFNCACHE, RETRY, substitute(COUNT, "if (false)")),
    Change(PFNCACHE, "gfn_to_pfn_cache_invalidate_start", substitute(r"gpc->valid = false;", ";")),
]


@pytest.mark.slow
@pytest.mark.parametrize("edit", GOOD, ids=lambda edit: f"{edit.function}-{GOOD.index(edit)}")
def test_a_right_patch_holds(edit: Change, pfncache: Call, tmp_path: Path) -> None:
    tree = source("7.3.4")
    path = mail(tree, tmp_path, [edit])
    done = pfncache("verify", "--series", str(path), "--tree", str(tree), "-s", "clock/anon/munmap", "--jobs", "1")
    assert done.code == ExitStatus.OK, done.out + done.err
    assert f"{edit.function}()" in done.out
    assert "checked from C" in done.out
    assert "not seen" not in done.out


@pytest.mark.slow
@pytest.mark.parametrize("edit", WRONG, ids=lambda edit: f"{edit.function}-{WRONG.index(edit)}")
def test_a_wrong_patch_is_found_on_its_own_lines(edit: Change, pfncache: Call, tmp_path: Path) -> None:
    tree = source("7.3.4")
    path = mail(tree, tmp_path, [edit])
    words = ["verify", "--series", str(path), "--tree", str(tree), "-s", "clock/anon/munmap", "--jobs", "1", "--json"]
    done = pfncache(*words)
    assert done.code == ExitStatus.VIOLATED
    schema = json.loads((Path(__file__).parents[2] / "docs/reference/verify.schema.json").read_text())
    jsonschema.validate(done.document, schema)
    (design,) = done.document["designs"]
    assert [(c["name"], c["status"], c["how"]) for c in design["changes"]] == [
        (edit.function, "checked from C", "changed")
    ]
    (scenario,) = design["scenarios"]
    assert {v["against_base"] for v in scenario["violations"]} == {"new"}
    assert any(row["source"].startswith(f"{PFNCACHE}:") for row in scenario["violations"][0]["trace"])


def test_a_dropped_barrier_is_no_silent_holds(pfncache: Call, tmp_path: Path) -> None:
    tree = source("7.3.4")
    path = mail(tree, tmp_path, [Change(PFNCACHE, RETRY, substitute(r"\tsmp_rmb\(\);\n", ""))])
    done = pfncache("verify", "--series", str(path), "--tree", str(tree), "-s", "gpc/refresh-twice", "--jobs", "1")
    assert done.code == ExitStatus.INCOMPLETE
    (line,) = [line for line in done.out.splitlines() if line.startswith("not seen by this search")]
    assert f"{RETRY}(): smp_rmb() added, dropped or moved" in line


@pytest.mark.parametrize("more", [[], ["--each-patch"]])
def test_a_change_of_comments_alone(more: list[str], pfncache: Call, tmp_path: Path) -> None:
    tree = source("7.3.4")
    path = mail(tree, tmp_path, [Change(PFNCACHE, RETRY, substitute(r"\n\t", "\n\t/* Ours. */\n\t"))])
    done = pfncache("verify", "--series", str(path), "--tree", str(tree), *more)
    assert done.code == ExitStatus.INCOMPLETE
    assert "the series changes nothing that the model has" in done.err


def test_a_range_of_commits(pfncache: Call, tmp_path: Path) -> None:
    tree = copied("7.3.4", tmp_path / "linux")
    (tree / "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n")
    git = ["git", "-C", str(tree), "-c", "user.name=Us", "-c", "user.email=us@example.org"]
    subprocess.run([*git, "init", "-q"], check=True, timeout=60)
    for subject, edit in (("base", None), ("first", GOOD[0]), ("second", GOOD[3])):
        if edit is not None:
            edit.apply(tree)
        subprocess.run([*git, "add", "-A"], check=True, timeout=60)
        subprocess.run([*git, "commit", "-q", "-m", subject], check=True, timeout=60)
    words = ["verify", "--tree", str(tree), "--range", "HEAD~2..HEAD", "--each-patch", "-s", "gpc/refresh-twice"]
    done = pfncache(*words, "--jobs", "1", "--json")
    assert done.code == ExitStatus.OK, done.out + done.err
    found = [(d["design"], d["title"], [c["name"] for c in d["changes"]]) for d in done.document["designs"]]
    assert found == [("linux:1/2", "first", [RETRY]), ("linux:2/2", "second", ["kvm_gpc_check", RETRY])]
