# SPDX-License-Identifier: GPL-2.0-only
"""Makes a selftest of a violation's trace: the same operations, one of them stopped where the trace preempts it.

Candidates are tried on models first: one shows the violation if it fails on the C of the series, and passes on the
base. The built kernel then runs those.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pfncache.check.system import Actor, System
from pfncache.designs.design import Design
from pfncache.machines.resource import StopPoint
from pfncache.review.explorer.recorder import recording_of
from pfncache.review.explorer.recording import RecordedStep, Recording
from pfncache.review.kernel import KernelRun
from pfncache.review.report import ReviewFinding
from pfncache.scenarios.scenario import Scenario
from pfncache.selftests.runner import SelftestVerdict
from pfncache.selftests.suites.traced import GROUP, MEMORY, REMOVALS, STARTS, STRUCTURES
from pfncache.verify.systems import make_system
from pfncache.verify.trace_builder import PLUMBING

ACCESSES: Mapping[str, tuple[str, ...]] = {
    "run_clock_update": ("clock",),
    "set_msr_system_time": ("clock",),
    "kvm_xen_set_evtchn": ("shared-info", "shared-info-hva"),
    "set_shared_info": ("shared-info", "shared-info-hva"),
    "activate_cache": ("clock", "shared-info", "shared-info-hva"),
    "refresh_cache": ("clock", "shared-info", "shared-info-hva"),
}
"""Calls of an actor, and the structures whose selftests make them."""
TAKES: Mapping[str, tuple[str, ...]] = {
    "vm_munmap": ("munmap",),
    "madvise_dontneed": ("dontneed",),
    "do_mremap": ("mremap",),
    "vm_mmap_pgoff": ("map-over",),
    "punch_hole_in_memfd": ("punch",),
    "kvm_gmem_punch_hole": ("punch",),
    "set_memory_region": ("slot-delete", "slot-move"),
}
"""The same for removals."""
MAX_CANDIDATES = 96
"""Selftests of one violation that the models run."""
AT_A_TIME = 24
"""Those that they run before it is looked whether one of them shows it."""
MAX_VIOLATIONS = 4
"""Violations that are tried on a kernel, of those that a report has."""
MAX_TESTS = 3
"""Selftests of one violation that a kernel runs: a function may be inlined there."""


class NoSelftest(Exception):
    """No selftest can be made of a trace; the message says why."""


@dataclass(frozen=True)
class Preempted:
    """An actor that others run in between of, and where it could be stopped for that, the nearest place first."""

    actor: int
    stops: tuple[StopPoint, ...]


def candidates(recording: Recording, system: System, memory: str) -> list[str]:
    """Return names of selftests that have the operations of an interleaving, the likeliest first. Raises NoSelftest."""
    if memory not in MEMORY:
        raise NoSelftest(f"no selftest takes a page of {memory} away")
    accesses, takes = _known(system.actors, ACCESSES), _known(system.actors, TAKES)
    if not accesses:
        raise NoSelftest(f"no selftest makes the access of {_calls(system.actors)}")
    pairs = [
        (structure, removal)
        for structure in dict.fromkeys(_names(accesses))
        for removal in dict.fromkeys(_names(takes))
        if REMOVALS[removal].applies(STRUCTURES[structure], memory)
    ]
    if not pairs:
        raise NoSelftest(f"no selftest takes a page of {memory} away as {_calls(system.actors)}")
    stops = [
        f"{'access' if one.actor in accesses else 'removal'}-{'before' if stop.at_entry else 'after'}-{stop.function}"
        for one in preemptions(recording)
        for stop in one.stops
    ]
    return [
        f"{GROUP}/{memory}/{structure}+{removal}/{start}/{stop}"
        for stop in dict.fromkeys((*stops, "in-turn"))
        for structure, removal in pairs
        for start in STARTS
    ][:MAX_CANDIDATES]


def _known(actors: Sequence[Actor], table: Mapping[str, tuple[str, ...]]) -> dict[int, tuple[str, ...]]:
    """Return what a table has for the calls of each actor, by number; actors that it knows nothing of are left out."""
    found = {
        number: tuple(name for call in actor.calls for name in table.get(call.function.__name__, ()))
        for number, actor in enumerate(actors)
    }
    return {number: names for number, names in found.items() if names}


def _names(found: Mapping[int, tuple[str, ...]]) -> Iterator[str]:
    return (name for names in found.values() for name in names)


def _calls(actors: Sequence[Actor]) -> str:
    return " beside ".join(f"{actor.calls[0].function.__name__}()" for actor in actors if actor.calls)


def preemptions(recording: Recording) -> list[Preempted]:
    """Return the actors that another runs in between of, the last preemption first."""
    steps = recording.steps
    found = []
    for number in range(len(steps) - 1, 0, -1):
        cpu = steps[number - 1].cpu
        resumed = next((step for step in steps[number:] if step.cpu == cpu), None)
        if steps[number].cpu != cpu and resumed is not None:
            before = [step for step in reversed(steps[:number]) if step.cpu == cpu]
            found.append(Preempted(cpu, tuple(dict.fromkeys(_stops(before, resumed)))))
    return found


def _stops(before: Sequence[RecordedStep], resumed: RecordedStep) -> Iterator[StopPoint]:
    """Yield where a task can stop between two steps: functions that it is back from, that it enters, and around both.

    `before` has its steps until then, the last one first.
    """
    new = _functions(resumed)
    for step in before:
        old = _functions(step)
        yield from (StopPoint(name) for name in old[_common(old, new) :] if name not in new)
    last = _functions(before[0])
    same = _common(last, new)
    yield from (StopPoint(name, at_entry=True) for name in new[same:])
    yield from (StopPoint(name, at_entry) for name in reversed(last[:same]) for at_entry in (False, True))


def _functions(step: RecordedStep) -> list[str]:
    """Return the functions on a stack, outermost first, without those of locks: a kernel has no symbol for most."""
    return [call.function for call in step.stack if not call.file.startswith(PLUMBING)]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the number of outermost functions that two stacks share."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


Results = Callable[[Sequence[str]], Mapping[str, dict[str, Any]]]
"""Runs selftests, and returns the result of each in the JSON document, by name."""


def showing(names: Sequence[str], on_series: Results, on_base: Results) -> list[str]:
    """Return those that fail on the model of the series and not on that of the base: few, and at different functions.

    Raises NoSelftest if there are none.
    """
    for start in range(0, len(names), AT_A_TIME):
        some = names[start : start + AT_A_TIME]
        failed = [name for name, result in on_series(some).items() if result["verdict"] == SelftestVerdict.FAILED.value]
        passed = on_base(failed) if failed else {}
        shown = [name for name in failed if passed[name]["verdict"] == SelftestVerdict.OK.value]
        if shown:
            by_stop: dict[str, str] = {}
            for name in shown:
                by_stop.setdefault(name.rpartition("/")[2], name)
            return list(by_stop.values())[:MAX_TESTS]
    raise NoSelftest(f"none of {len(names)} selftests with its operations shows it on the model")


class OnKernel(StrEnum):
    """What a kernel did of a violation."""

    CONFIRMED = "confirmed"
    OTHERWISE = "fails otherwise"
    """The selftest fails in another way than on the model."""
    NOT_SEEN = "not seen"
    SKIPPED = "not tried"


_SAID = {
    SelftestVerdict.XFAIL.value: OnKernel.CONFIRMED,
    SelftestVerdict.FAILED.value: OnKernel.OTHERWISE,
    SelftestVerdict.XPASS.value: OnKernel.NOT_SEEN,
    SelftestVerdict.OK.value: OnKernel.NOT_SEEN,
    SelftestVerdict.SKIP.value: OnKernel.SKIPPED,
}


def best(results: Iterable[Mapping[str, Any]]) -> tuple[OnKernel, str]:
    """Return what a kernel did of a violation in the selftest that shows it best, and that in words."""
    order = list(OnKernel)
    result = min(results, key=lambda one: order.index(_SAID[one["verdict"]]))
    said = _SAID[result["verdict"]]
    why = result["reason"] if said is OnKernel.SKIPPED else "; ".join(result["notes"])
    return said, f"{said}: {why} ({result['test']})"


@dataclass
class Tries:
    """The violations of a series on the kernel with it."""

    kernel: KernelRun
    base: str
    """The name of the base's design."""
    said: list[OnKernel] = field(default_factory=list)

    def of(self, finding: ReviewFinding, design: Design, scenario: Scenario) -> str:
        """Try a violation of a design in a scenario. Returns what the kernel did; raises StageFailed."""
        assert finding.trace is not None
        kernel = self.kernel
        if len(self.said) == MAX_VIOLATIONS:
            return f"not tried, as {MAX_VIOLATIONS} others were"
        try:
            recording = recording_of(design, scenario, finding.trace.schedule, finding.violated)
            if recording is None:
                raise NoSelftest("its interleaving cannot be replayed")
            names = candidates(recording, make_system(design, scenario), str(scenario.memory))
            shown = showing(
                names,
                lambda some: kernel.results(kernel.on_model, some),
                lambda some: kernel.results(("--machine", "model", "--design", self.base), some),
            )
        except NoSelftest as reason:
            self.said.append(OnKernel.SKIPPED)
            return str(reason)
        said, text = best(kernel.results(kernel.on_kernel, shown).values())
        self.said.append(said)
        return text

    @property
    def text(self) -> str:
        """The violations in a line."""
        counts = [f"{self.said.count(each)} {each}" for each in OnKernel if each in self.said]
        return ", ".join(counts) or "there are none"
