# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache review --html``: the violations of a series, step by step."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import Call
from tests.review.conftest import Review

SERIES = ("rfc-v4", "-s", "gmem/unmapped-punch")


def test_each_violation_is_on_the_page(review: Review, tmp_path: Path) -> None:
    path = tmp_path / "review.html"
    run = review(*SERIES, "--html", str(path))
    assert run.code == 1, run.err
    page = path.read_text()
    found = [line.removeprefix("=> ") for line in run.out.splitlines() if line.startswith("=> ")]
    assert len(found) == 1  # of the two, the text shows the shortest one
    assert found[0] in page
    assert re.findall(r'id="(finding-\d+)"', page) == ["finding-1", "finding-2"]
    assert "pfncache review rfc-v4 --no-kernel -s gmem/unmapped-punch" in page


def test_a_page_without_a_folder_is_refused(pfncache: Call, tmp_path: Path) -> None:
    run = pfncache("review", *SERIES, "--no-kernel", "--html", str(tmp_path / "no" / "review.html"))
    assert run.code == 2
    assert f"there is no folder {tmp_path / 'no'}" in run.err
