# SPDX-License-Identifier: GPL-2.0-only
"""Xen guests that sleep in SCHEDOP_poll until an event is pending."""

from __future__ import annotations

from collections.abc import Callable

from pfncache.linux.include.uapi import (
    KVM_XEN_ATTR_TYPE_LONG_MODE,
    KVM_XEN_HVM_CONFIG_EVTCHN_SEND,
    KVM_XEN_MSR_MIN_INDEX,
    PAGE_SIZE,
    XEN_LONG_MODE,
    SchedPoll,
)
from pfncache.machines.machine import Machine
from pfncache.selftests.selftest import Suite, check, equal, without_poll_outside_srcu
from pfncache.selftests.suites.testbed import ANON, SECOND, SIZE, SLOT, Testbed
from pfncache.selftests.suites.xen import CONFIG, PORT, SHARED_INFO, UNTOUCHED, XEN, guest, is_pending, share

SUITE = Suite("xen-poll")
PARAM = 4 * PAGE_SIZE + 0x80
PORTS = PARAM + SchedPoll.SIZE
"""Guest physical addresses of struct sched_poll and of its ports."""
OTHER_SLOT = SLOT + 1
TIMEOUT_SECONDS = 4
"""Seconds after which a poll ends without an event, so that no test leaves a vCPU asleep."""
EINVAL, EFAULT = -22, -14
"""What the guest gets."""


def _guest(machine: Machine) -> Testbed:
    """A VM with a local APIC, whose guest has masked every event, and a second memslot that nothing uses."""
    vm = machine.create_vm()
    vm.create_irqchip()
    vcpu = vm.create_vcpu()
    hva = machine.mmap(SIZE)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva)
    vm.set_user_memory_region(OTHER_SLOT, 2 * SIZE, PAGE_SIZE, machine.mmap(PAGE_SIZE))
    vm.xen_hvm_config(CONFIG, KVM_XEN_MSR_MIN_INDEX)
    vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_LONG_MODE, 1)
    bed = Testbed(machine, vm, vcpu, hva)
    share(bed)
    machine.write(hva + SHARED_INFO + XEN_LONG_MODE.mask, bytes([255]) * 512)
    return bed


def _poll(bed: Testbed, *ports: int, seconds: float = TIMEOUT_SECONDS, at: int = PORTS) -> Callable[[], int]:
    """Write the guest's arguments; return the call by which it polls."""
    bed.machine.write(bed.hva + PORTS, b"".join(port.to_bytes(4, "little") for port in ports))
    bed.machine.write(bed.hva + PARAM, SchedPoll(at, len(ports), int(seconds * SECOND)).pack())
    return lambda: bed.vcpu.xen_schedop_poll(PARAM)


def _is_pending(bed: Testbed, port: int = PORT) -> bool:
    return is_pending(bed, bed.hva + SHARED_INFO, port)


@SUITE.test("pending", "lost-event", needs=XEN)
def pending(machine: Machine) -> None:
    """A guest that polls for an event that is pending does not sleep."""
    bed = _guest(machine)
    bed.vm.xen_evtchn_send(PORT)
    equal("whether the masked event is pending", _is_pending(bed), True)
    equal("what the guest gets", _poll(bed, PORT)(), 0)
    equal("what it gets for two events", _poll(bed, PORT + 1, PORT)(), 0)


@SUITE.test("event", "lost-event", needs=XEN)
def event(machine: Machine) -> None:
    """A guest that polls sleeps until its event is sent, and no other event wakes it."""
    bed = _guest(machine)
    task = machine.start(_poll(bed, PORT))
    equal("whether it sleeps", task.blocked(), True)
    bed.vm.xen_evtchn_send(PORT + 1)
    equal("whether it sleeps after another event", task.blocked(), True)
    bed.vm.xen_evtchn_send(PORT)
    equal("what the guest gets", task.result(), 0)
    task = machine.start(_poll(bed, PORT + 2, PORT + 3))
    equal("whether it sleeps for two events", task.blocked(), True)
    bed.vm.xen_evtchn_send(PORT + 3)
    equal("what it gets for two events", task.result(), 0)


