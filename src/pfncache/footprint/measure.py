# SPDX-License-Identifier: GPL-2.0-only
"""The footprints that a user has asked for: guests, one after another, on a model, on this host or in QEMU."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from rich.console import Console

from pfncache.designs.catalogue import DESIGNS
from pfncache.footprint import run
from pfncache.footprint.footprint import Footprint
from pfncache.footprint.guests import LINUX, SMALL
from pfncache.footprint.vmm.bzimage import BadImage, BzImage
from pfncache.footprint.vmm.linux import NotEnough, needed
from pfncache.kernels.find import NoSuchKernel, find
from pfncache.kernels.image import Image
from pfncache.machines.host.devkvm import DEVICE
from pfncache.machines.machine import SyscallError
from pfncache.machines.model.machine import ModelMachine
from pfncache.machines.vm.guest import Boot, Guest
from pfncache.machines.vm.qemu import Hardware

_SMALL_SECONDS = 60.0
"""Bound of a small guest in a guest of QEMU."""
_READ_SECONDS = 180.0
"""Time to read the trace of Linux in a guest of QEMU, in addition to the bound of the run."""
_CANNOT = f"{run.CannotMeasure.__module__}.{run.CannotMeasure.__qualname__}: "
HOST = "host"
"""Name of this host's kernel, as in kernels/find.py."""


class BadRequest(Exception):
    """A usage error, found before anything runs."""


class NotMeasured(Exception):
    """A machine cannot measure, or has failed."""


@dataclass(frozen=True)
class LinuxBoot:
    """Kernel and parameters of the guest `linux`."""

    kernel: str | None
    """None for the kernel of the machine."""
    megabytes: int
    append: str
    seconds: float

    def bzimage(self, machine: Image | None) -> bytes:
        """Return the bzImage; `machine` is the machine's kernel, None for this host's. Raises BadRequest."""
        try:
            path = machine.vmlinuz if machine and not self.kernel else find(self.kernel or HOST).vmlinuz
            data = path.read_bytes()
            needed(BzImage.parse(data), self.megabytes)
        except NoSuchKernel as error:
            raise BadRequest(f"the guest's kernel: {error}") from None
        except BadImage as error:
            raise BadRequest(f"{path}: {error}") from None
        except NotEnough as error:
            raise BadRequest(f"--memory {self.megabytes}: {error}") from None
        return data


@dataclass(frozen=True)
class FootprintRequest:
    """Guests to run, how often, and on which kernels."""

    guests: tuple[str, ...]
    runs: int
    boot: LinuxBoot
    images: list[Image]
    """Kernels for QEMU; empty for the model or this host."""


def check(request: FootprintRequest, machine: str | None, picture: bool) -> str:
    """Return the machine to run on. Raises BadRequest for what cannot be run, before anything does."""
    if request.images:
        machine = "vm"
    machine = machine or ("kvm" if os.access(DEVICE, os.R_OK | os.W_OK) else "model")
    if LINUX in request.guests and machine == "model":
        raise BadRequest("the model runs the small guests only; linux needs --machine kvm or vm")
    if picture and len(request.guests) * request.runs * max(len(request.images), 1) != 1:
        raise BadRequest("--svg draws one run of one guest: name it")
    if LINUX in request.guests:
        machines: list[Image | None] = [*request.images] or [None]
        for image in machines:
            request.boot.bzimage(image)
    return machine


def footprints(request: FootprintRequest, machine: str, boot: Boot) -> Iterator[Footprint]:
    """Yield the footprint of each guest, as often as it is to be run. Raises NotMeasured."""
    try:
        if machine == "model":
            yield from _each(request, _on_model)
        elif machine == "kvm":
            yield from _each(request, lambda name: _on_host(name, request.boot))
        for image in request.images:
            with boot(image, replace(Hardware.here(), cpus=1)) as guest:  # one processor: a total order of accesses
                yield from _each(request, _In(guest, image, request.boot))
    except (run.CannotMeasure, SyscallError) as error:
        raise NotMeasured(f"cannot measure on --machine {machine}: {error}") from None


def _each(request: FootprintRequest, measure: Callable[[str], Footprint]) -> Iterator[Footprint]:
    err = Console(stderr=True, highlight=False)
    for name in request.guests:
        for number in range(request.runs):
            which = f", run {number + 1} of {request.runs}" if request.runs > 1 else ""
            with err.status(f"running {name}{which} ..."):
                found = measure(name)
            yield found


def _on_model(name: str) -> Footprint:
    with ModelMachine(DESIGNS["mainline-7.3"]) as model:
        return run.small(model, SMALL[name], name)


def _on_host(name: str, boot: LinuxBoot) -> Footprint:
    if name == LINUX:
        return run.linux_on_this_host(boot.bzimage(None), boot.megabytes, boot.append, boot.seconds)
    return run.on_this_host(name)


@dataclass(frozen=True)
class _In:
    """Measures in a guest of QEMU."""

    guest: Guest
    image: Image
    boot: LinuxBoot

    def __call__(self, name: str) -> Footprint:
        boot = self.boot
        if name == LINUX:
            result = self.guest.call(
                run.linux_on_this_host, boot.bzimage(self.image), boot.megabytes, boot.append, boot.seconds,
                seconds=boot.seconds + _READ_SECONDS,
            )  # fmt: skip
        else:
            result = self.guest.call(run.on_this_host, name, seconds=_SMALL_SECONDS)
        if result.value is None:
            why = result.trouble.splitlines()[-1].removeprefix(_CANNOT)
            raise NotMeasured(f"cannot measure {name} on Linux {self.image.name}: {why}")
        return result.value
