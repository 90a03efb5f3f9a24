# SPDX-License-Identifier: GPL-2.0-only
"""The VMM, with a kernel of a few instructions that writes to the serial port, and with Linux if there is QEMU."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

import pytest

from pfncache.footprint import run
from pfncache.footprint.footprint import Footprint
from pfncache.footprint.vmm.bzimage import BzImage
from pfncache.footprint.vmm.linux import COMMAND_LINE, LinuxGuest, NotEnough, needed
from pfncache.kernels.find import NoSuchKernel, find
from pfncache.linux.include.uapi import SHARED_GMEM
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.machine import Machine
from pfncache.machines.vm import qemu
from tests.footprint.vmm.test_bzimage import bzimage

TEXT = b"Kernel panic - not syncing: of a test\n---[ end Kernel panic\n"


def _talks(text: bytes) -> bytes:
    """Mov dx, 0x3f8; then mov al, character; out dx, al for each; then loop."""
    return b"\x66\xba\xf8\x03" + b"".join(b"\xb0" + bytes([c]) + b"\xee" for c in text) + b"\xeb\xfe"


def _image(code: bytes) -> BzImage:
    return BzImage.parse(bzimage(kernel=bytes(0x200) + code))


def _need_gmem(kvm: Machine) -> KvmMachine:
    assert isinstance(kvm, KvmMachine)
    if kvm.capabilities.guest_memfd_flags & SHARED_GMEM != SHARED_GMEM:
        pytest.skip("no guest_memfd that can be mapped")
    return kvm


def test_a_kernel_that_gives_up(kvm: KvmMachine) -> None:
    found = run.linux(_need_gmem(kvm), _image(_talks(TEXT)), 96, "", 20.0)
    assert found.ended == "panicked: Kernel panic - not syncing: of a test"
    assert found.console == tuple(TEXT.decode().splitlines())
    assert found.exits == len(TEXT)
    assert found.roles[0x1000] == "bzImage"
    assert found.pages == 96 << 8


def test_a_kernel_that_does_not_end(kvm: KvmMachine) -> None:
    with LinuxGuest(_need_gmem(kvm), _image(b"\xeb\xfe"), 96, "some=thing") as guest:
        assert guest.boot(time.monotonic() + 0.2) == "still running when time was up"
        assert guest.memory.read(COMMAND_LINE, 200).split(b"\0")[0].endswith(b" some=thing")


def test_a_kernel_that_resets(kvm: KvmMachine) -> None:
    reset = b"\xb0\xfe\xe6\x64"  # mov al, 0xfe; out 0x64, al
    with LinuxGuest(_need_gmem(kvm), _image(reset + b"\xeb\xfe"), 96) as guest:
        assert guest.boot(time.monotonic() + 20) == "has reset itself"


def test_unknown_ports_read_as_all_ones(kvm: KvmMachine) -> None:
    """In al, 0x80; cmp al, 0xff; jne +4; mov al, 0xfe; out 0x64, al; then ud2."""
    code = b"\xe4\x80\x3c\xff\x75\x04\xb0\xfe\xe6\x64\x0f\x0b"
    with LinuxGuest(_need_gmem(kvm), _image(code), 96) as guest:
        assert guest.boot(time.monotonic() + 20) == "has reset itself"


def test_too_little_memory() -> None:
    image = _image(b"")
    needed(image, 83)
    with pytest.raises(NotEnough, match="needs 83 MiB"):
        needed(image, 82)


@pytest.mark.slow
def test_linux_in_qemu() -> None:
    """Linux panics for want of a root, and a probe has seen every page that KVM has touched of it."""
    from pfncache.machines.vm.guest import Guest

    if shutil.which(qemu.PROGRAM) is None:
        pytest.skip(f"no {qemu.PROGRAM}")
    try:
        image = find("7.3")
    except NoSuchKernel as error:
        pytest.skip(str(error))
    with Guest(image, replace(qemu.Hardware.here(), cpus=1)) as guest:
        data = image.vmlinuz.read_bytes()
        ended = guest.call(run.linux_on_this_host, data, 256, "quiet", 200.0, seconds=300.0)
    found = ended.value
    assert isinstance(found, Footprint), ended.trouble
    assert "VFS: Unable to mount root fs" in found.ended
    assert found.unexplained == ()
    assert found.lost == 0
    assert 1 <= len(found.touched) < 200
    assert {"kvm-clock", "steal time", "wall clock"} <= set(found.by_path())
