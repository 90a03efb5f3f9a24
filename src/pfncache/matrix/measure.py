# SPDX-License-Identifier: GPL-2.0-only
"""The matrices that a user has asked for: of a model alone, or of kernels beside their models."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.kernels.image import Image
from pfncache.machines.vm.guest import Boot, Guest
from pfncache.matrix.probes import run_all, run_all_inside
from pfncache.matrix.table import Matrix, compute
from pfncache.selftests.identify import Host, probe
from pfncache.selftests.targets import GuestKernel

GUEST_SECONDS = 180.0
"""Bound of all probes in a guest."""


class NoUsableKvm(Exception):
    """A host or a guest has no usable KVM."""


class MeasurementFailed(Exception):
    """The probes in a guest have crashed, or exceeded their bound."""


def matrices(design: Design | None, machine: str | None, images: list[Image], boot: Boot) -> Iterator[Matrix]:
    """Yield a matrix for each kernel, or for this host, or for the model. Raises NoUsableKvm, MeasurementFailed."""
    for image in images:
        with boot(image) as guest:
            yield _of_guest(guest, design, f"Linux {image.release} in QEMU")
    if not images and machine == "kvm":
        host = _usable(probe(), "this host")
        yield compute(design or host.design, run_all(), "this host's kernel")
    elif not images:
        yield compute(design or DESIGNS["mainline-7.3"])


def _of_guest(guest: Guest, design: Design | None, where: str) -> Matrix:
    host = _usable(GuestKernel(guest).probe(), where)
    with Console(stderr=True, highlight=False).status(f"probing {where} ..."):
        result = guest.call(run_all_inside, seconds=GUEST_SECONDS)
    if result.value is None:
        raise MeasurementFailed(f"{where}: {result.trouble}")
    return compute(design or host.design, result.value, where)


def _usable(host: Host, where: str) -> Host:
    if host.capabilities is None:
        raise NoUsableKvm(f"no usable KVM of {where}: {host.reason}")
    return host
