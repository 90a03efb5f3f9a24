# SPDX-License-Identifier: GPL-2.0-only
"""Homes and caches that cannot be used, and damaged files in them: the same verdict, and one line that says so."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pfncache.check.engine import numba_cache
from tests.conftest import PFNCACHE

VERIFY = (*PFNCACHE, "verify", "mainline-7.3", "-s", "gpc/move-in-page", "--json", "--jobs", "1")
STATES = 2
OTHER_USER = 65534
WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")
"""Runs root as a user for whom the bits of a mode count."""
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="files of another user, and capabilities to drop: as root")
NEEDS_SETPRIV = pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")

Environment = dict[str, str]


def no_home(folder: Path) -> Environment:
    return {"HOME": str(folder / "none")}


def home_that_is_a_file(folder: Path) -> Environment:
    (folder / "file").touch()
    return {"HOME": str(folder / "file")}


def cache_that_is_a_file(folder: Path) -> Environment:
    (folder / "file").touch()
    return {"XDG_CACHE_HOME": str(folder / "file")}


def cache_in_a_device(folder: Path) -> Environment:
    return {"XDG_CACHE_HOME": "/dev/null"}


def cache_in_proc(folder: Path) -> Environment:
    return {"XDG_CACHE_HOME": "/proc"}


def relative_cache(folder: Path) -> Environment:
    return {"XDG_CACHE_HOME": "cache", "HOME": str(folder)}


def long_name(folder: Path) -> Environment:
    return {"XDG_CACHE_HOME": str(folder / ("x" * 300))}


def endless_link(folder: Path) -> Environment:
    (folder / "link").symlink_to(folder / "link")
    return {"XDG_CACHE_HOME": str(folder / "link")}


def cache_that_others_write(folder: Path) -> Environment:
    (folder / "cache").mkdir()
    (folder / "cache").chmod(0o777)
    return {"XDG_CACHE_HOME": str(folder / "cache")}


def cache_of_another_user(folder: Path) -> Environment:
    (folder / "cache").mkdir()
    os.chown(folder / "cache", OTHER_USER, OTHER_USER)
    return {"XDG_CACHE_HOME": str(folder / "cache")}


def home_not_writable(folder: Path) -> Environment:
    (folder / "home").mkdir(mode=0o555)
    return {"HOME": str(folder / "home")}


def cache_not_writable(folder: Path) -> Environment:
    (folder / "cache").mkdir(mode=0o555)
    return {"XDG_CACHE_HOME": str(folder / "cache")}


def home_not_readable(folder: Path) -> Environment:
    (folder / "home" / ".cache").mkdir(parents=True)
    (folder / "home").chmod(0o000)
    return {"HOME": str(folder / "home")}


PLACES: tuple[tuple[Callable[[Path], Environment], str], ...] = (
    (no_home, "nothing is cached: the home folder does not exist; set HOME or XDG_CACHE_HOME: {}/none"),
    (home_that_is_a_file, "nothing is cached: the home folder does not exist; set HOME or XDG_CACHE_HOME: {}/file"),
    (cache_that_is_a_file, "nothing is cached: Not a directory: {}/file"),
    (cache_in_a_device, "nothing is cached: "),
    (cache_in_proc, "nothing is cached: No such file or directory: /proc/pfncache"),
    (relative_cache, "XDG_CACHE_HOME is ignored, as 'cache' is not an absolute path"),
    (long_name, "nothing is cached: File name too long: {}/xxx"),
    (endless_link, "nothing is cached: Not a directory: {}/link"),
    (cache_that_others_write, "the cache in {}/cache/pfncache/systems/"),
)
AS_ROOT_PLACES = ((cache_of_another_user, "the cache in {}/cache/pfncache/systems/"),)
NOT_WRITABLE = (
    (home_not_writable, "nothing is cached: Permission denied: {}/home/.cache"),
    (cache_not_writable, "nothing is cached: Permission denied: {}/cache/pfncache"),
    (home_not_readable, "nothing is cached: "),
)


PROGRESS = r"compiling the search engine|\d+ outcomes are of earlier searches"
"""Lines that are no notices."""


def call(environment: Environment, *before: str) -> list[str]:
    """Call verify, which must find what it always finds; return its notices. The engine need not be compiled."""
    kept = {name: value for name, value in os.environ.items() if name not in ("XDG_CACHE_HOME", "HOME")}
    engine = numba_cache.DIRECTORY
    if engine is not None and "NUMBA_CACHE_DIR" not in environment:
        kept["NUMBA_CACHE_DIR"] = str(engine.parent)
    done = subprocess.run(
        [*before, *VERIFY], env=kept | environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    ((scenario,),) = [design["scenarios"] for design in json.loads(done.stdout)["designs"]]
    assert (scenario["verdict"], scenario["states"]) == ("holds", STATES)
    return [line for line in done.stderr.splitlines() if not re.match(PROGRESS, line)]


def expect(notices: list[str], line: str, folder: Path) -> None:
    assert len(notices) == 1, notices
    assert notices[0].startswith(f"pfncache: {line.format(folder)}")


@pytest.mark.parametrize(("make", "line"), PLACES, ids=[make.__name__ for make, _ in PLACES])
def test_a_place_that_cannot_be_used(tmp_path: Path, make: Callable[[Path], Environment], line: str) -> None:
    expect(call(make(tmp_path)), line, tmp_path)


@AS_ROOT
@pytest.mark.parametrize(("make", "line"), AS_ROOT_PLACES, ids=[make.__name__ for make, _ in AS_ROOT_PLACES])
def test_a_place_of_another_user(tmp_path: Path, make: Callable[[Path], Environment], line: str) -> None:
    expect(call(make(tmp_path)), line, tmp_path)


@AS_ROOT
@NEEDS_SETPRIV
@pytest.mark.parametrize(("make", "line"), NOT_WRITABLE, ids=[make.__name__ for make, _ in NOT_WRITABLE])
def test_a_place_that_cannot_be_written(tmp_path: Path, make: Callable[[Path], Environment], line: str) -> None:
    expect(call(make(tmp_path), *WITHOUT_CAPABILITIES), line, tmp_path)


def halved(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def emptied(whole: bytes) -> bytes:
    return b""


def garbage(whole: bytes) -> bytes:
    return b"\x80garbage" * 100


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [halved, emptied, garbage])
def test_a_damaged_engine(tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes]) -> None:
    """It is compiled anew, with one line, and is whole afterwards."""
    engine = numba_cache.DIRECTORY
    assert engine is not None
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "engine"), "XDG_CACHE_HOME": str(tmp_path)}
    shutil.copytree(engine, tmp_path / "engine" / engine.name)
    assert call(environment) == []
    file = max((tmp_path / "engine").rglob(f"bfs.explore*.{suffix}"), key=lambda path: path.stat().st_mtime)
    file.write_bytes(damage(file.read_bytes()))
    shutil.rmtree(tmp_path / "pfncache" / "systems")  # with an outcome, nothing is searched
    assert call(environment) == [f"pfncache: {file} is damaged: the search engine is compiled anew"]
    shutil.rmtree(tmp_path / "pfncache" / "systems")
    assert call(environment) == []


@pytest.mark.parametrize("damage", [halved, emptied, garbage])
def test_a_damaged_outcome(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """It is searched anew, with one line, and is whole afterwards."""
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    assert call(environment) == []
    (file,) = [path for path in (tmp_path / "pfncache" / "systems").rglob("*") if path.is_file()]
    file.write_bytes(damage(file.read_bytes()))
    expect(call(environment), f"{file} is not used: its content is not whole", tmp_path)
    assert call(environment) == []


@AS_ROOT
def test_a_full_disk(tmp_path: Path) -> None:
    """Of 16 KiB, as a tmpfs."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        (tmp_path / "filled").write_bytes(bytes(12288))
        (notice,) = call({"XDG_CACHE_HOME": str(tmp_path)})
        assert notice.startswith("pfncache: ") and "No space left on device" in notice
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
