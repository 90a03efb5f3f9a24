# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pfncache import user_cache as cache

OWN_HOME = pwd.getpwuid(os.geteuid()).pw_dir
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="files of another user: as root")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "_given", bytearray(len(cache.Notice)))
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


def test_a_folder_is_for_this_user_alone(home: Path) -> None:
    before = os.umask(0)
    try:
        made = cache.private(cache.root() / "systems" / "one")
    finally:
        os.umask(before)
    assert made == home / "pfncache" / "systems" / "one"
    assert [p.stat().st_mode & 0o777 for p in (made, made.parent, made.parent.parent)] == [0o700] * 3


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        (0o700, None),
        (0o755, None),
        (0o777, "can be written by others; chmod go-w it"),
        (0o757, "can be written by others; chmod go-w it"),
        (0o1777, "can be written by others; chmod go-w it"),
    ],
)
@pytest.mark.parametrize("depth", [0, 1])
def test_a_folder_that_others_can_write(
    mode: int, why: str | None, depth: int, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = home / "a" / "b"
    path.mkdir(parents=True)
    changed = (path, path.parent)[depth]
    changed.chmod(mode)
    usable = why is None or (depth == 1 and mode & stat.S_ISVTX != 0)  # as /tmp
    assert cache.private(path) == (path if usable else None)
    expected = "" if usable else f"pfncache: the cache in {path} is not used: {changed} {why}\n"
    assert capfd.readouterr().err == expected


@AS_ROOT
@pytest.mark.parametrize("depth", [0, 1])
def test_a_folder_of_another_user(depth: int, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = home / "a" / "b"
    path.mkdir(parents=True)
    changed = (path, path.parent)[depth]
    os.chown(changed, 65534, -1)
    assert cache.private(path) is None
    assert cache.private(path) is None
    assert capfd.readouterr().err == (f"pfncache: the cache in {path} is not used: {changed} belongs to user 65534\n")


def test_a_symbolic_link_is_followed_before_the_look_at_owners(home: Path) -> None:
    (home / "open").mkdir()
    (home / "open").chmod(0o777)
    (home / "mine").symlink_to(home / "open")
    assert cache.private(home / "mine" / "x") is None
    assert not (home / "open" / "x").exists()


def test_files_that_are_read(home: Path) -> None:
    path = home / "one"
    assert cache.read(path) is None
    cache.write(path, b"content")
    assert cache.read(path) == b"content"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o666)
    assert cache.read(path) is None
    (home / "link").symlink_to(path)
    assert cache.read(home / "link") is None
    assert cache.read(home) is None
    os.mkfifo(home / "pipe")
    assert cache.read(home / "pipe") is None


@AS_ROOT
def test_a_file_of_another_user_is_not_read(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = home / "one"
    cache.write(path, b"content")
    os.chown(path, 65534, -1)
    assert cache.read(path) is None
    assert capfd.readouterr().err == f"pfncache: {path} is not used: it belongs to user 65534\n"


def test_a_file_is_replaced_as_a_whole(home: Path) -> None:
    path = home / "one"
    for content in (b"old", b"new"):
        cache.write(path, content)
    with pytest.raises(KeyboardInterrupt), cache.replacing(path) as part:
        part.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"new"
    assert list(home.iterdir()) == [path]


LEAVES = """
import os, signal, sys
from pathlib import Path
from pfncache import user_cache as cache
folder = Path(sys.argv[1])
with cache.scratch(folder) as one, cache.replacing(folder / "file") as two, cache.complete(folder / "tree") as three:
    (one / "inner").mkdir()
    (three / "vmlinuz").write_bytes(b"half")
    print("ready", flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_leaves_is_removed_by_a_later_one(home: Path) -> None:
    command = [sys.executable, "-c", LEAVES, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdin is not None and run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        (home / ".partial").write_text("another's")
        cache.remove_leftovers(home)
        assert len(list(home.iterdir())) == 4  # its writer lives
        run.stdin.close()
    assert run.returncode == -signal.SIGKILL
    cache._cleaned.clear()
    cache.remove_leftovers(home)
    assert [p.name for p in home.iterdir()] == [".partial"]


@pytest.mark.parametrize(
    ("variables", "place", "notice"),
    [
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/pfncache", ""),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/pfncache", ""),
        ({"HOME": "/h"}, "/h/.cache/pfncache", ""),
        ({"HOME": "h"}, f"{OWN_HOME}/.cache/pfncache", ""),
        ({"HOME": ""}, f"{OWN_HOME}/.cache/pfncache", ""),
        ({}, f"{OWN_HOME}/.cache/pfncache", ""),
        (
            {"XDG_CACHE_HOME": "x/y", "HOME": "/h"},
            "/h/.cache/pfncache",
            "pfncache: XDG_CACHE_HOME is ignored, as 'x/y' is not an absolute path\n",
        ),
    ],
)
def test_places(
    variables: dict[str, str],
    place: str,
    notice: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert [str(cache.root()), str(cache.root())] == [place] * 2
    assert capfd.readouterr().err == notice


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert cache.private(cache.root() / "systems") is None
    assert cache.entries("kernels") == []
    assert cache.size(cache.root()) == 0
    assert capfd.readouterr().err == (
        "pfncache: nothing is cached: this user has no home folder; set HOME or XDG_CACHE_HOME\n"
    )


def test_a_home_that_does_not_exist_is_not_made(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(home / "nonexistent"))
    assert cache.private(cache.root() / "systems") is None
    assert list(home.iterdir()) == []
    assert capfd.readouterr().err == (
        "pfncache: nothing is cached: the home folder does not exist; set HOME or XDG_CACHE_HOME: "
        f"{home / 'nonexistent'}\n"
    )
