# SPDX-License-Identifier: GPL-2.0-only
"""herd7 from the path, from the cache, and from a fake Debian: scripts in the place of apt, and small packages."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pfncache.litmus import herd
from pfncache.litmus.herd import HerdError, numbers

CACHED = '#!/bin/sh\n# the loader, which runs the program that comes after its option\nshift 2; exec "$@"\n'


def script(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and a path with a folder of ours first."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")


def package(tmp_path: Path, name: str, version: str, files: dict[str, str]) -> None:
    """A real package."""
    tree = tmp_path / "trees" / name
    for path, content in {
        "DEBIAN/control": f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n"
        "Maintainer: Nobody <nobody@localhost>\nDescription: none\n",
        **files,
    }.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(content)
        (tree / path).chmod(0o755)
    (tmp_path / "pool").mkdir(exist_ok=True)
    into = str(tmp_path / "pool" / f"{name}_{version}_amd64.deb")
    subprocess.run(["dpkg-deb", "-b", str(tree), into], check=True, capture_output=True, timeout=60)


def debian(tmp_path: Path, version: str, says: str = "7.58, Rev: exported") -> None:
    """A Debian with herd7 of a version."""
    skip = "while case $1 in -o*) true;; *) false;; esac; do shift; done; verb=$1; shift"
    script(tmp_path / "bin" / "apt-cache", f"{skip}; shift; for n in \"$@\"; do echo 'Size: 1048576'; done")
    script(
        tmp_path / "bin" / "apt-get",
        f'{skip}; case $verb in indextargets) echo "Debian|main|Debian|http://deb.example.org/debian";;\n'
        f'download) for n in "$@"; do cp {tmp_path}/pool/${{n}}_*.deb . || exit 1; done;; esac',
    )
    library = "usr/lib/x86_64-linux-gnu"
    package(
        tmp_path,
        "herdtools7",
        version,
        {
            "usr/bin/herd7": f"#!/bin/sh\necho '{says}'\n",
            "usr/share/herdtools7/herd/stdlib.cat": "(* ours *)\n",
            "usr/share/doc/herdtools7/copyright": "not kept\n",
        },
    )
    package(tmp_path, "libc6", "2", {f"{library}/ld-linux-x86-64.so.2": CACHED, f"{library}/libc.so.6": ""})
    package(tmp_path, "libgmp10", "2", {f"{library}/libgmp.so.10": ""})


def test_numbers_of_a_version() -> None:
    assert numbers("7.58-2") == (7, 58)
    assert numbers("7.58+1, Rev: exported") == (7, 58)
    assert numbers("none") == ()
    assert numbers("7.100") > numbers("7.58-2") > numbers("7.9.1")


def test_there_is_none() -> None:
    assert herd.find() is None


@pytest.mark.parametrize(("says", "found"), [("7.58, Rev: exported", "7.58"), ("8.0", "8.0"), ("7.57.1", None)])
def test_an_installed_one_is_used_if_it_is_new_enough(tmp_path: Path, says: str, found: str | None) -> None:
    script(tmp_path / "bin" / "herd7", f"echo '{says}'")
    herd7 = herd.find()
    assert (herd7.version if herd7 else None) == found
    if herd7 is not None:
        assert herd7.command == (str(tmp_path / "bin" / "herd7"),)
        assert str(herd7) == f"herd7 {found}"


def test_an_installed_one_that_does_not_run_is_none(tmp_path: Path) -> None:
    script(tmp_path / "bin" / "herd7", "echo 'libgmp.so.10: not found' >&2; exit 127")
    assert herd.find() is None


def test_it_is_fetched_unpacked_and_run_by_its_own_loader(tmp_path: Path) -> None:
    debian(tmp_path, "7.58-2")
    said: list[str] = []
    herd7 = herd.get(said.append, said.append)
    folder = tmp_path / "cache" / "pfncache" / "herd7" / "7.58-2"
    assert said == ["getting Debian's lists of packages", "fetching herd7 (3 MiB)"]
    assert herd7.version == "7.58-2"
    assert herd7.path == folder / "herd7"
    assert herd7.command == (
        str(folder / "lib" / "ld-linux-x86-64.so.2"), "--library-path", str(folder / "lib"), str(folder / "herd7"),
        "-I", str(folder / "share"),
    )  # fmt: skip
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "herd7", "ld-linux-x86-64.so.2", "libc.so.6", "libgmp.so.10", "stdlib.cat",
    ]  # fmt: skip
    assert herd.get(said.append, said.append) == herd7
    assert len(said) == 2


def test_one_that_debian_has_but_is_too_old(tmp_path: Path) -> None:
    debian(tmp_path, "7.56-1")
    with pytest.raises(
        HerdError, match=r"^there is no herd7 7\.58 or newer here, .*: the newest herdtools7 .* 7\.56-1$"
    ):
        herd.get(print, print)
    assert herd.fetched() == []


def test_one_that_does_not_run_here(tmp_path: Path) -> None:
    debian(tmp_path, "7.58-2", says="no version")
    with pytest.raises(HerdError, match=r"was fetched, but does not run here$"):
        herd.get(print, print)


def test_without_a_network_there_is_one_line(tmp_path: Path) -> None:
    script(
        tmp_path / "bin" / "apt-get",
        'for a in "$@"; do if [ "$a" = indextargets ]; then\n'
        'echo "Debian|main|Debian|http://deb.example.org/debian"; exit\n'
        "fi; done\necho 'E: Failed to fetch http://deb.example.org/  Could not resolve host' >&2; exit 100",
    )
    with pytest.raises(HerdError) as raised:
        herd.get(print, print)
    assert str(raised.value) == (
        "there is no herd7 7.58 or newer here, and it cannot be fetched: "
        "apt-get update: Failed to fetch http://deb.example.org/  Could not resolve host"
    )


def test_without_apt_there_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(HerdError, match=r"^there is no herd7 7\.58 or newer here, and it cannot be fetched: "):
        herd.get(print, print)
