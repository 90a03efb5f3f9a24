# SPDX-License-Identifier: GPL-2.0-only
"""Kernels from a fake Debian: shell scripts in the place of apt, and small packages."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from pfncache import user_cache as cache
from pfncache.kernels import apt as apt_module
from pfncache.kernels import debian
from pfncache.kernels.apt import Apt, AptError
from tests.kernels.trees import bzimage, module

NAMES = (
    "linux-image-6.12.117+deb13-amd64", "linux-image-6.12.117+deb13-cloud-amd64", "linux-image-7.3.4+deb13-amd64",
    "linux-image-7.3.4+deb13-rt-amd64", "linux-image-amd64", "linux-binary-7.3.4+deb13-amd64",
    "linux-modules-7.3.4+deb13-amd64",
)  # fmt: skip
SEARCH = "".join(f"{name} - Linux\n" for name in NAMES)
POLICY = r"""for name in "$@"; do
echo "$name:"; echo "  Installed: (none)"; echo "  Candidate: 1"; echo "  Version table:"; case $name in
linux-*-6.12*) echo "     6.12.117-1 500"; echo "        500 mirror:/debian trixie/main amd64 Packages";;
linux-*-7.3*) echo " *** 7.3.4-1~bpo13+1 100"; echo "        100 mirror:/debian trixie-backports/main amd64 Packages"
  echo "        100 /var/lib/dpkg/status";;
esac; done"""


def script(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """apt-get, apt-cache and a package of each name in the folder `pool`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    skip = "while case $1 in -o*) true;; *) false;; esac; do shift; done; verb=$1; shift"
    show = 'shift; for n in "$@"; do echo "Size: 2097152"; done'
    cases = f"search) cat <<EOF\n{SEARCH}EOF\n;;\npolicy) {POLICY} ;;\nshow) {show} ;;"
    script(folder, "apt-cache", f"{skip}; case $verb in\n{cases}\nesac")
    script(folder, "apt-get", f'{skip}; for n in "$@"; do cp {tmp_path}/pool/$n.deb . || exit 1; done')
    return folder


def package(tmp_path: Path, name: str, tree: Path) -> None:
    """A real package, whose files are those of a folder."""
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: amd64\nMaintainer: Nobody <nobody@localhost>\nDescription: none\n"
    )
    (tmp_path / "pool").mkdir(exist_ok=True)
    command = ["dpkg-deb", "-b", str(tree), str(tmp_path / "pool" / f"{name}.deb")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.mark.usefixtures("programs")
def test_available() -> None:
    found = debian.available(Apt())
    assert [(k.release, k.suite) for k in found] == [
        ("7.3.4+deb13-amd64", "trixie-backports"),
        ("6.12.117+deb13-amd64", "trixie"),
    ]


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("wanted", ["7.3", "trixie-backports", "7.3.4+deb13-amd64"])
def test_fetch_a_kernel_of_several_packages(tmp_path: Path, wanted: str) -> None:
    release = "7.3.4+deb13-amd64"
    modules = Path("usr/lib/modules") / release
    for name in NAMES:
        if release in name:
            tree = tmp_path / name
            (tree / modules).mkdir(parents=True)
            if "binary" in name:
                bzimage(tree / modules / "vmlinuz", release)
            if "modules" in name:
                module(tree / modules / "kernel", "kvm", "irqbypass")
                module(tree / modules / "kernel", "irqbypass")
                module(tree / modules / "kernel", "e1000")
                for other in ("config", "System.map"):
                    (tree / modules / other).write_text(other)
            package(tmp_path, name, tree)
    lines: list[str] = []
    image = debian.fetch(Apt(), wanted, lines.append)
    assert lines == [f"fetching Linux {release} from trixie-backports (6 MiB)"]
    kept = cache.folder("kernels") / release
    assert sorted(str(p.relative_to(kept)) for p in kept.rglob("*") if p.is_file()) == [
        "System.map", "config", "modules/irqbypass.ko.xz", "modules/kvm.ko.xz", "suite", "vmlinuz",
    ]  # fmt: skip
    assert (image.release, image.vmlinuz) == (release, kept / "vmlinuz")
    assert [p.name for p in kept.parent.iterdir()] == [release]
    assert debian.fetch(Apt(), wanted, lines.append) == image and len(lines) == 1  # it is here


@pytest.mark.usefixtures("programs")
def test_no_such_kernel() -> None:
    with pytest.raises(AptError) as error:
        debian.fetch(Apt(), "5.10", print)
    assert str(error.value) == (
        "Debian has no kernel '5.10'; it has 7.3, 6.12, by the lists that are here;"
        " `pfncache kernel list --update` gets new ones"
    )


@pytest.mark.usefixtures("programs")
def test_a_download_that_fails_leaves_nothing(tmp_path: Path, programs: Path) -> None:
    script(programs, "apt-get", "echo 'E: Failed to fetch the package' >&2; exit 100")
    with pytest.raises(AptError, match=r"^apt-get download: Failed to fetch the package$"):
        debian.fetch(Apt(), "7.3", print)
    assert list(cache.folder("kernels").iterdir()) == []


def test_no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AptError, match=r"^apt-cache is not installed: Debian.s kernels can only be fetched"):
        debian.available(Apt())


@pytest.mark.usefixtures("programs")
def test_update_needs_a_mirror_and_a_keyring(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt_module, "_KEYRING", tmp_path / "none.gpg")
    with pytest.raises(AptError, match=r"none.gpg: install debian-archive-keyring$"):
        Apt().update()
    (tmp_path / "none.gpg").touch()
    script(programs, "apt-get", "echo 'Ubuntu|main|Ubuntu|somewhere'")
    with pytest.raises(AptError, match=r"^apt has no list of Debian's main suite: run `apt-get update`, on a Debian$"):
        Apt().update()
    script(programs, "apt-get", "echo 'Debian|main|Debian|mirror:/debian'")
    Apt().update()
    sources = (cache.folder("apt") / "sources" / "debian.sources").read_text()
    assert "URIs: mirror:/debian\nSuites: bookworm trixie trixie-backports sid\n" in sources


@pytest.mark.usefixtures("programs")
def test_two_at_a_time_queue(tmp_path: Path) -> None:
    lines: list[str] = []
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        with Apt().exclusive(lines.append):
            order.append("second")

    with Apt().exclusive(lines.append):
        thread = threading.Thread(target=second)
        thread.start()
        inside.wait(0.3)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert lines == ["another pfncache is fetching; waiting until it has ended"]
