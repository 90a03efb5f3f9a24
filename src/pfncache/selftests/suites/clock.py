# SPDX-License-Identifier: GPL-2.0-only
"""kvm-clock and steal time: when they are written, and in which kinds of guest memory."""

from __future__ import annotations

from functools import partial

from pfncache.linux.include.uapi import (
    GUEST_MEMFD_FLAG_INIT_SHARED,
    GUEST_MEMFD_FLAG_MMAP,
    KVM_MSR_ENABLED,
    MSR_KVM_SYSTEM_TIME,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    PVCLOCK_GUEST_STOPPED,
    SHARED_GMEM,
)
from pfncache.machines.machine import Machine
from pfncache.selftests.selftest import (
    Suite,
    check,
    equal,
    guest_memfd,
    guest_memfd_slots,
    outcome,
    without_gmem_lookup,
)
from pfncache.selftests.suites.testbed import (
    ANON,
    CLOCK,
    GMEM,
    MAPPED,
    MEMFD,
    SECOND,
    SETTLE,
    SLOT,
    STEAL,
    Backing,
    Testbed,
    anon,
    exit_of,
    gmem,
    gmem_as_plain_memory,
    gmem_elsewhere,
    gmem_unmapped,
    read_only_mapping,
    read_only_slot,
)

CLOCK_SUITE, STEAL_SUITE = Suite("clock"), Suite("steal")
SPLIT = "KVM writes to the user mapping, but the guest reads guest_memfd"
MMAP = GUEST_MEMFD_FLAG_MMAP
NO_CLOCK = "the guest finds nothing where it has asked for its clock"


# When


@CLOCK_SUITE.test("first-run", "lost-update")
def first_run(machine: Machine) -> None:
    """The page is looked up by the MSR write, and written by the next KVM_RUN."""
    bed = anon(machine)
    equal("PTEs before", machine.present(bed.page, PAGE_SIZE), [False])
    equal("KVM_SET_MSRS without the enable bit", bed.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, CLOCK), 1)
    equal("PTEs after it", machine.present(bed.page, PAGE_SIZE), [False])
    bed.enable_clock()
    equal("PTEs after KVM_SET_MSRS", machine.present(bed.page, PAGE_SIZE), [True])
    equal("the clock after KVM_SET_MSRS", bed.seen(), -1)
    equal("KVM_RUN with immediate_exit", bed.vcpu.run(immediate_exit=True).reason, "INTR")
    equal("the clock after it", bed.seen(), -1)
    equal("KVM_RUN", bed.vcpu.run().reason, "HLT")
    equal("the clock's version after KVM_RUN", machine.clock_at(bed.hva + CLOCK).version, 2)


@CLOCK_SUITE.test("old-msr", "lost-update")
def old_msr(machine: Machine) -> None:
    """MSR_KVM_SYSTEM_TIME works like MSR_KVM_SYSTEM_TIME_NEW, and both read back."""
    bed = anon(machine)
    equal("KVM_SET_MSRS", bed.vcpu.set_msr(MSR_KVM_SYSTEM_TIME, CLOCK | KVM_MSR_ENABLED), 1)
    equal("KVM_GET_MSRS", bed.vcpu.get_msr(MSR_KVM_SYSTEM_TIME), CLOCK | KVM_MSR_ENABLED)
    equal("KVM_GET_MSRS of the new one", bed.vcpu.get_msr(MSR_KVM_SYSTEM_TIME_NEW), CLOCK | KVM_MSR_ENABLED)
    bed.update(3)
    equal("the clock", bed.seen(), 3)


def _version(bed: Testbed) -> int:
    return bed.machine.clock_at(bed.hva + CLOCK).version


