# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache kernel``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pfncache.kernels import make
from tests.conftest import Call
from tests.kernels import sources
from tests.kernels.posted import BEFORE, diff, folder, mail


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel of a few lines, and its source."""
    if not all(map(shutil.which, ("make", "gcc", "strip"))):
        pytest.skip("no make, gcc or strip: install build-essential")
    monkeypatch.setattr(make, "missing", list)
    sources.source()
    sources.stock()


@pytest.mark.usefixtures("fetched")
def test_build_and_find_and_clear(pfncache: Call, home: Path) -> None:
    series = folder(home / "my-series", mail("[PATCH] KVM: mine", diff(BEFORE, BEFORE.replace("= 7", "= 8"))))
    result = pfncache("kernel", "build", "--base", "7.3", "--series", str(series))
    assert result.code == 0, result.err
    first, patch, built = result.out.splitlines()
    assert first == "1 patch on Linux 7.3.4+deb13-amd64, modelled by mainline-7.3:"
    assert patch == "  1 KVM: mine: changes no function that is in the model"
    assert built.startswith("7.3.4+my-series (")
    assert built.endswith(" s): pfncache selftest --kernel 7.3.4+my-series")
    assert pfncache("kernel", "build", "--base", "7.3").out.startswith("7.3.4+protected (")
    assert pfncache("kernel", "clear").out.endswith(" MiB freed\n")


@pytest.mark.usefixtures("fetched")
def test_a_patch_that_does_not_apply_is_a_line(pfncache: Call, home: Path) -> None:
    other = BEFORE.replace("cache + valid", "cache - valid")
    series = folder(home / "series", mail("[PATCH] KVM: mine", diff(other, other.replace("valid = 0", "valid = 2"))))
    result = pfncache("kernel", "build", "--base", "7.3", "--series", str(series))
    assert result.code == 3
    assert result.err.strip().splitlines()[-1] == (
        "Error: patch 1 (KVM: mine) does not apply: virt/kvm/cache.c, hunk 1 of 1, at line 2"
    )


@pytest.mark.usefixtures("fetched")
def test_the_source_is_a_path(pfncache: Call, home: Path) -> None:
    result = pfncache("kernel", "fetch", "--source", "7.3")
    tree = home / "cache/pfncache/sources/7.3.4+deb13-amd64/source"
    assert (result.code, result.out) == (0, f"{tree}\n")
    assert (tree / "virt/kvm").is_dir()


def test_the_source_of_no_version(pfncache: Call) -> None:
    result = pfncache("kernel", "fetch", "--source", "7.3", "newest")
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("Error: 'newest' is no version, such as 7.3, and none of")


def test_no_series(pfncache: Call, home: Path) -> None:
    result = pfncache("kernel", "build", "--base", "7.3", "--series", str(home / "none"))
    assert result.code == 2
    assert f"no series '{home}/none': no such file or folder" in result.err


def test_no_tools(pfncache: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "missing", lambda: ["flex", "libelf-dev"])
    result = pfncache("kernel", "build", "--base", "7.3")
    assert result.code == 3
    assert result.err == "Error: to build kernels: apt-get install flex libelf-dev\n"


def test_help_in_a_process(pfncache_process: Call) -> None:
    run = pfncache_process("kernel", "--help")
    assert run.code == 0
    assert [line.split()[0] for line in run.out.splitlines()[-4:]] == ["build", "clear", "fetch", "list"]
