# SPDX-License-Identifier: GPL-2.0-only
"""Ctrl-C and SIGTERM as exceptions."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pfncache.interrupts import Terminated, interruptible, raising, reraise


@pytest.fixture(autouse=True)
def default_handlers() -> Iterator[None]:
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_is_an_exception(number: int, error: type[BaseException]) -> None:
    before = signal.getsignal(number)
    with pytest.raises(error) as raised, interruptible():
        os.kill(os.getpid(), number)
    assert type(raised.value) is error
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_what_was_caught_is_raised_again_once(number: int, error: type[BaseException]) -> None:
    with interruptible():
        with interruptible(), pytest.raises(error):
            os.kill(os.getpid(), number)
        with pytest.raises(error):
            reraise()
        reraise()


class _Interrupted:
    """Its destructor is interrupted, where Python can raise nothing."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_what_cannot_be_raised_is_not_printed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int, error: type[BaseException]
) -> None:
    """It is raised later."""
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    with interruptible():
        with contextlib.suppress(error):
            _Interrupted(number)
        with pytest.raises(error):
            reraise()
    assert capfd.readouterr().err == ""
    assert sys.unraisablehook is sys.__unraisablehook__


def test_an_interruption_is_not_that_of_the_next_block() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), signal.SIGINT)
    with interruptible():
        reraise()


def test_own_and_ignored_handlers_stay() -> None:
    seen: list[Any] = []
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert seen == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_nested_blocks_restore_handlers() -> None:
    with raising():
        outer = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        with pytest.raises(Terminated), interruptible():
            assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == outer
            os.kill(os.getpid(), signal.SIGTERM)
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == outer
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_another_thread_leaves_handlers_alone() -> None:
    found: list[Any] = []

    def block() -> None:
        with interruptible():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]


INTERRUPTED_IMPORT = """
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["pfncache", "list", "designs"]
runpy.run_module("pfncache", run_name="__main__")
"""


def test_ctrl_c_before_the_command_has_begun() -> None:
    """A shell shows the signal as 130; there is no traceback of imports."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_an_ignored_ctrl_c_is_still_ignored() -> None:
    code = f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{INTERRUPTED_IMPORT}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "mainline-7.3" in done.stdout
