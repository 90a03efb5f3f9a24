# SPDX-License-Identifier: GPL-2.0-only
"""The kernel of a review: a program of ours stands for the two commands, so that nothing is built or booted."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from pfncache.kernels import make
from pfncache.kernels.patch_mail import PatchMail
from pfncache.machines.vm import qemu
from pfncache.review.kernel import KernelRun
from pfncache.review.stages import StageFailed, StageSkipped

RESULTS = """{"kernels": [{"about": "the KVM of Linux 7.3.4 in QEMU", "results": [
 {"test": "clock/punch", "verdict": "failed", "notes": ["guest_clock stays behind", "kernel log: BUG"]},
 {"test": "memslots/move", "verdict": "ok", "notes": []}]}]}"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KernelRun:
    monkeypatch.setattr(make, "missing", list)
    monkeypatch.setattr(qemu, "program", lambda: "/bin/true")
    return KernelRun(base="7.3.4", series=tmp_path, debug=False, tests=("clock/",))


def program(run: KernelRun, folder: Path, text: str) -> None:
    (folder / "program.py").write_text(f"import sys, time\nwords = sys.argv[1:]\n{text}")
    run.command = (sys.executable, str(folder / "program.py"))


def test_the_commands_are_those_that_one_would_type(run: KernelRun, tmp_path: Path) -> None:
    run.debug = True
    program(run, tmp_path, f"print('review (3 s): ' + '|'.join(words) if 'build' in words else '''{RESULTS}''')")
    assert run.build() == "review (3 s)"
    text, findings = run.selftest()
    assert text == "the KVM of Linux 7.3.4 in QEMU: 1 ok, 1 failed"
    assert [(f.kind.value, f.subject, f.details) for f in findings] == [
        ("selftest", "clock/punch", ("guest_clock stays behind", "kernel log: BUG"))
    ]


def test_an_error_of_the_compiler_is_its_line(run: KernelRun, tmp_path: Path) -> None:
    program(
        run, tmp_path, "sys.exit('CC pfncache.o\\nError: virt/kvm/pfncache.c:9: no such member; touched by patch 1')"
    )
    with pytest.raises(StageFailed, match=r"^virt/kvm/pfncache.c:9: no such member; touched by patch 1$"):
        run.build()


def test_each_patch_is_compiled_on_those_before_it(run: KernelRun, tmp_path: Path) -> None:
    """The second does not, and the third mends that: the series can be built, and not be bisected."""
    run.mails = [PatchMail(number, f"part {number}", 1, b"--- a/x\n+++ b/x\n", 3) for number in (1, 2, 3)]
    program(
        run, tmp_path,
        f"""import os
folder = words[words.index('--series') + 1]
patches = sorted(name for name in os.listdir(folder) if name.endswith('.patch')) if folder != {str(tmp_path)!r} else []
with open({str(tmp_path / "built")!r}, 'a') as log:
    log.write(' '.join(patches) + ';')
if len(patches) == 2:
    sys.exit('Error: virt/kvm/kvm_main.c:7: not declared; touched by patch 2 (part 2)')
print('review (2 s): built')""",
    )  # fmt: skip
    assert run.build() == "review (2 s)"
    assert (tmp_path / "built").read_text() == "0001.patch;0001.patch 0002.patch;;"
    assert run.errors == {2: "virt/kvm/kvm_main.c:7: not declared; touched by patch 2 (part 2)"}


def test_a_kernel_that_does_not_boot(run: KernelRun, tmp_path: Path) -> None:
    program(run, tmp_path, "sys.stderr.write('Error: Kernel panic\\n'); sys.exit(3)")
    with pytest.raises(StageFailed, match=r"^Kernel panic$"):
        run.selftest()


def test_without_a_compiler_it_is_skipped(run: KernelRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "missing", lambda: ["gcc", "flex"])
    with pytest.raises(StageSkipped, match=r"^to build kernels: apt-get install gcc flex$"):
        run.build()


def test_without_space_it_is_skipped(run: KernelRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pfncache.review.kernel.BUILD_GIB", 1 << 20)
    with pytest.raises(StageSkipped, match=r"GiB are free in .*, and a build takes 1048576"):
        run.build()


def test_a_command_ends_when_the_review_does(run: KernelRun, tmp_path: Path) -> None:
    program(run, tmp_path, "sys.stderr.write('begun\\n'); sys.stderr.flush(); time.sleep(60)")
    run.note = lambda line: threading.Timer(0.1, run.stopped.set).start()
    started = time.monotonic()
    with pytest.raises(StageFailed, match="interrupted"):
        run.build()
    assert time.monotonic() - started < 20
