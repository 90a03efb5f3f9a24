# SPDX-License-Identifier: GPL-2.0-only
"""Debian's source packages, of a Debian that has two of them."""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pfncache import user_cache as cache
from pfncache.kernels import source
from pfncache.kernels.apt import Apt, AptError, Package
from tests.kernels.test_debian import package

RELEASE = "7.3.4+deb13-amd64"


class Debian(Apt):
    """Packages in a folder, instead of a mirror."""

    known = (
        Package("linux-headers-7.3.4+deb13-amd64", "7.3.4-1~bpo13+1", "trixie-backports"),
        Package("linux-headers-6.18.15+deb13-amd64", "6.18.15-1~bpo13+1", "trixie-backports"),
        Package("linux-source-7.3", "7.3.5-1", "sid"),
        Package("linux-source-7.3", "7.3.4-1~bpo13+1", "trixie-backports"),
        Package("linux-source-6.12", "6.12.117-1", "trixie"),
    )

    def __init__(self, pool: Path) -> None:
        self.pool = pool
        self.asked: list[str] = []

    def packages(self, pattern: str) -> Iterator[Package]:
        return (p for p in self.known if re.fullmatch(pattern, p.name))

    def size(self, names: object) -> int:
        return 3 << 20

    def download(self, names: object, into: Path) -> list[Path]:
        assert isinstance(names, list)
        self.asked += names
        for name in names:
            file = self.pool / f"{name.partition('=')[0]}.deb"
            (into / file.name).write_bytes(file.read_bytes())
        return sorted(into.glob("*.deb"))


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Debian:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    headers = tmp_path / "headers" / "usr/src" / f"linux-headers-{RELEASE}"
    headers.mkdir(parents=True)
    (headers / ".config").write_text("CONFIG_KVM=m\n")
    (headers / "Module.symvers").write_text("symbols\n")
    package(tmp_path, f"linux-headers-{RELEASE}", tmp_path / "headers")
    tree = tmp_path / "linux-source-7.3"
    for name in ("virt/kvm/pfncache.c", "drivers/gpu/drm/a.c", "drivers/gpu/Kconfig", "drivers/net/loopback.c"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    (tmp_path / "archive/usr/src").mkdir(parents=True)
    with tarfile.open(tmp_path / "archive/usr/src/linux-source-7.3.tar.xz", "w:xz") as archive:
        archive.add(tree, "linux-source-7.3")
    package(tmp_path, "linux-source-7.3", tmp_path / "archive")
    return Debian(tmp_path / "pool")


def test_source_and_configuration_are_of_one_version(debian: Debian) -> None:
    lines: list[str] = []
    found = source.get(lambda: debian, RELEASE, lines.append)
    assert debian.asked == ["linux-source-7.3=7.3.4-1~bpo13+1", f"linux-headers-{RELEASE}=7.3.4-1~bpo13+1"]
    assert sorted(str(p.relative_to(found.tree)) for p in found.tree.rglob("*") if p.is_file()) == [
        "drivers/gpu/Kconfig", "drivers/net/loopback.c", "virt/kvm/pfncache.c",
    ]  # fmt: skip
    assert (found.config.read_text(), found.symbols.read_text()) == ("CONFIG_KVM=m\n", "symbols\n")
    assert [p.name for p in cache.folder("sources").iterdir()] == [RELEASE]
    assert lines[0] == f"fetching the source of Linux {RELEASE} (3 MiB)"
    assert source.get(lambda: pytest.fail("it is here"), RELEASE, lines.append) == found


def test_a_source_that_is_gone(debian: Debian) -> None:
    with pytest.raises(AptError) as error:
        source.get(lambda: debian, "6.18.15+deb13-amd64", print)
    assert str(error.value) == (
        "Debian no longer has the source of Linux 6.18.15+deb13-amd64; it has that of the newest 7.3, 6.12"
    )


def test_half_a_source_is_none(debian: Debian) -> None:
    (debian.pool / "linux-source-7.3.deb").write_bytes(b"no package")
    with pytest.raises(subprocess.CalledProcessError):
        source.get(lambda: debian, RELEASE, print)
    assert list(cache.folder("sources").iterdir()) == []