@CLOCK_SUITE.test("one-update", "lost-update")
def one_update(machine: Machine) -> int:
    """KVM_SET_CLOCK and KVM_KVMCLOCK_CTRL cause one update each; an MSR write causes another one later before 7.2."""
    bed = anon(machine)
    bed.enable_clock()
    bed.vcpu.run()
    equal("the version after the first run", _version(bed), 2)
    machine.sleep(SETTLE)
    bed.vcpu.run()
    later = _version(bed)
    check(later in (2, 4), f"the version a while later: {later}, expected 2 or 4")
    bed.update(1)
    equal("the version after KVM_SET_CLOCK", _version(bed) - later, 2)
    bed.vcpu.run()
    equal("the version after one more KVM_RUN", _version(bed) - later, 2)
    bed.vcpu.kvmclock_ctrl()
    bed.vcpu.run()
    clock = machine.clock_at(bed.hva + CLOCK)
    equal("the version after KVM_KVMCLOCK_CTRL", clock.version - later, 4)
    check(bool(clock.flags & PVCLOCK_GUEST_STOPPED), "PVCLOCK_GUEST_STOPPED is not set")
    return later


@CLOCK_SUITE.test("ctrl-without-clock", "uapi")
def ctrl_without_clock(machine: Machine) -> None:
    """KVM_KVMCLOCK_CTRL is refused while the guest has no clock."""
    bed = anon(machine)
    equal("KVM_KVMCLOCK_CTRL", outcome(bed.vcpu.kvmclock_ctrl), "EINVAL")
    bed.enable_clock()
    equal("KVM_KVMCLOCK_CTRL with a clock", outcome(bed.vcpu.kvmclock_ctrl), "ok")
    bed.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, 0)
    equal("KVM_KVMCLOCK_CTRL once more without a clock", outcome(bed.vcpu.kvmclock_ctrl), "EINVAL")


@CLOCK_SUITE.test("off", "stale-translation")
def off(machine: Machine) -> None:
    """A clock that was switched off is not written."""
    bed = anon(machine)
    bed.enable_clock()
    bed.update(1)
    bed.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, 0)
    bed.update(2)
    equal("the clock", bed.seen(), 1)


@CLOCK_SUITE.test("crosses-page", "lost-update")
def crosses_page(machine: Machine) -> None:
    """A place that would cross a page is silently not taken, and the old one stays."""
    bed = anon(machine)
    bed.enable_clock()
    bed.update(1)
    bed.enable_clock(7 * PAGE_SIZE - 16)
    equal("KVM_GET_MSRS", bed.vcpu.get_msr(MSR_KVM_SYSTEM_TIME_NEW), (7 * PAGE_SIZE - 16) | KVM_MSR_ENABLED)
    bed.update(2)
    equal("what is at the new place", machine.read(bed.hva + 7 * PAGE_SIZE - 16, 32), bytes(32))
    equal("the clock at the old place", bed.seen(), 2)
    bed.enable_clock(7 * PAGE_SIZE - 32)
    bed.update(3)
    equal("the clock at the end of a page", bed.clock_seconds(bed.hva + 7 * PAGE_SIZE - 32), 3)
    equal("the clock at the old place", bed.seen(), 2)


@CLOCK_SUITE.test("no-slot", "lost-update")
def no_slot(machine: Machine) -> None:
    """A clock where there is no memory is silently not written, and appears with the memslot."""
    bed = anon(machine)
    bed.vm.delete(SLOT)
    bed.enable_clock()
    bed.update(1)
    equal("the clock without a memslot", bed.seen(), -1)
    bed.vm.set_user_memory_region(SLOT, 0, 8 * PAGE_SIZE, bed.hva)
    bed.update(2)
    equal("the clock with a memslot", bed.seen(), 2)


@CLOCK_SUITE.test("monotonic", "lost-update")
def monotonic(machine: Machine) -> None:
    """The guest's clock is within KVM_GET_CLOCK's bounds, and never goes back."""
    guest_tells_time(anon(machine))


def guest_tells_time(bed: Testbed, rounds: int = 3) -> None:
    """The guest's own clock, as it reads it, against KVM_GET_CLOCK before and after."""
    bed.enable_clock()
    last = 0
    for _ in range(rounds):
        bed.vcpu.run()
        check(bed.guest_clock() is not None, NO_CLOCK)
        before = bed.vm.get_clock()
        _, time = bed.vcpu.clock(CLOCK)
        after = bed.vm.get_clock()
        check(before <= time <= after, "the guest's clock is out of KVM_GET_CLOCK's bounds")
        check(time >= last, "the guest's clock goes back")
        last = time


