# SPDX-License-Identifier: GPL-2.0-only
"""What operations may return: no more than mainline returns, and no less."""

from __future__ import annotations

import pytest

from pfncache.check.system import Call
from pfncache.designs.catalogue import mainline_7_3
from pfncache.lang.call_result import CallResult
from pfncache.properties import PROBES
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.scenarios.results import expected_results, returns
from pfncache.scenarios.scenario import Scenario, scenario
from pfncache.scenarios.world import World
from pfncache.verify.job import Job
from pfncache.verify.runner import search_final

KERNEL = mainline_7_3.kernel(*PROBES)
ROOMS = ("refused", "preempted", "nomem", "ioctl", "apf", "shadow")
OTHERS = ("xen/vcpu-info-by-hva", "xen/poll-and-wake", "xen/poll-and-wake-masked", "vm/destroy-after-update")
COMPARED = (*(name for name in DEFAULT_SCENARIOS if name.split("/")[0] in ROOMS), *OTHERS)
QUICK = ("refused/inactive", "refused/store-read-only", "preempted/guest-paused")


def returned(chosen: Scenario) -> dict[str, tuple[set[object], set[int]]]:
    """By operation: what it has returned in some final state, and what it may return."""
    expected = expected_results(list(chosen.build(KERNEL).actors))
    names = [f"{result}.returned" for result, _ in expected]
    states = search_final(Job(mainline_7_3, chosen, 100_000)).final.values(names)
    return {name: ({state[n] for state in states}, set(expected[n][1])) for n, name in enumerate(names)}


@pytest.mark.parametrize("name", QUICK)
def test_each_allowed_result_is_returned(name: str) -> None:
    found = returned(DEFAULT_SCENARIOS[name])
    assert found
    for seen, allowed in found.values():
        assert seen == allowed


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(COMPARED) - set(QUICK)))
def test_each_allowed_result_of_every_scenario_is_returned(name: str) -> None:
    for seen, allowed in returned(DEFAULT_SCENARIOS[name]).values():
        assert seen == allowed


def refresh(w: World, *allowed: int) -> Call:
    return returns(w.call("kvm_gpc_refresh", w.vcpu.pv_time, 1), *allowed)


def test_targets_of_calls_that_fail() -> None:
    @scenario
    def some(w: World) -> None:
        w.actor("a", refresh(w, -22, -14)).actor("b", refresh(w, 0, -22))

    assert some.build(KERNEL).targets == ("b: kvm_gpc_refresh() succeeded",)


def test_names_of_results() -> None:
    @scenario
    def some(w: World) -> None:
        w.actor("a", w.call("kvm_put_kvm", w.kvm), refresh(w, 0)).actor("b", refresh(w, -22))

    results = [(str(result), allowed) for result, allowed in compared(some)]
    assert results == [("a: kvm_gpc_refresh() as call 2", (0,)), ("b: kvm_gpc_refresh() as call 1", (-22,))]


def compared(chosen: Scenario) -> tuple[tuple[CallResult, tuple[int, ...]], ...]:
    """Return what the kernel of a scenario compares."""
    found: tuple[tuple[CallResult, tuple[int, ...]], ...] = chosen.build(KERNEL).kernel.expected_results
    return found


def test_results_are_numbers() -> None:
    @scenario
    def nothing(w: World) -> None:
        refresh(w)

    @scenario
    def text(w: World) -> None:
        refresh(w, "-EINVAL")  # type: ignore[arg-type]

    for wrong in (nothing, text):
        with pytest.raises(TypeError, match="are numbers"):
            wrong.build(KERNEL)
