# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.uapi.linux.errno import EBADF, EEXIST, EINVAL, ENOENT
from pfncache.linux.virt.kvm.kvm_main.ioctl import KvmUserspaceMemoryRegion2
from tests.linux.conftest import HVA, Host, MakeHost

LOG, READONLY, GMEM = 1, 2, 4


def region(
    host: Host, slot: int = 0, flags: int = 0, gpa: int = 0, size: int = 0x1000, hva: int = HVA,
    gmem: File | None = None, offset: int = 0,
) -> int:  # fmt: skip
    mem = KvmUserspaceMemoryRegion2(slot, flags, gpa, size, hva, offset, gmem)
    return host.kernel.kvm_vm_ioctl_set_memory_region(host.kvm, mem)


@pytest.mark.parametrize(
    ("arguments", "ret"),
    [
        ({}, 0),
        ({"flags": LOG}, 0),
        ({"flags": READONLY}, 0),
        ({"flags": 8}, -EINVAL),
        ({"size": 1}, -EINVAL),
        ({"gpa": 1}, -EINVAL),
        ({"hva": HVA + 1}, -EINVAL),
        ({"slot": 99}, -EINVAL),
        ({"size": 0}, -EINVAL),
        ({"flags": GMEM}, -EBADF),
        ({"flags": GMEM | LOG}, -EINVAL),
        ({"flags": GMEM | READONLY}, -EINVAL),
        ({"flags": GMEM, "offset": 1}, -EINVAL),
        ({"gpa": (1 << 52) - 0x2000, "flags": GMEM}, -EBADF),
        ({"gpa": (1 << 52) - 0x1000, "size": 0x2000}, -EINVAL),
        ({"gpa": (1 << 64) - 0x1000, "flags": GMEM}, -EINVAL),
        ({"hva": 1 << 40}, -EINVAL),
    ],
)
def test_create(host: Host, arguments: dict[str, int], ret: int) -> None:
    assert region(host, **arguments) == ret  # type: ignore[arg-type]


def test_offset_that_wraps_is_refused_before_overlaps_are(host: Host) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 2, 3)
    assert region(host) == 0
    assert region(host, slot=1, flags=GMEM, gmem=file, offset=(1 << 64) - 0x2000) == -EEXIST
    assert region(host, slot=1, flags=GMEM, gmem=file, offset=(1 << 64) - 0x1000) == -EINVAL


def test_closed_descriptor_is_looked_up_last(host: Host) -> None:
    assert region(host) == 0
    assert region(host, slot=1, flags=GMEM) == -EEXIST
    assert region(host, slot=0, flags=GMEM) == -EINVAL
    assert region(host, slot=1, flags=GMEM, gpa=0x1000) == -EBADF


@pytest.mark.parametrize(
    ("design", "ret"), [("mainline-7.3", -EEXIST), ("mainline-7.2", -EEXIST), ("mainline-6.18", -EINVAL)]
)
def test_overlapping_binding(make_host: MakeHost, design: str, ret: int) -> None:
    """The errno of 7.3.4, 7.2.12 and 6.18.15. None of them keeps the file."""
    host = make_host(DESIGNS[design].kernel())
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 2, 3)
    assert region(host, flags=GMEM, gmem=file) == 0
    assert region(host, slot=1, flags=GMEM, gpa=0x1000, gmem=file) == ret
    assert file.f_count == 1
    assert region(host, slot=1, flags=GMEM, gpa=0x1000, gmem=file, offset=0x1000) == 0


def test_attributes(host: Host, make_host: MakeHost) -> None:
    assert host.kernel.kvm_vm_ioctl_set_mem_attributes(host.kvm, 0, 0x1000, 8) == -EINVAL
    private = make_host(vm_type=1)
    ioctl = private.kernel.kvm_vm_ioctl_set_mem_attributes
    assert ioctl(private.kvm, 0x1000, 0x1000, 8) == 0
    assert [a.private for a in private.kvm.mem_attr_array[:3]] == [False, True, False]
    assert ioctl(private.kvm, 0, 0x8000, 0) == 0
    for gpa, size, attributes in ((0, 0, 8), (1, 0x1000, 8), (0, 1, 8), (0, 0x1000, 1)):
        assert ioctl(private.kvm, gpa, size, attributes) == -EINVAL


def test_dirty_log(host: Host) -> None:
    assert host.kernel.kvm_vm_ioctl_get_dirty_log(host.kvm, 0) == -ENOENT
    assert region(host) == 0
    assert host.kernel.kvm_vm_ioctl_get_dirty_log(host.kvm, 0) == -ENOENT
    assert region(host, flags=LOG) == 0
    assert host.kernel.kvm_vm_ioctl_get_dirty_log(host.kvm, 0) == 0
    assert host.kernel.kvm_vm_ioctl_get_dirty_log(host.kvm, 99) == -EINVAL
