# SPDX-License-Identifier: GPL-2.0-only
"""A child that hangs, crashes or leaves processes is reported and killed, without leaks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pfncache.machines.isolate import isolated


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


def test_value_comes_back() -> None:
    ended = isolated(lambda: {"pid": os.getpid()}, 10)
    assert ended.value is not None
    assert ended.value["pid"] != os.getpid()
    assert (ended.trouble, ended.hung) == ("", False)


def test_large_value_comes_back() -> None:
    assert isolated(lambda: b"x" * 1_000_000, 10).value == b"x" * 1_000_000


def test_exception_is_reported() -> None:
    def fails() -> None:
        raise ZeroDivisionError("by design")

    ended = isolated(fails, 10)
    assert ended.value is None
    assert ended.trouble.endswith("ZeroDivisionError: by design")


def test_hang_is_ended() -> None:
    before, started = _children(), time.monotonic()
    ended = isolated(lambda: time.sleep(60), 0.3)
    assert (ended.hung, ended.trouble) == (True, "not done after 0 s")
    assert time.monotonic() - started < 5
    assert _children() == before


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGKILL])
def test_crash_is_reported(number: signal.Signals) -> None:
    ended = isolated(lambda: os.kill(os.getpid(), number), 10)
    assert (ended.value, ended.hung, ended.trouble) == (None, False, f"killed by {number.name}")


def test_exit_is_reported() -> None:
    assert isolated(lambda: os._exit(3), 10).trouble == "exited with 3"


def test_grandchildren_are_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    def leaves_a_child() -> None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        note.write_text(str(child.pid))
        time.sleep(60)

    assert isolated(leaves_a_child, 1.5).hung
    pid = int(note.read_text())
    for _ in range(50):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or ") Z" in stat.read_text():
            break
        time.sleep(0.1)
    else:
        pytest.fail("the child's child lives on")


def test_threads_do_not_keep_the_child() -> None:
    def starts_a_thread() -> int:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        return 1

    ended = isolated(starts_a_thread, 10)
    assert (ended.value, ended.hung) == (1, False)


def test_interrupt_ends_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    before = _children()
    monkeypatch.setattr("pfncache.machines.isolate._collect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        isolated(lambda: time.sleep(60), 10)
    assert _children() == before


def test_descriptors_do_not_leak() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        isolated(lambda: None, 5)
        isolated(lambda: os._exit(1), 5)
    assert len(os.listdir("/proc/self/fd")) == before
