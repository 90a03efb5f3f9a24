# SPDX-License-Identifier: GPL-2.0-only
"""--since and --junit: what an earlier review had found, and the report for the tools of CI."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from tests.review.conftest import Review, checked

SCENARIO = ("-s", "gmem/unmapped-punch")


def test_what_an_earlier_review_has_found_counts_no_more(review: Review, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.json"
    junit = tmp_path / "report.xml"
    first = review("rfc-v4", *SCENARIO, "--json", "--junit", str(junit))
    earlier.write_text(first.out)
    assert (first.code, [f["known"] for f in faults(first)]) == (1, [False, False])
    second = review("rfc-v4", *SCENARIO, "--json", "--since", str(earlier))
    assert (second.code, [f["known"] for f in faults(second)]) == (0, [True, True])
    cases = {case.get("name"): case for case in ET.parse(junit).getroot().iter("testcase")}
    failed = [name for name, case in cases.items() if case.find("failure") is not None]
    assert [name and name[:3] for name in failed] == ["1/5"]
    assert cases["stage kernel build"].find("skipped") is not None
    third = review("mainline-7.3", "--since", str(earlier), *SCENARIO)
    assert (third.code, "mainline-7.3 is what series are compared with" in third.err) == (2, True)


def faults(run: object) -> list[dict[str, object]]:
    return [f for f in checked(run)["review"]["findings"] if f["weight"] == "fault"]  # type: ignore[arg-type]


def test_another_file_is_refused(review: Review, tmp_path: Path) -> None:
    for text, why in (("{}", "is no document of `pfncache review --json`"), ("", "is no document")):
        (tmp_path / "other.json").write_text(text)
        run = review("rfc-v4", "--since", str(tmp_path / "other.json"))
        assert (run.code, why in run.err) == (2, True), run.err
    run = review("rfc-v4", "--since", str(tmp_path / "absent.json"), "--json")
    assert checked(run)["review"] is None
    assert (run.code, "No such file" in run.document["error"]) == (2, True)
