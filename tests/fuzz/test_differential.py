# SPDX-License-Identifier: GPL-2.0-only
"""A short differential run with a fixed seed, and that a difference is found and shrunk."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from pfncache.designs.design import Patch
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.types import Errno
from pfncache.selftests.identify import Host, probe

from .differential import Differential

SHORT = settings(
    max_examples=60, stateful_step_count=40, derandomize=True, database=None, deadline=None,
    suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
)  # fmt: skip


@pytest.fixture
def host() -> Host:
    found = probe()
    if found.capabilities is None:
        pytest.skip(found.reason)
    if found.capabilities.guest_memfd_flags & 3 != 3:
        pytest.skip("no guest_memfd that can be mapped")
    return found


@pytest.mark.slow
def test_model_and_kernel_agree(host: Host) -> None:
    Differential.design, before = host.design, Differential.operations
    run_state_machine_as_test(Differential, settings=SHORT)
    assert Differential.operations - before > 1000


class ClockStandsStill(Patch, X86):
    """A kernel whose KVM_SET_CLOCK does nothing."""

    def kvm_vm_ioctl_set_clock(self, kvm: Kvm, nanoseconds: int) -> Errno:
        return 0


@pytest.mark.slow
def test_difference_is_shrunk_to_a_program(host: Host) -> None:
    Differential.design = host.design + [ClockStandsStill]
    quick = settings(SHORT, max_examples=200, phases=(Phase.generate, Phase.shrink))
    with pytest.raises(AssertionError, match="what pages hold") as found:
        run_state_machine_as_test(Differential, settings=quick)
    program = str(found.value).split("after:\n", 1)[1].splitlines()
    assert program[0] == "side = Side(machine)"
    assert len(program) <= 5
    assert "side.do(lambda s: s.run())" in program
