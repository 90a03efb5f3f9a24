# SPDX-License-Identifier: GPL-2.0-only
"""KTAP of the command, read by parsers that others wrote: tap.py, and the kernel's kunit_parser.py where it is."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tap.parser import Parser

from pfncache import user_cache
from pfncache.designs.catalogue import DESIGNS
from pfncache.selftests import view
from pfncache.selftests.comparison import KernelResults
from pfncache.selftests.ktap import Directive, Line
from pfncache.selftests.outcome import SelftestOutcome, SelftestStatus
from pfncache.selftests.runner import SelftestResult
from pfncache.selftests.selftest import Selftest
from tests.conftest import Call

DESIGN = DESIGNS["mainline-7.3"]
LINES = (
    Line("passes", True, notes=["a note", "Subtest: no heading", "ok 1 no result"]),
    Line("is-known", True, Directive.XFAIL, "known #3", ["it fails"]),
    Line("is-better", True, Directive.XPASS, "differs from its model"),
    Line("cannot", True, Directive.SKIP, "no such thing"),
    Line("breaks", False, notes=["KTAP version 1", "1..7"]),
    Line("hangs", False, Directive.TIMEOUT, "", ["not done"]),
)


def _tests() -> list[Selftest]:
    return [Selftest(f"{group}/{line.name}", "", "", lambda machine: None) for group in "ab" for line in LINES]


def _results() -> Iterator[SelftestResult]:
    for test in _tests():
        outcome = SelftestOutcome(status=SelftestStatus.PASS)
        line = next(line for line in LINES if line.name == test.short)
        yield SelftestResult(test=test, outcome=outcome, line=line)


def _document(kernels: int, capsys: pytest.CaptureFixture[str]) -> str:
    pending = [(KernelResults(f"7.{n}", DESIGN.name, "a kernel"), _results()) for n in range(kernels)]
    view.show(pending, _tests(), view.Format(columns=kernels))
    return capsys.readouterr().out


def _tap(text: str, depth: int) -> Counter[tuple[bool, bool]]:
    """Count (ok, skip) of the results at a depth, as tap.py reads them without their indentation."""
    indent = "  " * depth
    lines = [line.removeprefix(indent) for line in text.splitlines() if line.startswith(indent)]
    read = [line for line in Parser().parse_text("\n".join(lines)) if line.category == "test"]
    return Counter((line.ok, line.skip) for line in read)


EACH = {(True, False): 3, (True, True): 1, (False, False): 2}
"""Of LINES: ok, skipped, not ok."""


@pytest.mark.parametrize(("kernels", "depth"), [(1, 1), (2, 2)])
def test_tap_py_reads_it(kernels: int, depth: int, capsys: pytest.CaptureFixture[str]) -> None:
    text = _document(kernels, capsys)
    assert _tap(text, depth) == {key: 2 * kernels * count for key, count in EACH.items()}
    assert _tap(text, 0) == {(False, False): 2 if kernels == 1 else kernels}


def test_tap_py_reads_the_command(pfncache: Call) -> None:
    run = pfncache("selftest", "--machine", "model", "series", "memslots")
    assert _tap(run.out, 0) == {(True, False): 2}
    assert _tap(run.out, 1)[False, False] == 0
    assert _tap(run.out, 1)[True, True] == 3


def _kunit() -> Any:
    """The kernel's parser, from a source in the user's cache."""
    found = sorted(user_cache.root().glob("sources/*/source/tools/testing/kunit/kunit_parser.py"))
    found += sorted(Path.home().glob(".cache/pfncache/sources/*/source/tools/testing/kunit/kunit_parser.py"))
    if not found:
        pytest.skip("no kernel source here: pfncache kernel build --base 7.3 fetches it")
    sys.path.insert(0, str(found[0].parent))
    try:
        return importlib.import_module("kunit_parser"), importlib.import_module("kunit_printer")
    finally:
        sys.path.pop(0)


@pytest.mark.slow
@pytest.mark.parametrize("kernels", [1, 2])
def test_kunit_parser_reads_it(kernels: int, capsys: pytest.CaptureFixture[str]) -> None:
    parser, printer = _kunit()
    text = _document(kernels, capsys)
    read = parser.parse_run_tests(text.splitlines(), printer.null_printer)
    counts = read.counts
    assert (counts.passed, counts.skipped, counts.failed) == (6 * kernels, 2 * kernels, 4 * kernels)
    assert (counts.errors, counts.crashed) == (0, 0)


@pytest.mark.slow
def test_kunit_parser_reads_the_command(pfncache: Call) -> None:
    parser, printer = _kunit()
    run = pfncache("selftest", "--machine", "model", "series", "memslots", "recreate")
    read = parser.parse_run_tests(run.out.splitlines(), printer.null_printer)
    assert (read.counts.failed, read.counts.errors, read.counts.crashed) == (0, 0, 0)
    assert read.counts.passed > 5 and read.counts.skipped == 3
