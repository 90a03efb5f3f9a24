# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.linux.include.linux.kvm_host import File, GmemFile
from pfncache.linux.include.uapi.linux.errno import EFBIG, EINVAL, EOPNOTSUPP, ESPIPE
from tests.linux.conftest import Host

KEEP, PUNCH, ZERO, COLLAPSE = 1, 2, 16, 8


def gmem(host: Host) -> File:
    return host.kernel._kvm_gmem_create("gmem", host.kvm, 4, 3)


def memfd(host: Host) -> File:
    return File(
        "memfd", f_count=1, f_mapping=host.kernel.new_memfd("memfd", 4), private_data=GmemFile("-", bindings=())
    )


@pytest.mark.parametrize(
    ("mode", "offset", "length", "ret"),
    [
        (KEEP, 0, 0x1000, 0),
        (KEEP | PUNCH, 0, 0x1000, 0),
        (KEEP | PUNCH, 0x4000, 0x1000, 0),
        (KEEP | PUNCH, 1 << 62, 1 << 62, -EFBIG),
        (PUNCH, 1 << 62, 1 << 62, -EOPNOTSUPP),
        (KEEP, -1, 0x1000, -EINVAL),
        (KEEP, 0, 0, -EINVAL),
        (KEEP, 0x4000, 0x1000, -EINVAL),
        (0x1000, 0, 0x1000, -EOPNOTSUPP),
        (PUNCH, 0, 0x1000, -EOPNOTSUPP),
        (KEEP | ZERO, 0, 0x1000, -EOPNOTSUPP),
        (COLLAPSE, 0, 0x1000, -EOPNOTSUPP),
    ],
)
def test_fallocate(host: Host, mode: int, offset: int, length: int, ret: int) -> None:
    assert host.kernel.vfs_fallocate(gmem(host), mode, offset, length) == ret
    assert host.kernel.vfs_fallocate(memfd(host), mode, offset, length) == ret


def test_mode_zero_is_for_memfds(host: Host) -> None:
    assert host.kernel.vfs_fallocate(gmem(host), 0, 0, 0x1000) == -EOPNOTSUPP
    file = memfd(host)
    assert host.kernel.vfs_fallocate(file, 0, 0x1000, 0x2000) == 0
    assert [entry.page is not None for entry in file.f_mapping.i_pages] == [False, True, True, False]
    assert host.kernel.vfs_fallocate(file, KEEP | PUNCH, 0x1000, 0x1000) == 0
    assert [entry.page is not None for entry in file.f_mapping.i_pages] == [False, False, True, False]


def test_guest_memfd_has_no_position_and_a_fixed_size(host: Host) -> None:
    assert (host.kernel.ksys_pread64(gmem(host)), host.kernel.do_truncate(gmem(host))) == (-ESPIPE, -EINVAL)
    assert (host.kernel.ksys_pread64(memfd(host)), host.kernel.do_truncate(memfd(host))) == (0, 0)
