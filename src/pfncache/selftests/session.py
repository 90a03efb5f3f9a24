# SPDX-License-Identifier: GPL-2.0-only
"""A run of selftests on the machines that a user has chosen, one after another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.kernels.image import Image
from pfncache.machines.host import pace
from pfncache.machines.vm.guest import Boot
from pfncache.selftests import SELFTESTS, find
from pfncache.selftests.comparison import KernelResults
from pfncache.selftests.expected import Expected, expected_of
from pfncache.selftests.identify import Host, probe
from pfncache.selftests.runner import SelftestResult, run
from pfncache.selftests.selftest import Selftest
from pfncache.selftests.targets import GuestKernel, Kernel, this_host

Pending = tuple[KernelResults, Iterator[SelftestResult]]
"""A column that is still empty, and its results as they arrive."""


class NoSuchTest(Exception):
    """No selftest's name starts with this."""


@dataclass(frozen=True)
class SelftestRequest:
    """What to run."""

    tests: list[Selftest]
    names: Sequence[str] = ()
    """Names as the user gave them: a full name opts in to its test."""
    design: Design | None = None
    """The design to compare with; None for the one that models the kernel."""
    strict: bool = False
    """Whether a test that passes where a failure was expected is not ok."""


def select(names: Sequence[str]) -> list[Selftest]:
    """Return the tests whose names start with one of these, and those that a name describes; or all without names.

    Raises NoSuchTest.
    """
    found = {name: test for name, test in SELFTESTS.items() if not names or name.startswith(tuple(names))}
    for name in names:
        if any(test.startswith(name) for test in found):
            continue
        described = find(name)
        if described is None:
            raise NoSuchTest(name)
        found[name] = described
    return list(found.values())


def columns(request: SelftestRequest, machine: str | None, images: list[Image], boot: Boot) -> Iterator[Pending]:
    """Yield a column for each kernel, or for this host, or for the model; a guest is closed before the next one."""
    pace.calibrate()
    for image in images:
        with boot(image) as guest:
            kernel = GuestKernel(guest)
            found = kernel.probe()
            expected = expected_of(found, image, request.design)
            yield _on_kernel(request, kernel, f"of Linux {image.release} in QEMU", image.release, found, expected)
    if images:
        return
    host = probe() if machine != "model" else None
    if host is not None and (machine == "kvm" or host.capabilities is not None):
        expected = expected_of(host, design=request.design)
        yield _on_kernel(request, this_host, "of this host", os.uname().release, host, expected)
        return
    design = request.design or DESIGNS["mainline-7.3"]
    why = f" ({host.reason})" if host is not None else ""
    column = KernelResults("", design.name, f"the model of {design.name}, {design.title}{why}")
    yield column, run(request.tests, None, design, strict=request.strict)


def _on_kernel(
    request: SelftestRequest, kernel: Kernel, where: str, release: str, host: Host, expected: Expected
) -> Pending:
    design = expected.design
    if host.capabilities is None:
        column = KernelResults(release, design.name, f"no usable KVM {where}: {host.reason}")
        return column, run(request.tests, kernel, design)
    column = KernelResults(release, design.name, f"the KVM {where}, modelled by {design.name} ({expected.reason})")
    return column, run(request.tests, kernel, design, host.capabilities.processor, request.names, request.strict)
