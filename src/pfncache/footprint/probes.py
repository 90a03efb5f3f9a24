# SPDX-License-Identifier: GPL-2.0-only
"""Kprobes at the functions by which KVM reaches guest memory, in a tracefs instance of their own.

Requires root, tracefs, and a kernel with BTF, by which a probe refers to arguments and members by name.
"""

from __future__ import annotations

import os
import re
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pfncache.footprint import instructions
from pfncache.footprint.footprint import Access
from pfncache.footprint.paths import DEVICES, EMULATE, INSTRUCTION, TABLES, TYPE, WATCHED, emulation, path
from pfncache.linux.include.uapi import PAGE_SIZE
from pfncache.machines.resource import Closing

TRACEFS = Path("/sys/kernel/tracing")
GROUP = "pfncache"
_BY_FUNCTION = {watched.function: watched for watched in WATCHED}
_EVENT = re.compile(r" (\d+\.\d+): (\w+): \(\S+ ?[^)]*\) (\w+)=(\S+)(?: caller=(\S+))?")
_INSTRUCTION = re.compile(r" kvm_emulate_insn: \w+:\w+: ?([0-9a-f ]+) \((\w+)\)")
_DEVICE = re.compile(r" kvm_mmio: mmio (?:read|write) len \d+ gpa 0x([0-9a-f]+)")
_TABLE = re.compile(r" (\d+\.\d+): kvm_mmu_set_\w+: gpa ([0-9a-f]+)")


class NoProbes(Exception):
    """The host does not support the probes: why."""


@dataclass(frozen=True)
class ProbeResult:
    """Evaluated events of the probes."""

    accesses: tuple[Access, ...] = ()
    """Each page and path once, in the order of first accesses."""
    emulated: dict[str, int] = field(default_factory=dict)
    """Counts of instructions that KVM has emulated or skipped, and of accesses to devices by page."""
    lost: int = 0
    """Events lost because the buffer was full."""


class Probes(Closing):
    """Kprobes until they are closed, with a buffer of `megabytes` MiB for each processor.

    They are limited to the calling thread. Raises NoProbes.
    """

    def __init__(self, megabytes: int = 1) -> None:
        self._instance = TRACEFS / "instances" / f"{GROUP}-{os.getpid()}"
        self._group = f"{GROUP}_{os.getpid()}"
        self._defined: list[str] = []
        self.blind: list[str] = []
        """Functions that the kernel lacks or does not allow to be probed."""
        try:
            self._instance.mkdir()
        except OSError as error:
            raise NoProbes(f"tracefs is not accessible: {TRACEFS}: {error.strerror}") from None
        try:
            self._set("buffer_size_kb", str(megabytes << 10))
            self._set("trace_clock", "mono")
            self._set("set_event_pid", str(threading.get_native_id()))  # not other VMs of the host
            self._define()
        except OSError as error:
            self.close()
            raise NoProbes(f"tracefs refuses the setup: {error}") from None
        except BaseException:
            self.close()
            raise

    def _define(self) -> None:
        self._probe(EMULATE, f"type={TYPE}")
        for watched in WATCHED:
            # At entry, the top of the stack is the return address.
            self._probe(watched.function, f"{watched.page}:x64 caller=$stack0:x64", watched.when)
        if len(self._defined) <= 1:
            raise NoProbes(f"the kernel accepts none of the probes ({self.blind[0]})")
        for event in (INSTRUCTION, DEVICES, *TABLES):
            if (self._instance / "events" / event).is_dir():
                self._set(f"events/{event}/enable", "1")

    def _probe(self, function: str, arguments: str, when: str = "") -> None:
        try:
            _append(f"p:{self._group}/{function} {function} {arguments}")
        except OSError as error:
            self.blind.append(f"{function}: {error.strerror}")
            return
        self._defined.append(function)
        if when:
            self._set(f"events/{self._group}/{function}/filter", when)
        self._set(f"events/{self._group}/{function}/enable", "1")

    def _set(self, file: str, value: str) -> None:
        (self._instance / file).write_text(value)

    def seen(self, pages: int, since: float) -> ProbeResult:
        """Stop tracing, and evaluate events on the first `pages` pages since a time of the monotonic clock."""
        self._set("tracing_on", "0")
        with open(self._instance / "trace", encoding="ascii", errors="replace") as lines:
            accesses, emulated = collect(lines, Symbols(), pages, since)
        lost = sum(
            int(line.split(":")[1])
            for stats in self._instance.glob("per_cpu/cpu*/stats")
            for line in stats.read_text().splitlines()
            if line.startswith(("overrun:", "dropped events:"))
        )
        return ProbeResult(accesses, emulated, lost)

    def close(self) -> None:
        """Remove the probes."""
        while self._defined:
            function = self._defined.pop()
            self._set(f"events/{self._group}/{function}/enable", "0")
            _append(f"-:{self._group}/{function}")
        if self._instance.is_dir():
            self._instance.rmdir()


