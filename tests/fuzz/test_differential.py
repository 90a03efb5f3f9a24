# SPDX-License-Identifier: GPL-2.0-only
"""Programs are repeatable, a difference is found and shrunk, and a short run on this host's kernel shows none."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design, Patch
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi import KVM_MEM_LOG_DIRTY_PAGES
from pfncache.machines.capabilities import EMULATING, Processor
from pfncache.machines.model.machine import ModelMachine
from pfncache.selftests.differential.inside import run_programs
from pfncache.selftests.differential.program import Program, SideCall, SideState, run
from pfncache.selftests.differential.side import RUNSTATE, Side
from pfncache.selftests.identify import probe
from tests.fuzz.differential import Differential, RunPrograms, compare
from tests.fuzz.generator import LENGTH, OPERATIONS, XEN_OPERATIONS, permitted, program

MAINLINE = DESIGNS["mainline-7.3"]
SHADOW = Processor(nested_paging=True)


def model_of(design: Design, processor: Processor) -> RunPrograms:
    """A model in the place of the kernel."""

    def run_all(programs: list[Program], xen: bool) -> list[list[SideState]]:
        found = []
        for operations in programs:
            with ModelMachine(design, 64, 64, processor) as machine:
                found.append(run(machine, operations, xen))
        return found

    return run_all


def test_program_of_a_number_is_always_the_same() -> None:
    assert program("1", 7, True) == program("1", 7, True)
    assert len({program(seed, number, False) for seed in ("1", "2") for number in range(20)}) == 40
    assert [len(program("1", 7, xen)) for xen in (False, True)] == [LENGTH + 2, LENGTH + 4]


def test_operations_are_methods_of_a_side() -> None:
    assert [name for name, _, _ in OPERATIONS + XEN_OPERATIONS if not callable(getattr(Side, name, None))] == []


@pytest.mark.parametrize(("processor", "xen"), [(EMULATING, False), (SHADOW, True)])
def test_model_agrees_with_itself(processor: Processor, xen: bool) -> None:
    both = Differential(MAINLINE, model_of(MAINLINE, processor), processor, xen)
    operations, difference = both.batch("1", range(10))
    assert difference is None
    assert operations > 500


@pytest.mark.parametrize(("processor", "expected"), [(EMULATING, False), (SHADOW, True)])
def test_host_without_nested_paging_is_not_asked_for_a_clock_in_a_logged_slot(
    processor: Processor, expected: bool
) -> None:
    with ModelMachine(MAINLINE, 64, 64, processor) as machine:
        side = Side(machine)
        side.slot(0, 0, 1, "anon", 0, 0)
        side.slot(1, 1, 1, "memfd", 0, KVM_MEM_LOG_DIRTY_PAGES)
        assert permitted(side, SideCall("clock", (0, 0x400)))
        assert permitted(side, SideCall("clock", (1, 0x400))) is expected


@pytest.mark.parametrize(("state", "expected"), [(0, 0), (1, 0), (2, 2), (3, 3)])
def test_preempted_vcpu_is_as_one_that_runs(state: int, expected: int) -> None:
    """After 21,000 operations in QEMU, a busy host had preempted one between its runstate's update and its exit."""
    with ModelMachine(MAINLINE, 64, 64, EMULATING) as machine:
        side = Side(machine)
        machine.write(side.at("anon", 0) + RUNSTATE, bytes([state]))
        assert side.summary(side.at("anon", 0))[-1] == expected


class ClockStandsStill(Patch, X86):
    """A kernel whose KVM_SET_CLOCK does nothing."""

    def kvm_vm_ioctl_set_clock(self, kvm: Kvm, nanoseconds: int) -> Errno:
        return 0


def test_difference_is_shrunk_to_a_program() -> None:
    other = model_of(MAINLINE + [ClockStandsStill], EMULATING)
    _, difference = Differential(MAINLINE, other, EMULATING, False).batch("1", range(10))
    assert difference is not None
    assert difference.what == "what pages hold"
    text = str(difference).split("after:\n", 1)[1].splitlines()
    assert text[0] == "side = Side(machine)"
    assert len(text) <= 5
    assert text[-1].startswith(("side.do(lambda s: s.run(", "side.do(lambda s: s.load(", "side.do(lambda s: s.store("))


def test_first_difference_is_reported() -> None:
    same = SideState("ok", [], [])
    programs = (SideCall("run", ()), SideCall("stopped", ()), SideCall("run", ()))
    assert compare(programs, [same] * 3, [same] * 3) is None
    other = [same, same._replace(result="EINVAL"), same._replace(presence=[("anon", [True], [])])]
    difference = compare(programs, [same] * 3, other)
    assert difference is not None
    assert (difference.program, difference.what, difference.kernel) == (programs[:2], "the result", "EINVAL")


@pytest.mark.slow
def test_model_and_kernel_agree() -> None:
    host = probe()
    if host.capabilities is None:
        pytest.skip(host.reason)
    both = Differential(host.design, run_programs, host.capabilities.processor, bool(host.capabilities.xen))
    operations, difference = both.batch("test", range(30))
    assert difference is None
    assert operations > 1000
