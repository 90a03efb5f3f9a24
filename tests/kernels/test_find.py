# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
from pathlib import Path

import pytest

from pfncache import user_cache as cache
from pfncache.kernels.debian import matches, version_of
from pfncache.kernels.find import NoSuchKernel, find, release_of
from tests.kernels.trees import bzimage, module


@pytest.fixture(autouse=True)
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for release in ("6.12.107+deb13-amd64", "6.12.117+deb13-amd64", "7.3.4+deb13-amd64"):
        module(cache.folder("kernels") / release / "modules", "kvm")
        suite = "trixie" if release.startswith("6.12") else "trixie-backports"
        (cache.folder("kernels") / release / "suite").write_text(suite)
    return cache.folder("kernels")


def test_the_newest_is_taken(kernels: Path) -> None:
    for build in ("47", "50", "9"):
        module(kernels / f"6.1.0-{build}-amd64" / "modules", "kvm")
    assert find("6.1").release == "6.1.0-50-amd64"


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("7.3", "7.3.4+deb13-amd64"),
        ("6.12", "6.12.117+deb13-amd64"),
        ("trixie", "6.12.117+deb13-amd64"),
        ("6.12.107", "6.12.107+deb13-amd64"),
        ("6.12.107+deb13-amd64", "6.12.107+deb13-amd64"),
    ],
)
def test_fetched(kernels: Path, name: str, release: str) -> None:
    image = find(name)
    assert (image.release, image.name) == (release, release.split("+", maxsplit=1)[0])
    assert (image.vmlinuz, image.modules) == (kernels / release / "vmlinuz", kernels / release / "modules")


def test_releases() -> None:
    assert [matches("7.3.4", wanted) for wanted in ("7.3.4", "7.3", "7")] == [True] * 3
    assert [matches(release, "7.3") for release in ("7.30.4", "7", "6.7.3")] == [False] * 3
    assert version_of("6.12.117+deb13-amd64") == (6, 12, 117)
    assert version_of("6.1.0-50-amd64") == (6, 1, 0)


def test_not_here() -> None:
    with pytest.raises(NoSuchKernel) as error:
        find("6.18")
    assert str(error.value) == (
        "no kernel '6.18' in the cache (it has 7.3.4, 6.12.117, 6.12.107); get it with: pfncache kernel fetch 6.18"
    )


def test_path(tmp_path: Path) -> None:
    path = bzimage(tmp_path / "bzImage", "7.4.0-mine")
    assert (find(str(path)).release, find(str(path)).modules) == ("7.4.0-mine", None)
    modules = tmp_path / "lib" / "modules" / "7.4.0-mine"
    modules.mkdir(parents=True)
    assert find(str(path)).modules == modules


def test_wrong_paths(tmp_path: Path) -> None:
    for name, why in (("/nonexistent/bzImage", "no kernel '/nonexistent/bzImage': no such file"),):
        with pytest.raises(NoSuchKernel, match=why):
            find(name)
    other = tmp_path / "vmlinux"
    other.write_bytes(b"\x7fELF" + bytes(2000))
    with pytest.raises(NoSuchKernel, match="vmlinux is no bzImage"):
        release_of(other)


@pytest.mark.parametrize("release", [b"\xff\xfe kernel\0", b"", b"no end"], ids=["no text", "empty", "no end"])
def test_odd_header(tmp_path: Path, release: bytes) -> None:
    """Magic, but no version where it says."""
    header = bytearray(0x210)
    header[0x202:0x206] = b"HdrS"
    header[0x20E:0x210] = (0x10).to_bytes(2, "little")
    odd = tmp_path / "odd"
    odd.write_bytes(bytes(header) + release)
    with pytest.raises(NoSuchKernel, match="odd is no bzImage: its header names no version"):
        release_of(odd)


def test_host() -> None:
    release = os.uname().release
    try:
        image = find("host")
    except NoSuchKernel as error:
        assert str(error) == f"this host's kernel is in none of /boot/vmlinuz-{release}, /lib/modules/{release}/vmlinuz"
    else:
        assert (image.release, image.vmlinuz.is_file()) == (release, True)
