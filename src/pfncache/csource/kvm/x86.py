# SPDX-License-Identifier: GPL-2.0-only
"""Tables for arch/x86/kvm/x86.c: guest memory through the kernel mapping of a cache."""

from __future__ import annotations

from collections.abc import Callable

from pfncache.csource.kvm.adapter import adapts
from pfncache.csource.tables import CallEntry, Hook, MappingEntry, MemberEntry, NameEntry, Tables
from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.kvm.x86.clock import Clock
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Sequence
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

CONTENTS = "contents of guest memory are not modelled"
USER = "its access is by user address, which the model has by hand"

BY_HAND = {
    USER: (
        "apf_put_user_ready", "apf_pageready_slot_free", "kvm_arch_async_page_present",
        "kvm_arch_can_dequeue_async_page_present", "kvm_mmu_gva_to_gpa_read", "kvm_fetch_guest_virt",
        "kvm_read_guest_virt",
        "emulator_read_write_onepage", "emulator_cmpxchg_emulated", "x86_emulate_instruction",
        "kvm_arch_vcpu_ioctl_translate",
    ),
    "the model has what it does for caches alone": (
        "kvm_write_wall_clock", "kvm_write_system_time", "kvm_pv_enable_async_pf", "kvm_set_msr_common",
        "kvm_get_msr_common", "kvm_emulate_wrmsr", "msr_io", "vcpu_enter_guest", "vcpu_run",
        "vcpu_block",
        "kvm_vm_ioctl_set_clock", "get_kvmclock_ns", "kvm_arch_prepare_memory_region",
    ),
    "its architecture's part is in the model by hand": (
        "kvm_arch_guest_memory_reclaimed", "kvm_arch_gmem_make_private", "kvm_arch_gmem_reclaim",
        "kvm_arch_gmem_invalidate_range", "kvm_arch_gmem_prepare", "kvm_arch_gmem_invalidate",
    ),
    "the model has its caches and timers alone": (
        "kvm_arch_vcpu_destroy", "kvm_arch_destroy_vm", "kvm_arch_memslots_updated", "kvm_arch_pre_destroy_vm",
    ),
    "the model has the vCPU's mode and its requests alone": (
        "kvm_vcpu_exit_request", "kvm_arch_vcpu_should_kick", "kvm_vcpu_flush_tlb_all",
    ),
    "the checker's clock stands still": (
        "kvm_read_l1_tsc", "kvm_get_monotonic_and_clockread", "kvm_get_wall_clock_epoch",
    ),
    "it computes a clock, which stands still in the checker": ("kvm_guest_time_update",),
    "the model's is the whole ioctl, with vcpu->mutex": ("kvm_set_guest_paused",),
    "a scenario calls what the ioctls call": ("kvm_arch_vm_ioctl", "kvm_arch_vcpu_ioctl"),
}  # fmt: skip
"""Functions of x86.c that are not translated, by the reason."""

