# SPDX-License-Identifier: GPL-2.0-only
"""Saved states of guests: what is damaged is not restored, and a save that fails leaves what was there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from pfncache import user_cache
from pfncache.machines.vm.monitor import Monitor, MonitorError
from pfncache.machines.vm.snapshot import Snapshot

STATE = b"the memory of a guest" * 1000
DIGEST = hashlib.sha256(STATE).hexdigest()[:16]


class SavingMonitor:
    """A monitor that writes a state, or fails after its first half."""

    def __init__(self, state: bytes = STATE, error: Exception | None = None) -> None:
        self.state, self.error, self.resumed = state, error, 0

    def save(self, path: Path, seconds: float) -> None:
        """Write the state."""
        path.write_bytes(self.state if self.error is None else self.state[: len(self.state) // 2])
        if self.error is not None:
            raise self.error

    def resume(self) -> None:
        """Count the calls."""
        self.resumed += 1


def save(snapshot: Snapshot, monitor: SavingMonitor) -> str:
    return snapshot.save(cast(Monitor, monitor))


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(user_cache, "_given", bytearray(len(user_cache.Notice)))
    return Snapshot(user_cache.root() / "snapshots" / "7.3.4-0123456789abcdef")


def test_what_is_saved_is_found(snapshot: Snapshot) -> None:
    assert snapshot.find() is None
    monitor = SavingMonitor()
    assert (save(snapshot, monitor), monitor.resumed) == ("", 1)
    assert snapshot.find() == snapshot.stem.with_name(f"{snapshot.stem.name}-{DIGEST}")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(STATE[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(STATE[:100] + b"X" + STATE[101:]),
        lambda path: path.chmod(0o622),
    ],
    ids=["cut", "empty", "flip", "writable by others"],
)
def test_a_damaged_state_is_deleted_and_made_anew(
    snapshot: Snapshot, capfd: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    save(snapshot, SavingMonitor())
    path = snapshot.find()
    assert path is not None
    damage(path)
    assert (snapshot.find(), path.exists()) == (None, False)
    assert capfd.readouterr().err == f"pfncache: the saved guest {path.name} is made anew: it is damaged\n"
    assert save(snapshot, SavingMonitor()) == ""
    assert snapshot.find() == path


@pytest.mark.parametrize("error", [MonitorError("no answer within 60 s"), OSError(28, "No space left on device")])
def test_a_save_that_fails_leaves_nothing(snapshot: Snapshot, error: Exception) -> None:
    monitor = SavingMonitor(error=error)
    assert (save(snapshot, monitor), monitor.resumed) == (str(error), 1)
    assert snapshot.find() is None
    assert list(snapshot.stem.parent.iterdir()) == []


def test_the_newest_states_of_a_kernel_are_kept(snapshot: Snapshot) -> None:
    for number in range(4):
        one = Snapshot(snapshot.stem.with_name(f"7.3.4-{number:016x}"))
        save(one, SavingMonitor(STATE + bytes([number])))
    other = Snapshot(snapshot.stem.with_name("6.12.9-0123456789abcdef"))
    save(other, SavingMonitor())
    assert len(list(snapshot.stem.parent.glob("7.3.4-*"))) == 2
    assert other.find() is not None
