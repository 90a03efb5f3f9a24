# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import subprocess
import sys

from rich.console import Console

from pfncache.machines.document import Ended
from pfncache.selftests import SELFTESTS
from pfncache.selftests.comparison import KernelResults, document, markdown, table
from pfncache.selftests.ktap import Directive, Line
from pfncache.selftests.outcome import SelftestOutcome, SelftestStatus
from pfncache.selftests.runner import SelftestResult

OK, SKIP = Line("", True), Line("", True, Directive.SKIP, "no guest_memfd")
XFAIL = Line("", True, Directive.XFAIL, "it is known", ["it fails"])
FAILED = Line("", False, notes=["it differs"])
NAMES = ("clock/first-run", "clock/in-anon", "clock/in-gmem", "dirty-log/every-update")


def column(release: str, *lines: Line) -> KernelResults:
    made = KernelResults(release, "mainline-7.3", "about")
    made.results = [
        SelftestResult(
            test=SELFTESTS[name], outcome=SelftestOutcome(status=SelftestStatus.PASS, seconds=0.1234), line=line
        )
        for name, line in zip(NAMES, lines, strict=True)
    ]
    return made


COLUMNS = [column("7.3.4+deb13-amd64", OK, OK, XFAIL, OK), column("6.1.0-50-amd64", OK, FAILED, SKIP, OK)]


def test_document() -> None:
    made = document(COLUMNS, Ended())
    assert made["schema"] == 2
    assert made["kernels"][0]["release"] == "7.3.4+deb13-amd64"
    assert made["kernels"][0]["results"][2] == {
        "test": "clock/in-gmem", "verdict": "xfail", "reason": "it is known", "notes": ["it fails"],
        "earlier": None, "seconds": 0.123,
    }  # fmt: skip


def test_table_names_what_is_not_as_it_should_be() -> None:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table(COLUMNS))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in captured.get().splitlines() if "│" in line]
    assert rows == [
        ["clock (3)", "2 ok, 1 XFAIL", "1 ok, 1 -, 1 not ok"],
        ["clock/in-anon", "ok", "not ok"],
        ["clock/in-gmem", "XFAIL", "-"],
        ["dirty-log (1)", "ok", "ok"],
    ]


def test_table_of_a_run_that_has_ended_early() -> None:
    short = KernelResults("6.12.1", "mainline-6.12", "", COLUMNS[0].results[:1])
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table([COLUMNS[0], short]))
    assert "│ clock (3)       │ 2 ok, 1 XFAIL │ 1 ok   │" in captured.get()


def test_markdown_from_a_document_on_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pfncache.selftests.comparison"], input=json.dumps(document(COLUMNS, Ended())),
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == markdown(document(COLUMNS, Ended())["kernels"]) + "\n"
    assert done.stdout.splitlines() == [
        "| | 7.3.4 | 6.1.0-50 |",
        "|---|---|---|",
        "| modelled by | mainline-7.3 | mainline-7.3 |",
        "| clock (3) | 2 ok, 1 XFAIL | 1 ok, 1 -, 1 not ok |",
        "| &nbsp;&nbsp;clock/in-anon | ok | not ok |",
        "| &nbsp;&nbsp;clock/in-gmem | XFAIL | - |",
        "| dirty-log (1) | ok | ok |",
        "",
        "* XFAIL clock/in-gmem: it is known (it fails).",
    ]
