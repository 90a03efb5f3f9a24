# SPDX-License-Identifier: GPL-2.0-only
"""Ctrl-C and SIGTERM while code of a user's file does not return to the interpreter, and while it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pfncache.interrupts import Terminated, raising
from pfncache.verify.guardian import ended_by_signals
from pfncache.verify.user_code import TimeLimit, user_code
from tests.conftest import PFNCACHE

IN_C = "sum(iter(int, 1))"
CATCHES = "import time\nwhile True:\n    try: time.sleep(1)\n    except BaseException: pass"
ENDS = {signal.SIGINT: "interrupted\n", signal.SIGTERM: "terminated\n"}


@pytest.mark.parametrize("number", ENDS, ids=lambda number: signal.Signals(number).name)
@pytest.mark.parametrize("loop", [IN_C, CATCHES], ids=["in-c", "catches-all"])
def test_a_loop_that_cannot_be_interrupted(tmp_path: Path, number: signal.Signals, loop: str) -> None:
    """The process ends by the signal, which a shell shows as 130 and 143."""
    (tmp_path / "mine.py").write_text(f"open('begun', 'w').close()\n{loop}\n")
    process = subprocess.Popen(
        [*PFNCACHE, "export", "mine.py", "--promela", "-s", "gpc/move-in-page"], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    started = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (-number, "", ENDS[number])
    assert time.monotonic() - started < 30


def test_the_time_limit_of_a_loop_in_c() -> None:
    """The handler of SIGALRM does not run; the process ends all the same."""
    code = f"""
from pfncache.interrupts import raising
from pfncache.verify.user_code import user_code

with raising(), user_code(0.5, "the file"):
    {IN_C}
"""
    started = time.monotonic()
    process = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert process.stderr == "Error: the file does not end within 0.5 s, in a loop of C code\n"
    assert (process.returncode, process.stdout) == (2, "")
    assert 0.5 < time.monotonic() - started < 30


def test_the_time_limit_of_other_code(capfd: pytest.CaptureFixture[str]) -> None:
    """An exception, and the action of the signal that ends a loop in C is as before."""
    seen: list[int] = []
    before = signal.signal(signal.SIGVTALRM, lambda number, _: seen.append(number))
    try:
        with (
            raising(),
            pytest.raises(TimeLimit, match=r"the file does not end within 0\.1 s"),
            user_code(0.1, "the file"),
        ):
            while True:
                pass
        signal.raise_signal(signal.SIGVTALRM)
    finally:
        signal.signal(signal.SIGVTALRM, before)
    assert seen == [signal.SIGVTALRM]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_code_that_can_be_interrupted(number: int, error: type[BaseException]) -> None:
    """The exception is raised as without the guardian; handlers are as before, and no process is left."""
    with raising():
        handlers = [signal.getsignal(n) for n in ENDS]
        with pytest.raises(error), user_code(60, "the file"):
            signal.raise_signal(number)
        assert [signal.getsignal(n) for n in ENDS] == handlers
        with pytest.raises(error):  # twice: the default action is not left behind
            os.kill(os.getpid(), number)
        with pytest.raises(error):
            os.kill(os.getpid(), number)
    assert signal.set_wakeup_fd(-1) == -1
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_other_programs_keep_their_handlers() -> None:
    """No process is started where SIGTERM has its default action, as in workers and at the Python prompt."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with ended_by_signals(), pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
    finally:
        signal.signal(signal.SIGTERM, before)
