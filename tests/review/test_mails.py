# SPDX-License-Identifier: GPL-2.0-only
"""Series as mailers and people send them: the newest version is reviewed, and what was done with the mails is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pfncache.kernels.patch_mail import Cover, cover
from pfncache.review.patches import steps_of
from pfncache.review.report import PatchState
from pfncache.review.submission import Submission, of_mails, read_mails
from pfncache.series.trees import tree_at, with_series
from tests.csource.kvm.fault import PFNCACHE
from tests.csource.kvm.trees import source
from tests.review.test_review import BUSY, CHECK, LATE
from tests.review.threads import Step, diffs, head, in_base64, in_quoted_printable, mbox, patch

RELEASE = "7.3.4"
STEPS = [Step("KVM: pfncache: compare", CHECK), Step("KVM: pfncache: name a test", BUSY)]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TRAILERS = (
    'Fixes: 58cd407ca4c6 ("KVM: Fix multiple races in gfn=>pfn cache refresh")\n'
    "Suggested-by: Somebody <s@example.org>\nSigned-off-by: A Developer <dev@example.org>"
)  # fmt: skip


def submitted(path: Path) -> Submission:
    mails, notes = read_mails(path)
    tree = source(RELEASE)
    return of_mails(path, mails, notes, tree_at(tree, RELEASE, [name for mail in mails for name in mail.files]))


def applied(path: Path) -> str:
    """pfncache.c with the patches at a path."""
    submission = submitted(path)
    assert submission.tree is not None
    return with_series(submission.tree, submission.mails).texts[PFNCACHE].decode()


def letter(subject: str, text: str = "A series.") -> str:
    return f"{head(subject)}\n{text}\n\n 1 file changed\n\n"


@pytest.mark.parametrize("encode", [patch, in_base64, in_quoted_printable])
def test_an_encoding_does_not_matter(encode: Callable[[str, str], str], tmp_path: Path) -> None:
    bodies = diffs(source(RELEASE), tmp_path, STEPS)
    mails = [encode(f"[PATCH v3 {n}/2] KVM: step {n}", body) for n, body in enumerate(bodies, 1)]
    path = mbox(tmp_path / "v3.mbox", letter("[PATCH v3 0/2] KVM: two steps"), *mails)
    assert submitted(path).subjects == ["KVM: step 1", "KVM: step 2"]
    assert all(text in applied(path) for text in ("bool busy", "gpc->valid == false"))


def test_crlf_of_a_whole_file(tmp_path: Path) -> None:
    (body,) = diffs(source(RELEASE), tmp_path, STEPS[:1])
    path = tmp_path / "one.eml"
    path.write_bytes(patch("[PATCH] KVM: compare", body).replace("\n", "\r\n").encode())
    assert "gpc->valid == false" in applied(path)


def test_the_newest_version_of_a_thread(tmp_path: Path) -> None:
    old = diffs(source(RELEASE), tmp_path / "v1", [Step("KVM: pfncache: test", LATE)])
    new = diffs(source(RELEASE), tmp_path / "v2", [Step("KVM: pfncache: test", BUSY)])
    thread = mbox(
        tmp_path / "thread.mbox",
        letter("[PATCH 0/1] KVM: pfncache: the first try"),
        patch("[PATCH 1/1] KVM: pfncache: test", old[0], trailers=TRAILERS),
        f"{head('Re: [PATCH 1/1] KVM: pfncache: test')}\n> {old[0].splitlines()[0]}\n\nWhat of this?\n\n{old[0]}\n",
        letter("[PATCH v2 0/1] KVM: pfncache: the second try", f"Better.\n\nbase-commit: {COMMIT}"),
        patch("[PATCH v2 1/1] KVM: pfncache: test", new[0], trailers=TRAILERS),
        f"{head('AW: [PATCH v2 1/1] KVM: pfncache: test')}\nFine.\n\n{old[0]}\n",
        f"{head('Re: [PATCH v2 0/1] KVM: pfncache: the second try')}\nReviewed-by: Somebody <s@example.org>\n",
    )
    submission = submitted(thread)
    assert (submission.title, submission.version) == ("KVM: pfncache: the second try", 2)
    assert submission.notes == (
        "v1 and v2 are there: v2 is taken",
        "base-commit is 0123456789ab; reviewed on Linux 7.3.4",
    )
    (mail,) = submission.mails
    assert b"bool busy" in mail.diff and b"> 1)" not in mail.diff
    assert "bool busy" in applied(thread)


def test_a_base_commit_below_the_patch_of_a_single_mail(tmp_path: Path) -> None:
    (body,) = diffs(source(RELEASE), tmp_path, STEPS[:1])
    path = tmp_path / "one.patch"
    path.write_text(patch("[PATCH v4] KVM: x", f"{body}\nbase-commit: {COMMIT}\n"))
    assert cover(path) == Cover(version=4, base_commit=COMMIT)
    assert "gpc->valid == false" in applied(path)


def test_a_patch_that_is_missing_is_said(tmp_path: Path) -> None:
    mails = [
        patch(f"[PATCH {n}/3] KVM: x", body)
        for n, body in zip((1, 3), diffs(source(RELEASE), tmp_path, STEPS), strict=True)
    ]
    submission = submitted(mbox(tmp_path / "s.mbox", *mails))
    assert submission.notes == ("patch 2 of 3 is missing",)
    assert submission.title == "s, 2 patches"


@pytest.mark.slow
def test_a_renamed_file_and_one_that_the_model_does_not_have(tmp_path: Path) -> None:
    text = (
        "diff --git a/virt/kvm/binary_stats.c b/virt/kvm/stats.c\nsimilarity index 100%\n"
        "rename from virt/kvm/binary_stats.c\nrename to virt/kvm/stats.c\n"
        "diff --git a/Documentation/virt/kvm/ours.rst b/Documentation/virt/kvm/ours.rst\nnew file mode 100644\n"
        "--- /dev/null\n+++ b/Documentation/virt/kvm/ours.rst\n@@ -0,0 +1 @@\n+Ours.\n"
    )
    (step,) = steps_of(submitted(mbox(tmp_path / "s.mbox", patch("[PATCH] KVM: rename", text))))
    assert step.patch.state is PatchState.CHECKED
    assert {(c.name, c.status.value) for c in step.patch.changes} == {
        ("Documentation/virt/kvm/ours.rst", "outside the model"),
        ("kvm_stats_read", "outside the model"),
    }
