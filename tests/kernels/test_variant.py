# SPDX-License-Identifier: GPL-2.0-only
"""Variants in the cache: default names, and what a failed or killed replacement leaves."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pfncache import user_cache as cache
from pfncache.kernels import variant
from tests.kernels.trees import bzimage


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("series", "debug", "name"),
    [
        ("", False, "7.3.4+protected"),
        ("", True, "7.3.4+debug"),
        ("my-series", False, "7.3.4+my-series"),
        ("my-series", True, "7.3.4+my-series+debug"),
        ("my series, v2", False, "7.3.4+my-series-v2"),
        ("é", False, "7.3.4+protected"),
        ("x" * 200, False, "7.3.4+" + "x" * 32),
    ],
)
def test_default_name_is_a_good_one(series: str, debug: bool, name: str) -> None:
    assert variant.default_name("7.3.4+deb13-amd64", series, debug) == name
    variant.check_name(name)


def test_variant_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    first = variant.save("mine", "7.3.4", bzimage(tmp_path / "one", "one"), None, [])
    with pytest.raises(FileNotFoundError):
        variant.save("mine", "7.3.4", tmp_path / "nowhere", None, [])
    assert b"one" in first.vmlinuz.read_bytes()
    second = variant.save("mine", "7.3.5", bzimage(tmp_path / "two", "two"), None, [])
    assert (second.release, b"two" in second.vmlinuz.read_bytes()) == ("7.3.5", True)
    assert [path.name for path in variant.folder().iterdir()] == ["mine"]


def test_scratch_of_a_killed_process_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with cache.scratch() as mine:
            (mine / "file").write_text("data")
            os.write(write, b"x")
            signal.pause()
        os._exit(0)
    os.read(read, 1)
    with cache.scratch() as other:
        assert len(list(tmp_path.glob("pfncache-*"))) == 2, "that of a living process stays"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert len(list(tmp_path.glob("pfncache-*"))) == 1
    monkeypatch.setattr(cache, "_cleaned", set(), raising=False)
    with cache.scratch() as other:
        assert list(tmp_path.glob("pfncache-*")) == [other]
