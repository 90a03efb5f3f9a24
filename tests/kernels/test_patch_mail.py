# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import base64
from pathlib import Path

import pytest

from pfncache.kernels.patch_mail import SeriesError, read, write_series
from tests.kernels.posted import BEFORE, SOURCE, diff, folder, mail

COVER = mail("[PATCH RFC v4 0/2] KVM: a series", " 1 file changed\n")
FIRST = mail("[PATCH RFC v4 1/2] KVM: do\n one thing", diff(BEFORE, BEFORE.replace("= 7", "= 8")))
SECOND = mail("[PATCH RFC v4 2/2] KVM: do another", diff("", "int other;\n", "virt/kvm/other.c"))


def test_a_folder_and_an_mbox_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "series.mbox").write_text(SECOND + "\n" + COVER + "\n" + FIRST)
    series = read(folder(tmp_path / "series", COVER, FIRST, SECOND))
    assert [(p.number, p.version, p.subject) for p in series] == [
        (1, 4, "KVM: do one thing"),
        (2, 4, "KVM: do another"),
    ]
    assert [p.files for p in series] == [[SOURCE], ["virt/kvm/other.c"]]
    others = read(tmp_path / "series.mbox")
    assert [(p.subject, p.diff.strip()) for p in others] == [(p.subject, p.diff.strip()) for p in series]


def test_one_mail(tmp_path: Path) -> None:
    path = tmp_path / "fix.patch"
    path.write_text(diff(BEFORE, BEFORE.replace("= 7", "= 8")))  # git diff > fix.patch
    assert [(p.number, p.version, p.subject) for p in read(path)] == [(1, 1, "fix")]


def test_mail_that_was_encoded(tmp_path: Path) -> None:
    body = base64.encodebytes(diff("", "int é;\n", "virt/kvm/new.c").replace("\n", "\r\n").encode()).decode()
    head = "Subject: =?utf-8?q?=5BPATCH_v2=5D_KVM=3A_caf=C3=A9?=\nContent-Type: text/plain; charset=utf-8\n"
    (tmp_path / "one.eml").write_text(f"{head}Content-Transfer-Encoding: base64\n\n{body}")
    (patch,) = read(tmp_path)
    assert (patch.subject, patch.version) == ("KVM: café", 2)
    assert b"+int \xc3\xa9;\n" in patch.diff and b"\r" not in patch.diff


def test_patches_that_are_written_again_are_the_same(tmp_path: Path) -> None:
    long = mail(f"[PATCH 1/2] KVM: caf\u00e9 and {'much ' * 20}more", diff(BEFORE, BEFORE.replace("= 7", "= 8")))
    series = read(folder(tmp_path / "series", long, SECOND.replace("RFC v4 ", "")))
    (tmp_path / "again").mkdir()
    write_series(tmp_path / "again", series)
    assert [path.name for path in sorted((tmp_path / "again").iterdir())] == ["0001.patch", "0002.patch"]
    again = read(tmp_path / "again")
    assert [(p.number, p.subject, p.diff.strip()) for p in again] == [
        (p.number, p.subject, p.diff.strip()) for p in series
    ]


def test_answers_are_no_patches(tmp_path: Path) -> None:
    (tmp_path / "thread.mbox").write_text(
        FIRST + "\n" + mail("Re: [PATCH RFC v4 1/2] KVM: do one thing", diff("", "x"))
    )
    assert [p.subject for p in read(tmp_path / "thread.mbox")] == ["KVM: do one thing"]