# Where


def _clock_found(backing: Backing, machine: Machine) -> None:
    """KVM writes the clock, and the guest finds it at the address that it has set."""
    bed = backing.build(machine)
    bed.enable_clock()
    seconds = 7
    bed.update(seconds)
    clock = bed.guest_clock()
    if clock is None:
        hva_has_it = machine.touch(bed.page, write=False) is None and bed.clock_seconds(bed.hva + CLOCK) == seconds
        check(not hva_has_it, SPLIT)
        check(False, NO_CLOCK)
    else:
        equal("the clock that the guest finds", clock.system_time // SECOND, seconds)


def _clock_nowhere(backing: Backing, machine: Machine) -> None:
    """KVM cannot write the clock, reports no error, and does not change the memory."""
    bed = backing.build(machine)
    bed.enable_clock()
    bed.update(7)
    equal("KVM_GET_MSRS", bed.vcpu.get_msr(MSR_KVM_SYSTEM_TIME_NEW), CLOCK | KVM_MSR_ENABLED)
    if machine.touch(bed.page, write=False) is None:
        equal("the clock", bed.clock_seconds(bed.hva + CLOCK), -1)


def _private_untouched(backing: Backing, machine: Machine) -> int:
    """No clock is written to a guest_memfd whose pages are private; an observation says what is at the user address."""
    bed = backing.build(machine)
    bed.enable_clock()
    bed.update(7)
    check(bed.guest_clock() is None, "KVM has written to a private guest_memfd")
    return bed.clock_seconds(bed.hva + CLOCK) if machine.touch(bed.page, write=False) is None else -1


def _no_memory(backing: Backing, machine: Machine) -> None:
    """There is no memory for KVM or for the guest: both accesses fail, and nothing breaks."""
    bed = backing.build(machine)
    bed.enable_clock()
    bed.update(7)
    equal("how the guest's access ends", exit_of(bed.guest_clock), "EFAULT")


SPLIT_GMEM = Backing(
    "gmem-elsewhere", "a shared guest_memfd, other memory at the user address",
    partial(gmem_elsewhere, flags=SHARED_GMEM), (guest_memfd(SHARED_GMEM),),
)  # fmt: skip
UNMAPPED_GMEM = Backing(
    "gmem-unmapped", "a shared guest_memfd, nothing at the user address", gmem_unmapped, (guest_memfd(SHARED_GMEM),)
)
GMEM_AT_ZERO = Backing(
    "gmem-at-zero", "a shared guest_memfd, user address 0", partial(gmem_unmapped, at_zero=True),
    (guest_memfd(SHARED_GMEM),),
)  # fmt: skip
PRIVATE_GMEM = tuple(
    Backing(f"gmem{flags}-elsewhere", f"guest_memfd of flags {flags}, other memory at the user address",
            partial(gmem_elsewhere, flags=flags), (guest_memfd_slots(flags),))
    for flags in (0, GUEST_MEMFD_FLAG_INIT_SHARED)
)  # fmt: skip
MAPPED_PRIVATE = (
    Backing("gmem1-own-mapping", "a private guest_memfd at its own mapping, which cannot be touched",
            partial(gmem, flags=MMAP), (guest_memfd(MMAP),)),
    Backing("gmem1-elsewhere", "a private guest_memfd that could be mapped, other memory at the user address",
            partial(gmem_elsewhere, flags=MMAP), (guest_memfd(MMAP),)),
)  # fmt: skip
PLAIN_GMEM = tuple(
    Backing(f"{name}-as-memory", f"the mapping of {text} in a slot without guest_memfd",
            partial(gmem_as_plain_memory, foreign=foreign), (guest_memfd(SHARED_GMEM),))
    for name, text, foreign in (("own-gmem", "our guest_memfd", False), ("foreign-gmem", "another VM's", True))
)  # fmt: skip
NOT_WRITABLE = (
    Backing("read-only-mapping", "a PROT_READ mapping", read_only_mapping),
    Backing("read-only-slot", "a KVM_MEM_READONLY slot", read_only_slot),
)
GMEM0_UNMAPPED = Backing(
    "gmem0-unmapped", "a private guest_memfd, nothing at the user address", partial(gmem_unmapped, flags=0),
    (guest_memfd_slots(0),),
)  # fmt: skip

for _backing in (ANON, MEMFD, GMEM, *PRIVATE_GMEM, *PLAIN_GMEM):
    CLOCK_SUITE.add(
        f"in-{_backing.name}", f"the guest finds its clock in {_backing.text}", "lost-update",
        partial(_clock_found, _backing), needs=_backing.needs,
    )  # fmt: skip
for _backing in (SPLIT_GMEM, UNMAPPED_GMEM, GMEM_AT_ZERO):
    CLOCK_SUITE.add(
        f"in-{_backing.name}", f"the guest finds its clock in {_backing.text}", "lost-update",
        partial(_clock_found, _backing), needs=_backing.needs, lacks=without_gmem_lookup,
    )  # fmt: skip
for _backing in NOT_WRITABLE:
    CLOCK_SUITE.add(
        f"in-{_backing.name}",
        f"KVM does not change {_backing.text}",
        "private-access",
        partial(_clock_nowhere, _backing),
    )
for _backing in MAPPED_PRIVATE:
    CLOCK_SUITE.add(
        f"in-{_backing.name}", f"KVM does not access {_backing.text}", "private-access",
        partial(_private_untouched, _backing), needs=_backing.needs,
    )  # fmt: skip
CLOCK_SUITE.add(
    f"in-{GMEM0_UNMAPPED.name}", f"nothing breaks with {GMEM0_UNMAPPED.text}", "private-access",
    partial(_no_memory, GMEM0_UNMAPPED), needs=GMEM0_UNMAPPED.needs,
)  # fmt: skip


# Steal time is written through the user address, without a pfncache


def _steal_found(backing: Backing, machine: Machine) -> None:
    bed = backing.build(machine)
    bed.enable_steal_time()
    bed.vcpu.run()
    version = bed.guest_steal_version()
    if version == 0:
        hva_has_it = machine.touch(bed.hva + STEAL, write=False) is None and bed.steal(bed.hva + STEAL).version
        check(not hva_has_it, SPLIT)
        check(False, "the guest finds no steal time")
    equal("whether the version is even", version % 2, 0)
    bed.vcpu.run()
    check(bed.guest_steal_version() > version, "steal time is not updated")


def _steal_nowhere(backing: Backing, machine: Machine) -> None:
    bed = backing.build(machine)
    bed.enable_steal_time()
    equal("KVM_RUN", bed.vcpu.run().reason, "HLT")
    if machine.touch(bed.hva + STEAL, write=False) is None:
        equal("the steal time's version", bed.steal(bed.hva + STEAL).version, 0)


for _backing in (*MAPPED, *PRIVATE_GMEM, *PLAIN_GMEM):
    STEAL_SUITE.add(
        f"in-{_backing.name}", f"the guest finds its steal time in {_backing.text}", "lost-update",
        partial(_steal_found, _backing), needs=_backing.needs,
    )  # fmt: skip
for _backing in (SPLIT_GMEM, UNMAPPED_GMEM, GMEM_AT_ZERO):
    STEAL_SUITE.add(
        f"in-{_backing.name}", f"the guest finds its steal time in {_backing.text}", "lost-update",
        partial(_steal_found, _backing), needs=_backing.needs,
        lacks=lambda design: "steal time goes by the user mapping only",
    )  # fmt: skip
for _backing in (*NOT_WRITABLE, MAPPED_PRIVATE[0], GMEM0_UNMAPPED):
    STEAL_SUITE.add(
        f"in-{_backing.name}", f"KVM does not change {_backing.text}", "private-access",
        partial(_steal_nowhere, _backing), needs=_backing.needs,
    )  # fmt: skip
