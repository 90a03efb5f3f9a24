# SPDX-License-Identifier: GPL-2.0-only
"""The scenarios that a review searches by default: for each file of KVM, those that find the faults of its tests.

``tests/csource/kvm`` has a hundred faults of these files as patches, with the scenario that shows each; the lists are
of these scenarios, and ``tests/review/test_shortlist.py`` keeps them complete.
"""

from __future__ import annotations

from collections.abc import Iterable

from pfncache.csource.kvm.translation import FILES

PFNCACHE = (
    "clock/anon/munmap", "clock/anon/dontneed", "clock/anon/slot-delete", "clock/pfnmap/clock-off", "clock/gmem/punch",
    "clock/gmem-coco/make-private", "gmem/unmapped-punch", "gpc/activate-deactivate", "gpc/activate-munmap",
    "gpc/activate-twice", "gpc/move-in-page", "gpc/move-to-other-page", "gpc/refresh-deactivate", "gpc/refresh-twice",
    "xen/shared-info-moves",
)  # fmt: skip
GUEST_MEMFD = (
    "clock/gmem/allocate", "clock/gmem/punch", "clock/gmem/close", "gmem/bind-and-punch", "gmem/bind-past-the-end",
    "gmem/bind-twice", "gmem/dying-file", "gmem/fault-and-close", "gmem/fault-and-failure", "gmem/fault-and-rebind",
    "gmem/guest-faults", "gmem/toggle-flag", "pairs/gmem/punch+allocate", "private/user-mapping",
)  # fmt: skip
KVM_MAIN = (
    "clock/anon/munmap", "clock/anon/slot-delete", "clock/pfnmap/munmap", "clock/gmem-coco/make-private",
    "gmem/bind-and-punch", "gmem/close-with-vm", "gmem/fault-and-rebind", "gmem/guest-faults", "gmem/two-holes",
    "gpc/activate-munmap", "gpc/refresh-deactivate", "mm/fault-and-unmap", "pairs/anon/munmap+guest-access",
    "private/conversion-and-slot-update", "private/fault-and-convert", "private/faults", "slots/dirty-logging",
    "slots/dirty-logging-of-second-page", "slots/move", "slots/move-logged", "slots/overlap", "slots/read-only",
    "slots/steal-time", "slots/update-during-invalidation", "vm/destroy-dontneed", "vm/exit-guest",
)  # fmt: skip
X86 = (
    "clock/anon/munmap", "clock/anon/dontneed", "pairs/anon/slot-replace+steal-time", "slots/dirty-logging",
    "vcpu/sched-out", "vcpu/two-steal-times",
)  # fmt: skip
XEN = (
    "vm/destroy-armed", "vm/destroy-xen", "xen/expired-timer", "xen/halt", "xen/has-interrupt", "xen/hva-cache-munmap",
    "xen/inject-events", "xen/irq-user", "xen/kthread-sender", "xen/runstate", "xen/runstate-and-events",
    "xen/runstate-split", "xen/send-and-inject", "xen/shared-info-set", "xen/timer-on-vcpu", "xen/timer-set",
    "xen/two-senders", "xen/vcpu-info-moves",
)  # fmt: skip
HEADER = (
    "gmem/guest-faults", "gpc/move-to-other-page", "private/fault-and-convert", "slots/dirty-logging",
    "xen/hva-cache-munmap",
)  # fmt: skip

SHORTLISTS = {
    "virt/kvm/pfncache.c": PFNCACHE,
    "virt/kvm/guest_memfd.c": GUEST_MEMFD,
    "virt/kvm/kvm_main.c": KVM_MAIN,
    "include/linux/kvm_host.h": HEADER,
    "arch/x86/kvm/x86.c": X86,
    "arch/x86/kvm/xen.c": XEN,
    "arch/x86/kvm/xen.h": XEN,
}
"""By file of the kernel tree: names of scenarios."""


def shortlist(files: Iterable[str]) -> tuple[str, ...]:
    """Return the scenarios of the files that a series changes; of a file that has no list, those of all."""
    touched = [name for name in files if name in SHORTLISTS]
    chosen = touched or list(FILES)
    return tuple(dict.fromkeys(name for file in FILES if file in chosen for name in SHORTLISTS[file]))
