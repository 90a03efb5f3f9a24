# SPDX-License-Identifier: GPL-2.0-only
"""Recognition of warnings and bugs in the kernel log."""

from __future__ import annotations

import pytest

from pfncache.machines.host.kmsg import Kmsg, complaints


def record(message: str, more: str = "") -> str:
    return f"4,1234,5678901,-;{message}\n{more}"


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (
            "WARNING: CPU: 1 PID: 77 at arch/x86/kvm/../../../virt/kvm/pfncache.c:253 kvm_gpc_do+0x41/0x3a0 [kvm]",
            "WARNING: virt/kvm/pfncache.c:253 kvm_gpc_do [kvm]",
        ),
        (
            "WARNING: arch/x86/kvm/../../../virt/kvm/pfncache.c:253 at kvm_gpc_do+0x41/0x3a0 [kvm], CPU#1: python/77",
            "WARNING: virt/kvm/pfncache.c:253 at kvm_gpc_do [kvm]",
        ),
        ("BUG: KASAN: use-after-free in kvm_setup_guest_pvclock+0x8/0x90", "BUG: KASAN: use-after-free in "
         "kvm_setup_guest_pvclock"),
        ("BUG: Bad rss-counter state mm:00000000deadbeef type:MM_FILEPAGES val:1",
         "BUG: Bad rss-counter state mm: type:MM_FILEPAGES val:1"),
        ("BUG: scheduling while atomic: vcpu0/91/0x00000002", "BUG: scheduling while atomic: vcpu0 0x00000002"),
        ("[ BUG: Invalid wait context ]", "[ BUG: Invalid wait context ]"),
        ("WARNING: possible circular locking dependency detected", "WARNING: possible circular locking dependency "
         "detected"),
        ("WARNING: suspicious RCU usage", "WARNING: suspicious RCU usage"),
        ("kernel BUG at mm/memory.c:99!", "kernel BUG at mm/memory.c:99!"),
        ("Oops: int3: 0000 [#2] SMP", "Oops: int3: 0000 [#2] SMP"),
        ("INFO: task punch:70 blocked for more than 10 seconds.", "INFO: task punch:70 blocked for more than 10 "
         "seconds."),
        ("kvm: Nested Virtualization enabled", None),
        ("systemd[1]: DEBUG: nothing", None),
        ("clocksource: tsc: mask: 0xffffffffffffffff", None),
    ],
)  # fmt: skip
def test_what_counts(message: str, complaint: str | None) -> None:
    assert complaints([record(message)]) == (() if complaint is None else (complaint,))


def test_each_once_in_order() -> None:
    records = [record("WARNING: one"), record("BUG: two", " SUBSYSTEM=kvm\n"), record("WARNING: one")]
    assert complaints(records) == ("WARNING: one", "BUG: two")


def test_a_dictionary_is_no_message() -> None:
    assert complaints([record("harmless", " NOTE=BUG: not this\n")]) == ()


def test_a_log_that_cannot_be_read_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pfncache.machines.host.kmsg.DEVICE", "/nowhere/kmsg")
    with Kmsg() as log:
        assert log.complaints() == ()