TABLES = Tables(
    transparent=frozenset({"arch"}),
    records={"kvm_vcpu_arch": "KvmVcpu", "kvm_arch": "Kvm"},
    by_hand={name: reason for reason, names in BY_HAND.items() for name in names},
    config=frozenset({"CONFIG_KVM_XEN"}),
    opaque={
        "pvclock_vcpu_time_info": CONTENTS, "vcpu_info": CONTENTS, "compat_vcpu_info": CONTENTS,
        "shared_info": CONTENTS, "compat_shared_info": CONTENTS, "pvclock_wall_clock": CONTENTS,
    },
    mappings={
        ("GfnToPfnCache", "khva"): MappingEntry(
            "self.access_khva({0}, False)", "self.access_khva({0}, True)", "an access of a guest page is one step"
        )
    },
    mapped_stores={
        ("pvclock_vcpu_time_info", "version"): "self.write_pvclock_version({0})",
        ("pvclock_vcpu_time_info", "*"): "self.write_pvclock_contents({0})",
    },
    sizes={
        "pvclock_vcpu_time_info": NameEntry("self.PVCLOCK_SIZE", "the checker's pages are small"),
    },
    members={
        ("KvmVcpu", "time"): MemberEntry("0", "what RDMSR returns is kept in direct execution alone", "int", "None"),
        ("KvmVcpu", "pvclock_set_guest_stopped_request"): MemberEntry(
            "False", "the request is served with the contents of the clock", "bool", "None"
        ),
    },
    call_makers={"kvm_x86_call": "kvm_x86_", "static_call": ""},
    after={"kvm_gpc_mark_dirty_in_slot": Hook("self.note_dirty({0})", "properties look at what is marked dirty")},
    calls={
        "static_branch_unlikely": CallEntry("True", "kvm_xen_enabled: scenarios without Xen do not call this", "bool"),
        "in_atomic": CallEntry("(current_thread_info().preempt_count != 0)", "a member of the record", "bool"),
        "task_is_running": CallEntry("(not {0}.interruptible)", "a member of the record", "bool"),
    },
)  # fmt: skip


class X86Helpers(Clock):
    """What x86.c does with guest memory, with the reports of the model."""

    @part_of("kvm_setup_guest_pvclock")
    @atomic
    def write_pvclock_version(self, gpc: GfnToPfnCache) -> None:
        """Write the version of a pvclock structure: it becomes odd at the begin of an update, and even at its end."""
        kvm = gpc.kvm
        assert kvm is not None
        begins = not gpc.updating
        if begins:
            self.trace_pv_begin(gpc)
        gpc.updating = begins
        pfn = self.access_khva(gpc, True)
        self.host_pvclock_version(gpc, begins)
        if not begins and not self.kvm_is_error_gpa(gpc.gpa):
            self.trace_pv_update(kvm, gpc.gpa, pfn)

    @part_of("kvm_setup_guest_pvclock")
    @atomic
    def write_pvclock_contents(self, gpc: GfnToPfnCache) -> None:
        """Write the contents of a pvclock structure."""
        self.access_khva(gpc, True)
        self.host_pvclock_contents(gpc)

    @part_of("kvm_setup_guest_pvclock")
    @host_only
    def host_pvclock_contents(self, gpc: GfnToPfnCache) -> None:
        """Write the contents through the cache, for the vCPU whose clock it is."""
        assert gpc.kvm is not None
        for vcpu in gpc.kvm.vcpus:
            if any(gpc is cache for cache in (vcpu.pv_time, vcpu.xen.vcpu_info_cache, vcpu.xen.vcpu_time_info_cache)):
                self.host_pvclock_payload(vcpu, gpc)


class X86Adapters(KvmMm):
    """The model's functions that take or return something else than the C's: each calls the C's function."""

    c_kvm_setup_guest_pvclock: Callable[..., None]
    c_mmu_invalidate_retry_gfn: Callable[..., int]

    @adapts("kvm_setup_guest_pvclock", "ref_hv_clock", "vcpu", "gpc", "offset")
    def kvm_setup_guest_pvclock(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Pass no contents, which are not modelled, and no offset."""
        self.c_kvm_setup_guest_pvclock(0, vcpu, gpc, 0)

    def mmu_invalidate_retry_gfn(self, kvm: Kvm, sequence: Sequence, gfn: Gfn) -> bool:
        """Return a truth value."""
        return self.c_mmu_invalidate_retry_gfn(kvm, sequence, gfn) != 0


class X86Adapters612(KvmMm):
    """Adapters to functions of 6.12 that have other parameters."""

    c_kvm_setup_guest_pvclock: Callable[..., None]

    @adapts("kvm_setup_guest_pvclock", "v", "gpc", "offset", "force_tsc_unstable")
    def kvm_setup_guest_pvclock(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Pass no offset, and a TSC that is stable."""
        self.c_kvm_setup_guest_pvclock(vcpu, gpc, 0, False)
