# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from pfncache import user_cache as cache


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_place(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.folder("kernels") == home / "pfncache" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/somebody")
    assert cache.root() == Path("/somebody/.cache/pfncache")


def test_what_is_not_completed_is_not_there() -> None:
    path = cache.folder("kernels") / "one"
    with pytest.raises(KeyboardInterrupt), cache.complete(path) as part:
        (part / "vmlinuz").write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []
    for data in (b"old", b"new"):
        with cache.complete(path) as part:
            (part / "vmlinuz").write_bytes(data)
    assert [p.name for p in path.parent.iterdir()] == ["one"]
    assert (path / "vmlinuz").read_bytes() == b"new"


def test_size_and_clear() -> None:
    (cache.folder("snapshots") / "state").write_bytes(b"x" * 10_000)
    assert cache.size(cache.root()) == 12_288  # blocks of 4 KiB
    assert cache.clear() == 12_288
    assert not cache.root().exists()
    assert cache.clear() == 0
