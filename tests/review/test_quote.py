# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of a patch are quoted."""

from __future__ import annotations

from pfncache.kernels.patch_mail import PatchMail
from pfncache.review.quote import MAX_QUOTED, quoted, quoted_at, quoted_by_trace, quoted_change
from pfncache.series.change import SourceChange, Status
from pfncache.verify.trace import TraceRow
from tests.kernels.posted import BEFORE, SOURCE, diff

AFTER = BEFORE.replace("valid = 1;", "valid = 2;").replace("pfn -= 1;\n\treturn", "pfn -= 9;\n\treturn")
TEXT = diff(BEFORE, AFTER).replace("@@ -13,6 +13,6 @@", "@@ -13,6 +13,6 @@ int refresh(int cache)")
MAIL = PatchMail(1, "KVM: both", 1, TEXT.encode())
VALID = ("-\tint valid = 1;", "+\tint valid = 2;")
PFN = ("-\tpfn -= 1;", "+\tpfn -= 9;")


def row(line: int, function: str, file: str = SOURCE) -> TraceRow:
    return TraceRow(cpu=0, actor="a", function=function, source=f"{file}:{line}", text="", changes=())


def change(name: str, line: int) -> SourceChange:
    return SourceChange(kind="function", name=name, file=SOURCE, line=line, status=Status.CHECKED)


def heading() -> tuple[str, ...]:
    last = MAIL.hunks[-1]
    return (f"@@ {last.heading}",) if last.heading else ()


def test_there_are_two_hunks() -> None:
    assert [hunk.new_line for hunk in MAIL.hunks] == [hunk.line for hunk in MAIL.hunks]
    assert len(MAIL.hunks) == 2


def test_the_added_line_that_was_run_last() -> None:
    assert quoted_by_trace([row(3, "invalidate"), row(5, "invalidate")], MAIL) == VALID
    line = AFTER.splitlines().index("\tpfn -= 9;") + 1
    assert quoted_by_trace([row(3, "invalidate"), row(line, "refresh")], MAIL) == (*heading(), *PFN)
    assert quoted_at(SOURCE, {line}, MAIL) == (*heading(), *PFN)
    assert quoted_at("other.c", {line}, MAIL) == ()


def test_without_such_a_line_the_function_that_was_run_last() -> None:
    assert quoted_by_trace([row(5, "invalidate"), row(1, "other", "mm/other.c")], MAIL) == VALID


def test_a_definition_by_its_name_or_else_by_its_line() -> None:
    assert quoted_change(change("invalidate", 1), MAIL) == VALID
    bare = PatchMail(1, "KVM: both", 1, TEXT.replace(" int refresh(int cache)", "").encode())
    assert quoted_change(change("renamed", 9), bare) == PFN
    assert quoted_change(change("renamed", 99), bare) == ()


def test_a_long_block_is_cut_around_its_line() -> None:
    lines = "".join(f"line {n};\n" for n in range(1, 41))
    (hunk,) = PatchMail(1, "new", 1, diff("", lines).encode()).hunks
    found = quoted(hunk, 20)
    assert len(found) == MAX_QUOTED
    assert "+line 20;" in found
