# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache verify FILE.py --watch`` runs again when the file is saved, and ends at Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from pfncache.commands.main import main
from tests.verify.test_rerun import TEXT, UNLOCKED

TIMEOUT = 240
"""Seconds for a step, on a busy machine and without native code."""


class Watched:
    """A process that watches a file, and what it has written."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder, self.process = folder, process

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def wait_for(self, text: str, count: int) -> None:
        ends = time.monotonic() + TIMEOUT
        while self.output().count(text) < count:
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < ends, self.output()
            time.sleep(0.1)

    def save(self, text: str) -> None:
        """Save as an editor does: a new file under the old name."""
        new = self.folder / "new"
        new.write_text(text)
        new.rename(self.folder / "mine.py")


@contextmanager
def watching(folder: Path) -> Iterator[Watched]:
    (folder / "mine.py").write_text(TEXT)
    command = [
        sys.executable,
        "-m",
        "pfncache",
        "verify",
        "mine.py",
        "--watch",
        "-s",
        "clock/anon/touch",
        "-s",
        "xen/irq-user",
    ]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, env=os.environ | {"COLUMNS": "100"}
        )
        try:
            yield Watched(folder, process)
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_saves_and_the_end(tmp_path: Path, number: int, status: int) -> None:
    with watching(tmp_path) as watched:
        watched.wait_for("watching mine.py", 1)
        assert "mine against mainline-7.3: nothing new, 0 unchanged, 0 cured" in watched.output()
        if number == signal.SIGINT:
            watched.save(UNLOCKED)
            watched.wait_for("watching mine.py", 2)
            assert "  new: lock-imbalance in clock/anon/touch" in watched.output()
            assert "=> vcpu.mutex is unlocked, but is not held" in watched.output()
            watched.save(TEXT + "\nwrong =")
            watched.wait_for("watching mine.py", 3)
            assert "mine.py:19: invalid syntax" in watched.output()
            watched.save(TEXT)
            watched.wait_for("watching mine.py", 4)
            assert "  cured: lock-imbalance in clock/anon/touch" in watched.output()
        watched.process.send_signal(number)
        assert watched.process.wait(TIMEOUT) == status


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mainline-7.3"], "--watch is for a file of your own; give FILE.py, too"),
        ([], "--watch is for a file of your own; give FILE.py, too"),
        (["mine.py", "--json"], "--watch shows what differs as text; leave out --json, or --watch"),
        (["mine.py", "--coverage"], "--watch shows what differs as text; leave out --coverage, or --watch"),
        (["missing.py"], "missing.py: no such file"),
        (["broken.py"], "broken.py:1: invalid syntax"),
    ],
)
def test_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(TEXT)
    (tmp_path / "broken.py").write_text("wrong =\n")
    done = CliRunner().invoke(main, ["verify", *arguments, "--watch"])
    assert done.exit_code == 2
    assert message in done.output
