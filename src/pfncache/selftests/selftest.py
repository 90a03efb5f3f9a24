# SPDX-License-Identifier: GPL-2.0-only
"""A selftest: written once, run on every machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict, Unpack

from pfncache.designs.alternatives import RefusePrivate
from pfncache.designs.design import Design
from pfncache.designs.fixes import PollOutsideSrcu
from pfncache.designs.reverts_pfncache import RevertDedicatedSequence, TestActiveFirst
from pfncache.designs.rfc import ResolvePfnsViaGmem
from pfncache.machines.capabilities import Capabilities
from pfncache.machines.machine import Machine, SyscallError

Need = Callable[[Capabilities], str]
"""Returns what a machine lacks for a test; empty if it has everything."""
Body = Callable[[Machine], object]
"""Returns an observation, which has to be equal on a kernel and on its model."""


class SelftestFailure(Exception):
    """A check of a test does not hold. Equal failures have equal texts on every machine."""


class SelftestSkipped(Exception):
    """The test finds that the machine lacks something that no capability reports."""


@dataclass(frozen=True)
class Selftest:
    """A test, its requirements and its bounds."""

    name: str
    """group/test."""
    purpose: str
    """What the test tries, in a line."""
    watches: str
    """The property that a failure violates."""
    body: Body
    needs: tuple[Need, ...] = ()
    lacks: Callable[[Design], str] = lambda design: ""
    """Returns why a design is known to fail; empty if it has to pass."""
    seconds: float = 10.0
    """Bound on a kernel, after which the test counts as hanging."""
    opt_in: str = ""
    """Why a kernel runs the test only if its full name is given; empty if it runs by default."""

    @property
    def group(self) -> str:
        """The part of the name before the slash."""
        return self.name.split("/", 1)[0]

    @property
    def short(self) -> str:
        """The part of the name after the slash."""
        return self.name.split("/", 1)[1]

    def missing(self, capabilities: Capabilities) -> str:
        """Why the test cannot run on a machine; empty if it can."""
        return "; ".join(text for need in self.needs if (text := need(capabilities)))

    @property
    def summary(self) -> str:
        """Purpose, property and whether it is opt-in, in a line."""
        opt_in = " (opt-in: on a kernel, by its full name only)" if self.opt_in else ""
        return f"{self.purpose} [{self.watches}]{opt_in}"


def check(condition: bool, text: str) -> None:
    """Fail with `text` unless the condition holds."""
    if not condition:
        raise SelftestFailure(text)


def equal(what: str, got: object, expected: object) -> None:
    """Fail unless two values are equal."""
    if got != expected:
        raise SelftestFailure(f"{what}: {got}, expected {expected}")


def outcome(call: Callable[[], object]) -> str:
    """Result of a call: "ok", or the errno's name if the kernel refuses it."""
    try:
        call()
    except SyscallError as error:
        return error.name
    return "ok"


def expect(what: str, expected: str, call: Callable[[], object]) -> None:
    """Fail unless a call has the expected result: "ok" or an errno's name."""
    equal(what, outcome(call), expected)


# Requirements


def guest_memfd(flags: int) -> Need:
    """Require guest_memfd with flags."""

    def need(capabilities: Capabilities) -> str:
        if not capabilities.guest_memfd:
            return "no guest_memfd"
        lacking = flags & ~capabilities.guest_memfd_flags
        return f"no guest_memfd flags {lacking:#x}" if lacking else ""

    return need


def guest_memfd_slots(flags: int) -> Need:
    """Require guest_memfd with flags, in memslots of a default VM."""

    def need(capabilities: Capabilities) -> str:
        lacking = guest_memfd(flags)(capabilities)
        return lacking or ("" if capabilities.guest_memfd_for_all else "guest_memfd for VMs with private memory only")

    return need


def vm_type(number: int, name: str) -> Need:
    """Require a VM type."""
    return lambda capabilities: "" if number in capabilities.vm_types else f"no VM type {number} ({name})"


def memory_attributes(attributes: int) -> Need:
    """Require KVM_SET_MEMORY_ATTRIBUTES with attributes."""
    return lambda capabilities: "" if capabilities.memory_attributes & attributes else "no memory attributes"


def userfaultfd(mode: int, name: str) -> Need:
    """Require a userfaultfd mode that also stops the kernel's own accesses."""
    return lambda capabilities: "" if capabilities.userfaultfd & mode else f"no userfaultfd for {name} faults"


def long_window(capabilities: Capabilities) -> str:
    """Require an MMU-notifier window that is long enough to run something in it."""
    return "" if capabilities.notifier_window else "not enough free memory to keep an invalidation open"


def delayed(capabilities: Capabilities) -> str:
    """Require tasks that stop between a lookup and its use."""
    return "" if capabilities.delayed else "no kretprobes (needs root, CONFIG_KPROBES, CONFIG_BPF_EVENTS)"


def parallel(capabilities: Capabilities) -> str:
    """Require threads that run at the same time."""
    return "" if capabilities.parallel else "no threads in parallel, hence no races by chance"


def disposable(capabilities: Capabilities) -> str:
    """Require a kernel that may be left with hung tasks and poisoned pages."""
    return "" if capabilities.disposable else "would leave hung tasks or poisoned pages on this host; try --machine vm"


class SelftestOptions(TypedDict, total=False):
    """Fields of a test that have a default."""

    needs: tuple[Need, ...]
    lacks: Callable[[Design], str]
    seconds: float
    opt_in: str


class Suite:
    """The tests of a group, in order."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.tests: list[Selftest] = []

    def add(self, name: str, purpose: str, watches: str, body: Body, **options: Unpack[SelftestOptions]) -> None:
        """Add a test, whose group is the suite's."""
        self.tests.append(Selftest(f"{self.group}/{name}", purpose, watches, body, **options))

    def test(self, name: str, watches: str, **options: Unpack[SelftestOptions]) -> Callable[[Body], Body]:
        """Decorate the body of a test. Its docstring is the purpose."""

        def register(body: Body) -> Body:
            purpose = (body.__doc__ or "").removesuffix(".")
            self.add(name, purpose, watches, body, **options)
            return body

        return register


def without_gmem_lookup(design: Design) -> str:
    """Expect failure of designs whose pfncaches resolve through the user mapping alone."""
    return "" if _has(design, ResolvePfnsViaGmem) else "pfncache resolves guest_memfd through the user mapping only"


def without_private_lookup(design: Design) -> str:
    """Expect failure of designs whose pfncaches do not reach private memory (RefusePrivate, or no gmem lookup)."""
    return "pfncache refuses private memory" if _has(design, RefusePrivate) else without_gmem_lookup(design)


def without_dedicated_sequence(design: Design) -> str:
    """Expect failure of designs whose lookups miss the invalidation of a page in no memslot."""
    reverted = _has(design, RevertDedicatedSequence)
    return "an invalidation in no memslot is not noticed by a lookup (da260bcb56fe)" if reverted else ""


def without_active_test(design: Design) -> str:
    """Expect failure of designs whose refresh warns of a cache that was never activated, as in 7.3.4."""
    return "" if _has(design, TestActiveFirst) else "WARN_ON_ONCE in a refresh of a cache that was never active"


def without_poll_outside_srcu(design: Design) -> str:
    """Expect failure of designs whose vCPUs poll for Xen events inside an SRCU read section."""
    return "" if _has(design, PollOutsideSrcu) else "kvm_xen_schedop_poll() sleeps inside an SRCU read section"


def _has(design: Design, patch: type) -> bool:
    return any(issubclass(applied, patch) for applied in design.patches)
