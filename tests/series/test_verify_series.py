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
from tests.csource.kvm.trees import source
from tests.series.edits import Edit, mail

PFNCACHE, GMEM = "virt/kvm/pfncache.c", "virt/kvm/guest_memfd.c"
RETRY = "mmu_notifier_retry_cache"
COUNT = r"if \(kvm->mn_active_invalidate_count\)"
GOOD = [
    Edit(PFNCACHE, RETRY, COUNT, "if (kvm->mn_active_invalidate_count > 0)"),
    Edit(PFNCACHE, RETRY, COUNT, "bool busy = kvm->mn_active_invalidate_count != 0;\n\n\tif (busy)"),
    Edit(PFNCACHE, RETRY, COUNT, "if (!!kvm->mn_active_invalidate_count)"),
    Edit(PFNCACHE, "kvm_gpc_check", r"if \(!gpc->valid\)", "if (gpc->valid == false)"),
    Edit(PFNCACHE, "kvm_gpc_is_valid_len", r"return ", "bool fits;\n\n\tfits = true;\n\tif (!fits)\n\t\treturn false;\n\treturn "),  # noqa: E501
]  # fmt: skip
WRONG = [
    Edit(PFNCACHE, RETRY, COUNT, "if (kvm->mn_active_invalidate_count > 5)"),
    Edit(PFNCACHE, RETRY, COUNT, "if (false)"),
    Edit(PFNCACHE, "gfn_to_pfn_cache_invalidate_start", r"gpc->valid = false;", ";"),
]


@pytest.mark.slow
@pytest.mark.parametrize("edit", GOOD, ids=lambda edit: f"{edit.function}-{GOOD.index(edit)}")
def test_a_right_patch_holds(edit: Edit, pfncache: Call, tmp_path: Path) -> None:
    tree = source("7.3.4")
    path = mail(tree, tmp_path, [edit])
    done = pfncache("verify", "--series", str(path), "--tree", str(tree), "-s", "clock/anon/munmap", "--jobs", "1")
    assert done.code == ExitStatus.OK, done.out + done.err
    assert f"{edit.function}()" in done.out
    assert "checked from C" in done.out
    assert "not seen" not in done.out


@pytest.mark.slow
@pytest.mark.parametrize("edit", WRONG, ids=lambda edit: f"{edit.function}-{WRONG.index(edit)}")
def test_a_wrong_patch_is_found_on_its_own_lines(edit: Edit, pfncache: Call, tmp_path: Path) -> None:
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
    assert [v["against_base"] for v in scenario["violations"]] == ["new"]
    assert any(row["source"].startswith(f"{PFNCACHE}:") for row in scenario["violations"][0]["trace"])


def test_a_dropped_barrier_is_no_silent_holds(pfncache: Call, tmp_path: Path) -> None:
    tree = source("7.3.4")
    path = mail(tree, tmp_path, [Edit(PFNCACHE, RETRY, r"\tsmp_rmb\(\);\n", "")])
    done = pfncache("verify", "--series", str(path), "--tree", str(tree), "-s", "gpc/refresh-twice", "--jobs", "1")
    assert done.code == ExitStatus.INCOMPLETE
    (line,) = [line for line in done.out.splitlines() if line.startswith("not seen by this search")]
    assert f"{RETRY}(): smp_rmb() added, dropped or moved" in line


def test_each_patch_and_a_range_of_commits(pfncache: Call, tmp_path: Path) -> None:
    """The same change as a series of one and as a commit in a repository."""
    tree = source("7.3.4")
    path = mail(tree, tmp_path, [Edit(GMEM, "kvm_gmem_get_pfn", r"\{\s*\}|\n\treturn ", "\n\n\treturn ")])
    if "@@" not in path.read_text():
        pytest.skip("kvm_gmem_get_pfn() of this source has no return")
    assert subprocess.run(["git", "--version"], check=True, capture_output=True).returncode == 0
    done = pfncache("verify", "--series", str(path), "--tree", str(tree), "--each-patch")
    assert done.code == ExitStatus.INCOMPLETE
    assert "changes nothing that the model has" in done.err
