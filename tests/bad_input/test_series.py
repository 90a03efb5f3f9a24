# SPDX-License-Identifier: GPL-2.0-only
"""Bad input of verify --series and --tree: an exit status and one line, before anything is searched."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.commands.exit_status import ExitStatus
from tests.conftest import Call
from tests.csource.edits import Change, mail, substitute
from tests.csource.kvm.trees import source

PFNCACHE = "virt/kvm/pfncache.c"
COUNT = r"if \(kvm->mn_active_invalidate_count\)"
MAIL = "From: Us <us@example.org>\nSubject: [PATCH] KVM: a change\n\nText.\n---\n"


def diff(file: str, hunk: str) -> str:
    return f"{MAIL}diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n{hunk}"


OUTSIDE = (
    f"{MAIL}diff --git a/new.rst b/new.rst\nnew file mode 100644\n--- /dev/null\n+++ b/new.rst\n@@ -0,0 +1 @@\n+text\n"
)
OTHER = diff(PFNCACHE, "@@ -3,1 +3,1 @@ int f(void)\n-\tnothing_of_the_kind();\n+\tx();\n")
LONG = diff(PFNCACHE, "@@ -1,0 +1,10000 @@\n" + "+int x;\n" * 10_000)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--series", "none.mbox"], "no series 'none.mbox': no such file or folder"),
        (["--series", "empty.mbox"], "no patch in empty.mbox; give a folder of git format-patch, or an mbox"),
        (["--series", "binary.mbox"], "no patch in binary.mbox; give a folder of git format-patch, or an mbox"),
        (["--series", "other.mbox", "--base", "9.9"], "the model has no Linux 9.9; it has 7.3, 7.2, 6.18, 6.12"),
        (["--series", "other.mbox", "--base", "x"], "the model has no Linux x; it has 7.3, 7.2, 6.18, 6.12"),
        (["--series", "long.mbox"],
         "patch 1 (KVM: a change) changes 10,000 lines of KVM's files, more than 5,000; split it"),
        (["--series", "other.mbox", "rfc-v4"],
         "--series and --tree are designs of their own; leave out the names"),
        (["--base", "7.3"], "--base is that of a series; give --series MBOX, too"),
        (["--range", "A..B"], "--range is of commits in a tree; give --tree DIR, too"),
        (["--tree", "none"], "--tree none: no such folder"),
        (["--tree", "."], "is no kernel tree: it has no Makefile"),
    ],
)  # fmt: skip
def test_usage(words: list[str], message: str, pfncache: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.mbox").write_bytes(b"")
    Path("binary.mbox").write_bytes(bytes(range(256)) * 40)
    Path("other.mbox").write_text(OTHER)
    Path("long.mbox").write_text(LONG)
    done = pfncache("verify", *words)
    assert (done.code, done.out) == (ExitStatus.USAGE, "")
    assert done.err.splitlines()[-1].endswith(message)


def test_a_series_for_another_base(pfncache: Call, tmp_path: Path) -> None:
    path = tmp_path / "other.mbox"
    path.write_text(OTHER)
    done = pfncache("verify", "--series", str(path), "--tree", str(source("7.3.4")))
    assert (done.code, done.out) == (ExitStatus.USAGE, "")
    last = done.err.splitlines()[-1]
    assert last == (
        f"Error: patch 1 (KVM: a change) does not apply: {PFNCACHE}, hunk 1 of 1, at line 3, in int f(void)"
    )


def test_a_series_outside_the_model(pfncache: Call, tmp_path: Path) -> None:
    path = tmp_path / "outside.mbox"
    path.write_text(OUTSIDE)
    done = pfncache("verify", "--series", str(path), "--tree", str(source("7.3.4")))
    assert (done.code, done.out) == (ExitStatus.INCOMPLETE, "")
    assert "the series changes nothing that the model has: new.rst;" in done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("if (NO_SUCH(kvm))", ExitStatus.INCOMPLETE, "mmu_notifier_retry_cache(): the model has no NO_SUCH();"),
        ("if (kvm->gpc_lock +)", ExitStatus.INCOMPLETE, "the function does not parse as C; correct the syntax"),
        ("if (1) {", ExitStatus.USAGE, "a brace that this line opens is not closed"),
        ("if (kvm", ExitStatus.INCOMPLETE, "the function does not parse as C; correct the syntax"),
    ],
)
def test_c_that_cannot_be_checked(text: str, status: int, message: str, pfncache: Call, tmp_path: Path) -> None:
    tree = source("7.3.4")
    path = mail(tree, tmp_path, [Change(PFNCACHE, "mmu_notifier_retry_cache", substitute(COUNT, text))])
    done = pfncache("verify", "--series", str(path), "--tree", str(tree), "-s", "gpc/refresh-twice")
    assert done.code == status
    (line,) = [line for line in (done.out + done.err).splitlines() if message in line]
    assert f"{PFNCACHE}:" in line
