# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from pfncache.kernels.make import BuildError, first_error, make, missing

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make")


def run(tree: Path, target: str, seconds: float = 30.0, lines: list[str] | None = None) -> None:
    make(tree, target, log=tree / "log", seconds=seconds, progress=(lines if lines is not None else []).append)


def makefile(tree: Path, recipe: str) -> None:
    (tree / "Makefile").write_text(f"all:\n\t@{recipe}\n")


def test_what_it_is_at_is_told(tmp_path: Path) -> None:
    makefile(tmp_path, "echo '  CC [M]  kvm_main.o'; sleep 1")
    lines: list[str] = []
    run(tmp_path, "all", lines=lines)
    assert set(lines) == {"CC [M] kvm_main.o"}


def test_blank_lines_are_no_progress(tmp_path: Path) -> None:
    """As those of kconfig; neither is an empty log."""
    makefile(tmp_path, "sleep 1; echo '  GEN x'; echo; sleep 1")
    lines: list[str] = []
    run(tmp_path, "all", lines=lines)
    assert set(lines) == {"GEN x"}


def ended(path: Path) -> bool:
    """Whether the process whose id is in a file is gone, or a zombie that was not waited for."""
    stat = Path("/proc") / path.read_text().strip() / "stat"
    for _ in range(100):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_it_ends_in_time_with_its_children(tmp_path: Path) -> None:
    makefile(tmp_path, "sh -c 'echo $$$$ > pid; sleep 60'")
    with pytest.raises(BuildError, match=r"^make all is not done after 1 s: .*/log$"):
        run(tmp_path, "all", seconds=1.0)
    assert ended(tmp_path / "pid")


def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    makefile(tmp_path, "sh -c 'echo $$$$ > pid; echo on; sleep 60'")

    def interrupt(said: str) -> None:
        if said:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, "all", log=tmp_path / "log", seconds=30.0, progress=interrupt)
    assert ended(tmp_path / "pid")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (
            "  CC x\n../../../virt/kvm/pfncache.c:12:3: error: 'x' undeclared\nx.c:9:1: error: second",
            "virt/kvm/pfncache.c:12: 'x' undeclared",
        ),
        ("arch/x86/kvm/../../../virt/kvm/pfncache.c:7:1: error: no", "virt/kvm/pfncache.c:7: no"),
        ("x86.c:7:1: fatal error: a.h: No such file", "arch/x86/kvm/x86.c:7: a.h: No such file"),
        ('ERROR: modpost: "foo" [kvm.ko] undefined!\nmake: *** x', 'modpost: "foo" [kvm.ko] undefined! (see {log})'),
        ("make[1]: *** No rule to make target 'a'.  Stop.", "No rule to make target 'a' (see {log})"),
        ("nothing", "make has failed: {log}"),
    ],
)
def test_first_error(tmp_path: Path, said: str, error: str) -> None:
    (tmp_path / "virt/kvm").mkdir(parents=True)
    (tmp_path / "virt/kvm/pfncache.c").touch()
    log = tmp_path / "log"
    assert str(first_error(said, log, tmp_path)) == error.format(log=log)


def test_missing_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing() == ["make", "gcc", "binutils", "flex", "bison", "bc", "dwarves", "xz-utils", "git", "perl"]
    (tmp_path / "gcc").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "gcc").chmod(0o755)
    assert missing()[-2:] == ["libelf-dev", "libssl-dev"]
