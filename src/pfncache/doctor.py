# SPDX-License-Identifier: GPL-2.0-only
"""Findings about this host: what it offers, which tests that enables, and how to get what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from pfncache.check.engine.bfs import explore
from pfncache.check.engine.numba_cache import DIRECTORY, is_cached
from pfncache.kernels.debian import fetched
from pfncache.linux.include.uapi import (
    GUEST_MEMFD_FLAG_NO_DIRECT_MAP,
    SHARED_GMEM,
    UFFDIO_REGISTER_MODE_MINOR,
    UFFDIO_REGISTER_MODE_MISSING,
    UFFDIO_REGISTER_MODE_WP,
)
from pfncache.litmus.herd import find
from pfncache.machines.capabilities import Capabilities
from pfncache.machines.host.userfaultfd import supported_modes
from pfncache.machines.vm.qemu import PROGRAM, Hardware
from pfncache.selftests import SELFTESTS
from pfncache.selftests.identify import Host

UFFD_NAMES = {
    UFFDIO_REGISTER_MODE_MISSING: "missing",
    UFFDIO_REGISTER_MODE_WP: "write-protected",
    UFFDIO_REGISTER_MODE_MINOR: "minor",
}
KVM_REMEDIES = {
    "ENOENT": "load kvm_intel or kvm_amd; in a VM, have its host allow nested virtualisation",
    "EACCES": "join the group of /dev/kvm (kvm)",
    "EPERM": "join the group of /dev/kvm (kvm), or give the container the device",
}
"""By the errno of opening /dev/kvm."""


@dataclass(frozen=True)
class Finding:
    """A feature of the host, found or missing."""

    what: str
    found: str
    """Details of the feature; empty if it is missing."""
    enables: str
    """Verbs, options and groups of tests that require it."""
    remedy: str = ""
    """How to get it."""

    @property
    def markup(self) -> str:
        """The finding in a line, as rich markup."""
        if self.found:
            return f"[green]yes[/]  {self.what:<22} {self.found}; for {self.enables}"
        return f"[yellow]no[/]   {self.what:<22} required for {self.enables}; to get it: {self.remedy}"


def findings(host: Host) -> list[Finding]:
    """Return all findings about a host, in the order of dependence."""
    found = [_kvm(host)]
    if host.capabilities is not None:
        found += _gmem(host.capabilities)
    found += _others(host.capabilities)
    for what, enables, look in (
        ("QEMU", "selftest --kernel", _qemu),
        ("kernels for QEMU", "selftest --kernel", _kernels),
        ("herd7", "litmus", _herd),
        ("search engine", "a verify that starts at once", _engine),
    ):
        try:
            found.append(look())
        except OSError as error:
            found.append(Finding(what, "", enables, f"make readable what cannot be read: {error}"))
    return found


def runnable(capabilities: Capabilities) -> str:
    """Return how many selftests can run on a host."""
    tests = [test for test in SELFTESTS.values() if not test.missing(capabilities)]
    opt_in = sum(bool(test.opt_in) for test in tests)
    named = f", {opt_in} of them only by full name" if opt_in else ""
    return f"{len(tests)} of {len(SELFTESTS)} selftests can run here{named}; on a model, all: --machine model"


def _kvm(host: Host) -> Finding:
    found = f"/dev/kvm; modelled by {host.design.name}: {host.reason}" if host.capabilities else ""
    remedy = KVM_REMEDIES.get(host.reason.rsplit(" ", 1)[-1], "this /dev/kvm is not usable")
    return Finding("KVM", found, "selftest --machine kvm, fuzzing", f"{host.reason}: {remedy}")


def _gmem(capabilities: Capabilities) -> Iterator[Finding]:
    flags = capabilities.guest_memfd_flags
    found = f"flags {flags:#x}" if capabilities.guest_memfd else ""
    yield Finding("guest_memfd", found, "gmem, and guest_memfd in every group", "a kernel with CONFIG_KVM_GUEST_MEMFD")
    shared = "MMAP and INIT_SHARED" if flags & SHARED_GMEM == SHARED_GMEM else ""
    yield Finding("guest_memfd, mapped", shared, "clocks in guest_memfd, footprint", "Linux 6.18 or newer")
    bare = "NO_DIRECT_MAP" if flags & GUEST_MEMFD_FLAG_NO_DIRECT_MAP else ""
    yield Finding("guest_memfd, unmapped", bare, "series/*-no-direct-map", "in no released kernel; try --machine model")
    private = f"attributes {capabilities.memory_attributes:#x}" if capabilities.memory_attributes else ""
    remedy = "CONFIG_KVM_SW_PROTECTED_VM and nested paging: pfncache kernel build"
    yield Finding("private memory", private, "series/*-private, conversion", remedy)


def _others(capabilities: Capabilities | None) -> Iterator[Finding]:
    modes = capabilities.userfaultfd if capabilities is not None else supported_modes()
    named = ", ".join(name for mode, name in UFFD_NAMES.items() if modes & mode)
    yield Finding("userfaultfd", named, "paused-lookup", "as root, or sysctl vm.unprivileged_userfaultfd=1")
    if capabilities is not None:
        window = "enough free memory" if capabilities.notifier_window else ""
        yield Finding("long invalidations", window, "long-window", "2 GiB of free memory")


def _qemu() -> Finding:
    path = shutil.which(PROGRAM)
    found = f"{path}, {'by KVM' if Hardware.here().accelerated else 'emulating'}" if path else ""
    return Finding("QEMU", found, "selftest --kernel", "install qemu-system-x86")


def _kernels() -> Finding:
    kernels = ", ".join(image.name for image in fetched())
    return Finding("kernels for QEMU", kernels, "selftest --kernel", "pfncache kernel fetch 6.12 6.18 7.3")


def _herd() -> Finding:
    herd = find()
    found = f"{herd.version}, {herd.path}" if herd is not None else ""
    return Finding("herd7", found, "litmus", "pfncache litmus fetches Debian's; or install herdtools7, 7.58 or newer")


def _engine() -> Finding:
    remedy = "the first verify compiles for about ten seconds, and keeps the result"
    if DIRECTORY is None:
        remedy = "set XDG_CACHE_HOME or NUMBA_CACHE_DIR to a directory that only you can write"
    cached = f"compiled, in {DIRECTORY}" if is_cached(explore) else ""
    return Finding("search engine", cached, "a verify that starts at once", remedy)
