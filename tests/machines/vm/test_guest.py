# SPDX-License-Identifier: GPL-2.0-only
"""A real kernel in QEMU: calls, failures, and release of all resources."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pfncache import user_cache as cache
from pfncache.kernels import debian
from pfncache.kernels.apt import Apt, AptError
from pfncache.kernels.image import Image
from pfncache.machines.vm import guest as guest_module
from pfncache.machines.vm import qemu
from pfncache.machines.vm.guest import Guest, GuestError
from pfncache.machines.vm.qemu import Hardware, QemuError
from pfncache.machines.vm.snapshot import Snapshot
from pfncache.selftests import SELFTESTS
from pfncache.selftests.outcome import SelftestStatus
from pfncache.selftests.runner import SelftestVerdict, run
from pfncache.selftests.targets import GuestKernel
from tests.kernels.trees import bzimage

KERNEL = "6.12"
NEEDS_QEMU = pytest.mark.skipif(
    shutil.which(qemu.PROGRAM) is None, reason=f"no {qemu.PROGRAM}: install qemu-system-x86"
)


def ours() -> list[str]:
    """The QEMU processes that are our children."""
    done = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-l"], capture_output=True, text=True, timeout=10, check=False
    )
    return [line for line in done.stdout.splitlines() if "qemu" in line]


@pytest.fixture(scope="module")
def image() -> Image:
    """A Debian kernel, fetched if it is not here."""
    for found in debian.fetched():
        if debian.matches(found.release, KERNEL):
            return found
    try:
        apt = Apt()
        if not apt.updated:
            apt.update()
        return debian.fetch(apt, KERNEL, print)
    except (AptError, subprocess.SubprocessError) as error:
        pytest.skip(f"no kernel to boot: {error}")


@pytest.fixture(scope="module")
def guest(image: Image) -> Iterator[Guest]:
    with Guest(image) as running:
        yield running
    assert ours() == []


@pytest.mark.slow
@NEEDS_QEMU
class TestKernel:
    def test_is_the_kernel_of_the_image(self, guest: Guest, image: Image) -> None:
        ended = guest.call(os.uname)
        assert ended.value is not None and (ended.value.release, ended.trouble) == (image.release, "")

    def test_hang_and_crash_are_the_childs_alone(self, guest: Guest) -> None:
        hung = guest.call(time.sleep, 60.0, seconds=0.5)
        assert (hung.hung, hung.trouble) == (True, "not done after 0 s")
        assert guest.call(os._exit, 3).trouble == "exited with 3"
        assert guest.call(os.abort).trouble == "killed by SIGABRT"
        assert "ZeroDivisionError" in guest.call(divmod, 1, 0).trouble
        assert guest.call(os.getpid).value != 1

    def test_much_data(self, guest: Guest) -> None:
        data = os.urandom(3 << 20)
        assert guest.call(bytes, data, seconds=60.0).value == data

    def test_selftests(self, guest: Guest) -> None:
        """The suite's first tests of each kind do what the model of the kernel does."""
        kernel = GuestKernel(guest)
        host = kernel.probe()
        assert host.capabilities is not None and host.design.name == "mainline-6.12"
        names = ("clock/", "memslots/", "invalidation/", "paused-lookup/missing-anon")
        tests = [test for name, test in SELFTESTS.items() if name.startswith(names)]
        results = list(run(tests, kernel, host.design, host.capabilities.processor))
        assert {r.test.name: r.line.notes for r in results if r.verdict is SelftestVerdict.FAILED} == {}
        assert sum(r.verdict is SelftestVerdict.OK for r in results) > 40

    def test_panic_is_reported_and_the_next_test_runs(self, guest: Guest) -> None:
        with pytest.raises(GuestError) as error:
            guest.call(Path.write_text, Path("/proc/sysrq-trigger"), "c")
        first, *console = str(error.value).splitlines()
        assert first.endswith("the guest has panicked or powered off; the console's last lines:")
        assert "Kernel panic - not syncing: sysrq triggered crash" in console[-1]
        assert ours() == []
        with pytest.raises(GuestError, match=r"the guest has ended$"):
            guest.call(os.getpid)
        guest.start()
        assert guest.restored
        assert GuestKernel(guest)(SELFTESTS["clock/first-run"]).status is SelftestStatus.PASS


@pytest.mark.slow
@NEEDS_QEMU
def test_state_that_cannot_be_saved(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest goes on without."""
    nowhere = Snapshot(Path("/dev/null/state"))
    monkeypatch.setattr(Snapshot, "of", lambda *args: nowhere)
    with Guest(image) as guest:
        assert guest.unsaved.startswith("the guest's state cannot be saved: ")
        assert guest.call(os.getpid).value is not None


@pytest.mark.slow
@NEEDS_QEMU
def test_kernel_that_does_not_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(guest_module, "BOOT_SECONDS", 3.0)
    before = ours()
    broken = Image("broken", "1.0", bzimage(tmp_path / "bzImage", "1.0"), None)
    with pytest.raises((GuestError, QemuError)) as error:
        Guest(broken)
    assert "does not boot within 3 s" in str(error.value) or "QEMU does not start" in str(error.value)
    assert ours() == before
    assert cache.entries("snapshots") == []


def test_no_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    qemu.program.cache_clear()
    try:
        with pytest.raises(QemuError, match=r"^no qemu-system-x86_64 here: install qemu-system-x86$"):
            qemu.program()
    finally:
        qemu.program.cache_clear()


@NEEDS_QEMU
def test_qemu_that_does_not_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    processes = ours()
    with pytest.raises(QemuError, match=r"QEMU does not start: .*nonexistent"):
        qemu.Qemu(Hardware(), Path("/nonexistent"), tmp_path / "initramfs", "")
    assert list(tmp_path.iterdir()) == []
    assert ours() == processes


def test_hardware() -> None:
    assert Hardware(cpus=4, megabytes=1024, accelerated=True).arguments == (
        "-accel", "kvm", "-cpu", "host", "-machine", "q35", "-smp", "4", "-m", "1024",
    )  # fmt: skip
