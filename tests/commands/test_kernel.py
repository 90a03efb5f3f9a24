# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pfncache.commands.main import main
from pfncache.kernels import make
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


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["kernel", *arguments])


@pytest.mark.usefixtures("fetched")
def test_build_and_find_and_clear(home: Path) -> None:
    series = folder(home / "my-series", mail("[PATCH] KVM: mine", diff(BEFORE, BEFORE.replace("= 7", "= 8"))))
    result = run("build", "--base", "7.3", "--series", str(series))
    assert result.exit_code == 0, result.output
    first, patch, built = result.stdout.splitlines()
    assert first == "1 patch on Linux 7.3.4+deb13-amd64, modelled by mainline-7.3:"
    assert patch == "  1 KVM: mine: changes no function that is in the model"
    assert built.startswith("7.3.4+my-series (")
    assert built.endswith(" s): pfncache selftest --kernel 7.3.4+my-series")
    assert run("build", "--base", "7.3").stdout.startswith("7.3.4+protected (")
    assert run("clear").stdout.endswith(" MiB freed\n")


@pytest.mark.usefixtures("fetched")
def test_names(home: Path) -> None:
    for name in ("a/b", ".hidden", "host"):
        result = run("build", "--base", "7.3", "--name", name)
        assert result.exit_code == 2
        assert f"{name!r} is no name for a kernel; wanted one like my-series" in result.stderr


@pytest.mark.usefixtures("fetched")
def test_a_patch_that_does_not_apply_is_a_line(home: Path) -> None:
    other = BEFORE.replace("cache + valid", "cache - valid")
    series = folder(home / "series", mail("[PATCH] KVM: mine", diff(other, other.replace("valid = 0", "valid = 2"))))
    result = run("build", "--base", "7.3", "--series", str(series))
    assert result.exit_code == 1
    assert result.stderr.strip().splitlines()[-1] == (
        "Error: patch 1 (KVM: mine) does not apply: virt/kvm/cache.c, hunk 1 of 1, at line 2"
    )


def test_no_series(home: Path) -> None:
    result = run("build", "--base", "7.3", "--series", str(home / "none"))
    assert result.exit_code == 2
    assert f"no series '{home}/none': no such file or folder" in result.stderr


def test_no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "missing", lambda: ["flex", "libelf-dev"])
    result = run("build", "--base", "7.3")
    assert result.exit_code == 1
    assert result.stderr == "Error: to build kernels: apt-get install flex libelf-dev\n"
