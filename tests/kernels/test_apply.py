# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.kernels.apply import apply
from pfncache.kernels.patch_mail import SeriesError, read
from tests.kernels.posted import BEFORE, SOURCE, diff, folder, mail

AFTER = BEFORE.replace("= 7", "= 8")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source/virt/kvm").mkdir(parents=True)
    (tmp_path / "source" / SOURCE).write_text(BEFORE)
    (tmp_path / "source/virt/kvm/old.c").write_text("int old;\n")
    (tmp_path / "into").mkdir()
    return tmp_path / "source"


def test_each_on_top_of_the_one_before(source: Path, tmp_path: Path) -> None:
    series = folder(
        tmp_path / "series",
        mail("[PATCH 1/3] one", diff(BEFORE, AFTER)),
        mail("[PATCH 2/3] two", diff(AFTER, AFTER.replace("= 8", "= 9")) + diff("", "int new;\n", "virt/kvm/new.c")),
        mail("[PATCH 3/3] three", diff("int old;\n", "", "virt/kvm/old.c")),
    )
    assert apply(read(series), source, tmp_path / "into") == [SOURCE, "virt/kvm/new.c", "virt/kvm/old.c"]
    assert (tmp_path / "into" / SOURCE).read_text() == BEFORE.replace("= 7", "= 9")
    assert (tmp_path / "into/virt/kvm/new.c").read_text() == "int new;\n"
    assert not (tmp_path / "into/virt/kvm/old.c").exists()
    assert (source / SOURCE).read_text() == BEFORE and (source / "virt/kvm/old.c").exists()


def test_which_hunk(source: Path, tmp_path: Path) -> None:
    other = BEFORE.replace("pfn -= 1;\n	return", "pfn -= 2;\n	return")
    text = diff(other, other.replace("valid = 1", "valid = 2").replace("pfn -= 2", "pfn -= 3"))
    text = text.replace("@@ -13,6 +13,6 @@", "@@ -13,6 +13,6 @@ int refresh(int cache)")
    series = read(
        folder(tmp_path / "series", mail("[PATCH 1/2] one", diff("", "x\n", "x")), mail("[PATCH 2/2] two", text))
    )
    with pytest.raises(SeriesError) as error:
        apply(series, source, tmp_path / "into")
    assert str(error.value) == (
        "patch 2 (two) does not apply: virt/kvm/cache.c, hunk 2 of 2, at line 13, in int refresh(int cache)"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (diff("int a;\n", "int b;\n", "virt/kvm/none.c"), "virt/kvm/none.c: No such file or directory"),
        (diff("", "int a;\n", SOURCE), f"{SOURCE}: already exists in working directory"),
        (diff(BEFORE, AFTER)[:-30] + "\n", "corrupt patch at line 11"),
    ],
)
def test_what_git_says(source: Path, tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "one.patch"
    path.write_text(text)
    with pytest.raises(SeriesError) as error:
        apply(read(path), source, tmp_path / "into")
    assert str(error.value) == f"patch 1 (one) does not apply: {why}"