def _append(line: str) -> None:
    """Append a line. tracefs refuses O_CREAT and lseek(), which open(..., "a") uses."""
    fd = os.open(TRACEFS / "kprobe_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, f"{line}\n".encode())
    finally:
        os.close(fd)


class Symbols:
    """KVM's functions by address, from /proc/kallsyms; the whole kernel's if KVM is built in."""

    def __init__(self, text: str | None = None) -> None:
        lines = (text or Path("/proc/kallsyms").read_text()).splitlines()
        rows = [line.split() for line in [line for line in lines if "[kvm" in line] or lines]
        functions = sorted((int(row[0], 16), row[2]) for row in rows if row[1] in "tTwW")
        self._starts = [start for start, _ in functions]
        self._names = [name for _, name in functions]
        self._known: dict[str, str] = {}

    def __getitem__(self, address: str) -> str:
        """Return the function that contains an address, given as 0x..."""
        if address not in self._known:
            place = bisect_right(self._starts, int(address, 16)) - 1
            self._known[address] = self._names[place] if place >= 0 else address
        return self._known[address]


def collect(
    lines: Iterable[str], symbols: Symbols, pages: int, since: float
) -> tuple[tuple[Access, ...], dict[str, int]]:
    """Return each page and path of a trace once, and the counts of emulated instructions."""
    first: dict[tuple[int, str, bool], tuple[int, float]] = {}
    counts: Counter[tuple[int, str, bool]] = Counter()
    emulated: Counter[str] = Counter()
    emulating = emulation(0)
    order = 0
    for line in lines:
        if match := _EVENT.search(line):
            seconds, function, kind, value, caller = match.groups()
            if function == EMULATE:
                emulating = emulation(int(value, 0))
                continue
            watched = _BY_FUNCTION[function]
            gfn = int(value, 0) // (1 if kind == "gfn" else PAGE_SIZE)
            key = (gfn, path(watched, symbols[caller], emulating), watched.write)
        elif match := _INSTRUCTION.search(line):
            emulated[f"{emulating}: {instructions.name(bytes.fromhex(match[1]), match[2] == 'prot64')}"] += 1
            continue
        elif match := _DEVICE.search(line):
            emulated[f"MMIO at {int(match[1], 16) // PAGE_SIZE * PAGE_SIZE:#x}"] += 1
            continue
        elif match := _TABLE.search(line):
            seconds = match[1]
            key = (int(match[2], 16) // PAGE_SIZE, f"{emulating}: accessed/dirty bits", True)
        else:
            continue
        if key[0] < pages and key[1]:
            order += 1
            counts[key] += 1
            if key not in first:
                first[key] = (order, float(seconds) - since)
    accesses = (
        Access(gfn, text, write, counts[gfn, text, write], order, seconds)
        for (gfn, text, write), (order, seconds) in first.items()
    )
    return tuple(accesses), dict(emulated.most_common())
