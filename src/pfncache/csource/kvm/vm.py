# SPDX-License-Identifier: GPL-2.0-only
"""Tables for references on a VM, and for its end, in virt/kvm/kvm_main.c."""

from __future__ import annotations

from collections.abc import Iterator

from pfncache.csource.tables import CallEntry, EachEntry, MemberEntry, NameEntry, Tables, WalkEntry
from pfncache.lang.part_of import part_of_caller
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot, KvmMemslots
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

DEVICES = "the model has no devices, buses and IRQ routing of a VM"
VIRTUALIZATION = "the model does not enable and disable VMX or SVM"
REPORTS = "the model has no debugfs, uevents and power management"
STAYS = "the record of a VM stays when it is destroyed"
LIST = "the model has no list of VMs"
COUNTER = "the references of a VM are the one refcount_t that these files change"
BUS = "VMs of the model have no buses"
FUNCTIONS = {
    DEVICES: ("kvm_free_irq_routing", "kvm_io_bus_destroy", "kvm_coalesced_mmio_free", "kvm_destroy_devices"),
    VIRTUALIZATION: ("kvm_disable_virtualization", "preempt_notifier_dec", "kvm_arch_sync_events"),
    REPORTS: ("kvm_destroy_pm_notifier", "kvm_uevent_notify_change", "kvm_destroy_vm_debugfs"),
    STAYS: ("cleanup_srcu_struct", "srcu_barrier", "kvm_arch_free_vm", "mmdrop"),
}
"""Functions without effect on the model, by the reason."""

TABLES = Tables(
    by_hand={
        **{name: why for why, names in FUNCTIONS.items() for name in names},
        "kvm_get_bus": BUS,
        "kvm_get_bus_for_destruction": BUS,
    },
    opaque={"hlist_node": "an entry by id instead of a hash table"},
    members={
        ("Kvm", "mmu_notifier"): MemberEntry("{0}", "a subscription is that of its VM", "Kvm"),
    },
    elements={
        ("Kvm", "buses"): MemberEntry("None", BUS, "KvmIoBus", store="self.forget_bus({0}, {1})"),
    },
    entries={("Kvm", "vm_list"): WalkEntry("", "", LIST, remove="self.leave_vm_list({0})")},
    names={"kvm_lock": NameEntry("self.kvm_lock", "a member of the kernel image", "Mutex")},
    each={
        "hash_for_each_safe": EachEntry("self.memslots_of({0:owner})", (3,), "an entry by id instead of a hash table")
    },
    calls={
        **{name: CallEntry("", why, "void") for why, names in FUNCTIONS.items() for name in names},
        "kvm_get_bus": CallEntry("None", BUS, "KvmIoBus"),
        "kvm_get_bus_for_destruction": CallEntry("None", BUS, "KvmIoBus"),
        "refcount_inc": CallEntry("self.users_count_inc({0:owner})", COUNTER, "void"),
        "refcount_dec_and_test": CallEntry("self.users_count_dec_and_test({0:owner})", COUNTER, "bool"),
        "rcuwait_active": CallEntry("{0}.waiting", "a member of the record", "bool"),
    },
)  # fmt: skip


class VmHelpers(KvmMm):
    """What the end of a VM calls in another form than the model's functions have."""

    @part_of_caller
    def leave_vm_list(self, kvm: Kvm) -> None:
        """Do nothing: there is no list of VMs."""

    @part_of_caller
    def forget_bus(self, kvm: Kvm, bus: None) -> None:
        """Do nothing: there are no buses."""

    def memslots_of(self, slots: KvmMemslots) -> Iterator[KvmMemorySlot]:
        """Yield the slots of a set."""
        for entry in slots.entries:
            slot = entry.slot
            if slot is not None:
                yield slot
