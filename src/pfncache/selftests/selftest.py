# SPDX-License-Identifier: GPL-2.0-only
"""A selftest: written once, run on every machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pfncache.designs.alternatives import RefusePrivate
from pfncache.designs.design import Design
from pfncache.designs.reverts_pfncache import RevertDedicatedSequence, TestActiveFirst
from pfncache.designs.rfc import ResolvePfnsViaGmem
from pfncache.machines.capabilities import Capabilities
from pfncache.machines.machine import Machine, SyscallError

Need = Callable[[Capabilities], str]
"""What a machine lacks for a test, in words; empty if it lacks nothing."""
Body = Callable[[Machine], object]
"""What it returns is an observation, which a kernel and its model have to share."""


class Failure(Exception):
    """A check of a test did not hold. The text is the same on every machine on which it fails in the same way."""


class Skip(Exception):
    """The test finds out that the machine lacks something that nobody can ask for."""


@dataclass(frozen=True)
class Selftest:
    """One test."""

    name: str
    """group/test."""
    purpose: str
    """What is tried, in a line."""
    watches: str
    """The property that would be violated."""
    body: Body
    needs: tuple[Need, ...] = ()
    lacks: Callable[[Design], str] = lambda design: ""
    """Why a design is known not to pass; empty if it has to."""
    seconds: float = 10.0
    """The bound, after which it counts as hanging."""

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


def check(condition: bool, text: str) -> None:
    """Fail with `text` unless the condition holds."""
    if not condition:
        raise Failure(text)


def equal(what: str, got: object, want: object) -> None:
    """Fail unless two things are equal."""
    if got != want:
        raise Failure(f"{what}: {got}, expected {want}")


def outcome(call: Callable[[], object]) -> str:
    """What a call gives: "ok", or the errno's name when the kernel refuses it."""
    try:
        call()
    except SyscallError as error:
        return error.name
    return "ok"


def expect(what: str, wanted: str, call: Callable[[], object]) -> None:
    """Fail unless a call gives what is wanted: "ok" or an errno's name."""
    equal(what, outcome(call), wanted)


# What a test may need


def guest_memfd(flags: int) -> Need:
    """guest_memfd with flags."""

    def need(capabilities: Capabilities) -> str:
        if not capabilities.guest_memfd:
            return "no guest_memfd"
        lacking = flags & ~capabilities.guest_memfd_flags
        return f"no guest_memfd flags {lacking:#x}" if lacking else ""

    return need


def guest_memfd_slots(flags: int) -> Need:
    """guest_memfd with flags, in memslots of a default VM."""

    def need(capabilities: Capabilities) -> str:
        lacking = guest_memfd(flags)(capabilities)
        return lacking or ("" if capabilities.guest_memfd_for_all else "guest_memfd for VMs with private memory only")

    return need


def vm_type(number: int, name: str) -> Need:
    """A VM type."""
    return lambda capabilities: "" if number in capabilities.vm_types else f"no VM type {number} ({name})"


def memory_attributes(attributes: int) -> Need:
    """KVM_SET_MEMORY_ATTRIBUTES with attributes."""
    return lambda capabilities: "" if capabilities.memory_attributes & attributes else "no memory attributes"


def userfaultfd(mode: int, name: str) -> Need:
    """Userfaultfd that the kernel's own accesses wait for."""
    return lambda capabilities: "" if capabilities.userfaultfd & mode else f"no userfaultfd for {name} faults"


def long_window(capabilities: Capabilities) -> str:
    """An MMU-notifier window that is long enough to run something in it."""
    return "" if capabilities.notifier_window else "not enough free memory to keep an invalidation open"


def delayed(capabilities: Capabilities) -> str:
    """Tasks that stop between a lookup and its use."""
    return "" if capabilities.delayed else "no kretprobes for us (root, CONFIG_KPROBES, CONFIG_BPF_EVENTS)"


def parallel(capabilities: Capabilities) -> str:
    """Threads that run at the same time."""
    return "" if capabilities.parallel else "nothing happens by chance here"


def expendable(capabilities: Capabilities) -> str:
    """A kernel that may be left with tasks that hang."""
    return "" if capabilities.expendable else "would leave this host with tasks that hang; try --machine vm"


class Suite:
    """The tests of a group, in order."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.tests: list[Selftest] = []

    def add(
        self, name: str, purpose: str, watches: str, body: Body, needs: tuple[Need, ...] = (),
        lacks: Callable[[Design], str] = lambda design: "", seconds: float = 10.0,
    ) -> None:  # fmt: skip
        """Add a test."""
        self.tests.append(Selftest(f"{self.group}/{name}", purpose, watches, body, needs, lacks, seconds))

    def test(
        self, name: str, watches: str, needs: tuple[Need, ...] = (),
        lacks: Callable[[Design], str] = lambda design: "", seconds: float = 10.0,
    ) -> Callable[[Body], Body]:  # fmt: skip
        """Decorate the body of a test, whose docstring is its purpose."""

        def register(body: Body) -> Body:
            purpose = (body.__doc__ or "").removesuffix(".")
            self.add(name, purpose, watches, body, needs, lacks, seconds)
            return body

        return register


def without_gmem_lookup(design: Design) -> str:
    """Designs whose pfncaches go by the user mapping alone."""
    return "" if _has(design, ResolvePfnsViaGmem) else "pfncache resolves guest_memfd through the user mapping only"


def without_private_lookup(design: Design) -> str:
    """Designs whose pfncaches do not reach private memory, which some say that KVM must not."""
    return "pfncache refuses private memory" if _has(design, RefusePrivate) else without_gmem_lookup(design)


def without_dedicated_sequence(design: Design) -> str:
    """Designs whose lookups are not repeated when a page in no memslot goes."""
    reverted = _has(design, RevertDedicatedSequence)
    return "an invalidation in no memslot is not noticed by a lookup (da260bcb56fe)" if reverted else ""


def without_active_test(design: Design) -> str:
    """Designs whose refresh complains of a cache that was never activated, as 7.3.4's does."""
    return "" if _has(design, TestActiveFirst) else "WARN_ON_ONCE in a refresh of a cache that never was active"


def _has(design: Design, patch: type) -> bool:
    return any(issubclass(applied, patch) for applied in design.patches)