@SUITE.test("timeout", "livelock", needs=XEN)
def timeout(machine: Machine) -> None:
    """A poll ends at its timeout without an event, also if it is for no event at all."""
    bed = _guest(machine)
    for ports in ((PORT,), ()):
        task = machine.start(_poll(bed, *ports, seconds=0.5))
        machine.sleep(0.5)
        equal("what the guest gets", task.result(), 0)
    equal("whether the event is pending", _is_pending(bed), False)


@SUITE.test("replaced", "lost-event", needs=XEN)
def replaced(machine: Machine) -> None:
    """A guest does not sleep while KVM has no valid mapping of shared_info, as it cannot look."""
    bed = _guest(machine)
    machine.mmap(PAGE_SIZE, address=bed.hva + SHARED_INFO)
    equal("what the guest gets", _poll(bed, PORT)(), 0)
    equal("whether the event is pending", _is_pending(bed), False)


@SUITE.test("refusals", "uapi", needs=XEN)
def refusals(machine: Machine) -> None:
    """Too many events, one that does not exist, and arguments in no memslot are refused."""
    bed = _guest(machine)
    bed.vm.xen_evtchn_send(PORT)
    equal("129 events", _poll(bed, *[PORT] * 129)(), EINVAL)
    equal("128 events", _poll(bed, *[PORT] * 128)(), 0)
    equal("event 4096", _poll(bed, 4096)(), EINVAL)
    equal("event 4095 and one that is pending", _poll(bed, 4095, PORT)(), 0)
    equal("events in no memslot", _poll(bed, PORT, at=SIZE)(), EFAULT)
    equal("arguments in no memslot", bed.vcpu.xen_schedop_poll(SIZE), EFAULT)
    bed.machine.munmap(bed.hva + UNTOUCHED, PAGE_SIZE)
    equal("arguments that user space has unmapped", bed.vcpu.xen_schedop_poll(UNTOUCHED), EFAULT)


@SUITE.test("yield", "uapi", needs=XEN)
def only_yields(machine: Machine) -> None:
    """Without event channels in the kernel, or without a local APIC there, the guest does not sleep, but yields."""
    bed = _guest(machine)
    bed.vm.xen_hvm_config(CONFIG & ~KVM_XEN_HVM_CONFIG_EVTCHN_SEND, KVM_XEN_MSR_MIN_INDEX)
    equal("what the guest gets", _poll(bed, PORT)(), 0)
    equal("what it gets for an event that does not exist", _poll(bed, 4096)(), 0)
    bed = guest(ANON, machine)
    equal("what it gets without a local APIC", _poll(bed, 4096)(), 0)


def _update(bed: Testbed) -> None:
    bed.vm.delete(OTHER_SLOT)


@SUITE.test("update-asleep", "deadlock", needs=XEN)
def update_asleep(machine: Machine) -> None:
    """A memslot update does not wait for a vCPU that has halted."""
    bed = _guest(machine)
    halted = machine.start(bed.vcpu.run)
    update = machine.start(lambda: _update(bed))
    equal("whether the update waits", update.blocked(), False)
    update.result()
    equal("the end of the halt", halted.result().reason, "INTR")


@SUITE.test("update-poll", "deadlock", needs=XEN, lacks=without_poll_outside_srcu, seconds=20.0)
def update_poll(machine: Machine) -> None:
    """A memslot update does not wait for a vCPU that polls."""
    bed = _guest(machine)
    poll = machine.start(_poll(bed, PORT))
    equal("whether it sleeps", poll.blocked(), True)
    update = machine.start(lambda: _update(bed))
    waits = update.blocked()
    bed.vm.xen_evtchn_send(PORT)
    equal("what the guest gets", poll.result(), 0)
    update.result()
    check(not waits, "a memslot update waits until the event is sent")
