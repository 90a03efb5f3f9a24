# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import base64
from pathlib import Path

import pytest

from pfncache.kernels.patch_mail import SeriesError, read
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
