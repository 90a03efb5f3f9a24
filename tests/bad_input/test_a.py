# SPDX-License-Identifier: GPL-2.0-only
"""Calls that cannot be done, each with its exit status and the one line on standard error."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable

import pytest

from tests.conftest import PFNCACHE, Run

ROWS = (
    ("verify rfc-v5", 2, "no design 'rfc-v5'; nearest: rfc-v4, rfc-v3, rfc-v2"),
    ("verify ''", 2, "no design ''; "),
    ("verify -s xen/hatl", 2, "no scenario 'xen/hatl'; nearest: xen/halt"),
    ("verify mainline-7.3 -s clock/nonsense/", 2, "no scenario 'clock/nonsense/'; "),
    ("verify nowhere.py", 2, "nowhere.py: no such file"),
    ("verify nowhere.py:mine", 2, "nowhere.py: no such file"),
    ("verify --all rfc-v4", 2, "--all is every design; leave out the names, or --all"),
    ("verify --junit /nonexistent/out.xml", 2, "--junit /nonexistent/out.xml: there is no folder /nonexistent"),
    ("verify --junit /", 2, "Invalid value for '--junit': File '/' is a directory."),
    ("verify --width 3", 2, "Invalid value for '--width': 3 is not in the range x>=20."),
    ("verify --width wide", 2, "Invalid value for '--width': 'wide' is not a valid integer range."),
    ("verify --max-states 0", 2, "Invalid value for '--max-states': 0 is not in the range x>=1000."),
    ("verify --max-states -5", 2, "Invalid value for '--max-states': -5 is not in the range x>=1000."),
    ("verify --jobs 0", 2, "Invalid value for '--jobs': 0 is not in the range x>=1."),
    ("verify --jobs two", 2, "Invalid value for '--jobs': 'two' is not a valid integer range."),
    ("verify --absolut", 2, "No such option '--absolut'. Did you mean '--absolute'?"),
    ("verify -s", 2, "Option '-s' requires an argument."),
    ("list scenarios rfc-v4", 2, "'rfc-v4' is no FILE.py; without it, the catalogue's scenarios are listed"),
    ("verfy", 2, "No such command 'verfy'"),
)


@pytest.mark.parametrize(("command", "status", "line"), ROWS, ids=[row[0] for row in ROWS])
def test_one_line(pfncache: Callable[..., Run], command: str, status: int, line: str) -> None:
    run = pfncache(*shlex.split(command))
    assert (run.code, run.out) == (status, "")
    errors = [text for text in run.err.splitlines() if not text.startswith(("Usage: ", "Try '", " ")) and text]
    assert len(errors) == 1
    assert errors[0].startswith(f"Error: {line}")


FULL = "pfncache: standard output: No space left on device\n"
CLOSED = "pfncache: standard output: Bad file descriptor\n"
OUTPUT = (
    ("list designs >&- 2>&-", 74, ""),
    ("list selftests | true", 141, ""),
    *((f"{call} {target}", 74, line) for call in (
        "--help", "--version", "verify --help", "list designs", "list scenarios", "doctor", "matrix",
        "matrix --json", "footprint", "footprint --json", "selftest memslots/ --machine model",
        "selftest memslots/ --machine model --json", "export --promela -s gpc/move-in-page",
    ) for target, line in (("> /dev/full", FULL), (">&-", CLOSED))),
)  # fmt: skip
"""Standard output that cannot be written: the exit status, and the line on standard error."""


@pytest.mark.parametrize(("command", "status", "text"), OUTPUT, ids=[row[0] for row in OUTPUT])
def test_standard_output(command: str, status: int, text: str) -> None:
    call, pipe, reader = command.partition(" | ")
    shell = f"{shlex.join(PFNCACHE)} {call}{pipe}{reader}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", text)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["/dev/full", "&-"])
@pytest.mark.parametrize("form", ["", "--json", "--ktap"])
def test_results_that_cannot_be_written(target: str, form: str) -> None:
    shell = f"{shlex.join(PFNCACHE)} verify mainline-7.3 -s xen/halt {form} >{target}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    *notices, line = done.stderr.splitlines()
    assert (done.returncode, line.count("standard output")) == (74, 1)
    assert all(n.startswith("compiling the search engine") or "of earlier searches" in n for n in notices)