def test_hunks_and_functions(tmp_path: Path) -> None:
    text = diff(BEFORE, BEFORE.replace("valid = 1", "valid = 2").replace("pfn -= 1;\n\treturn", "return"))
    text = text.replace("@@ -13,6 +13,5 @@", "@@ -13,6 +13,5 @@ int refresh(int cache)")
    (patch,) = read(folder(tmp_path / "series", mail("[PATCH] KVM: both", text)))
    assert [(h.path, h.line, h.heading, len(h.body)) for h in patch.hunks] == [
        (SOURCE, 1, "", 7),
        (SOURCE, 13, "int refresh(int cache)", 6),
    ]
    assert patch.functions == {"invalidate", "refresh"}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "no series '{}': no such file or folder"),
        (lambda path: path.mkdir(), "no patch in {}; give a folder of git format-patch, or an mbox"),
        (lambda path: path.write_text("Hello\n"), "no patch in {}; give a folder of git format-patch, or an mbox"),
        (
            lambda path: path.write_text(mail("[PATCH] out", diff("", "x\n", "../out.c"))),
            "'out' changes '../out.c', which is not in the kernel's tree",
        ),
    ],
)  # fmt: skip
def test_no_series(tmp_path: Path, make: object, why: str) -> None:
    path = tmp_path / "series"
    assert callable(make)
    make(path)
    with pytest.raises(SeriesError) as error:
        read(path)
    assert str(error.value) == why.format(path)


def _patch(prefix: str, name: str) -> str:
    return mail(f"[{prefix}] KVM: {name}", diff(BEFORE, BEFORE.replace("= 7", "= 8"), f"virt/kvm/{name}.c"))


@pytest.mark.parametrize(
    ("mails", "taken", "says"),
    [
        # Two whole versions, in any order, and with another number of patches.
        ([("PATCH 1/2", "a"), ("PATCH 2/2", "b"), ("PATCH v2 1/2", "a"), ("PATCH v2 2/2", "b")], ["2:1", "2:2"],
         ["v1 and v2 are there: v2 is taken"]),
        ([("PATCH v2 1/2", "a"), ("PATCH v2 2/2", "b"), ("PATCH 1/2", "a"), ("PATCH 2/2", "b")], ["2:1", "2:2"],
         ["v1 and v2 are there: v2 is taken"]),
        ([("PATCH 1/2", "a"), ("PATCH 2/2", "b"), ("RFC PATCH v3 1/1", "c")], ["3:1"],
         ["v1 and v3 are there: v3 is taken"]),
        ([("PATCH v10 1/1", "a"), ("PATCH v9 1/1", "a"), ("PATCH 1/1", "a")], ["10:1"],
         ["v1, v9 and v10 are there: v10 is taken"]),
        # One patch was sent again.
        ([("PATCH 1/3", "a"), ("PATCH 2/3", "b"), ("PATCH 3/3", "c"), ("PATCH v2 2/3", "b")], ["1:1", "2:2", "1:3"],
         ["v1 and v2 are there: v2 is taken, with patch 1 (v1), 3 (v1)"]),
        # Single patches: a later version replaces the one of the same subject alone.
        ([("PATCH", "a"), ("PATCH v2", "a")], ["2:2"],
         ["v1 and v2 are there: v2 is taken"]),
        ([("PATCH", "a"), ("PATCH v3", "b")], ["1:1", "3:2"], []),
        # The same mail twice, by two lists.
        ([("PATCH 1/2", "a"), ("PATCH 1/2", "a"), ("PATCH 2/2", "b")], ["1:1", "1:2"], []),
        ([("PATCH 1/3", "a"), ("PATCH 3/3", "c")], ["1:1", "1:3"], ["patch 2 of 3 is missing"]),
        ([("PATCH 0/2", "cover-with-interdiff"), ("PATCH 1/2", "a"), ("PATCH 2/2", "b")], ["1:1", "1:2"], []),
    ],
)  # fmt: skip
def test_newest_version_is_taken(
    tmp_path: Path, mails: list[tuple[str, str]], taken: list[str], says: list[str]
) -> None:
    box = tmp_path / "thread.mbox"
    box.write_text("\n".join(_patch(prefix, name) for prefix, name in mails))
    lines: list[str] = []
    assert [f"{p.version}:{p.number}" for p in read(box, lines.append)] == taken
    assert lines == says
