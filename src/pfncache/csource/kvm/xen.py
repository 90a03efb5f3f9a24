# SPDX-License-Identifier: GPL-2.0-only
"""Tables for arch/x86/kvm/xen.c and xen.h: event channels, timers and runstate of Xen guests."""

from __future__ import annotations

from pfncache.csource.tables import AsmEntry, CallEntry, EachEntry, MemberEntry, NameEntry, Tables
from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.arch.x86.include.uapi.asm import kvm as uapi
from pfncache.linux.arch.x86.kvm.xen.attributes import XenAttributes
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu, KvmVcpuXen
from pfncache.linux.include.uapi.linux.errno import EAGAIN
from pfncache.linux.include.uapi.linux.kvm import KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL
from pfncache.linux.include.xen.interface import xen as interface
from pfncache.linux.kernel.time.hrtimer import Hrtimer

PORT = "an idr of outbound event channels, which the model does not have"
PORTS = "the ports that a vCPU polls for: contents of guest memory"
POLL_TIMER = "a timeout of a poll is in direct execution alone"
CLOCK = "the checker's clock stands still"
TIMES = "the times that are spent in each state are not modelled"
CONTENTS = "contents of guest memory: no bit is set before, and none is masked, but in direct execution"
INDEX = "vCPUs of the model are a tuple by index"
ALWAYS = "a timer of the model's guests has a port"
REQUEST = "a request is a member of the vCPU; those that the model does not serve have no effect"
KVM_REQ_UNBLOCK = 2
KVM_REQ_CLOCK_UPDATE = 8
CONSTANTS = {
    **{name: value for name, value in vars(uapi).items() if name.startswith("KVM_XEN_")},
    "EWOULDBLOCK": EAGAIN,
    "KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL": KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
    "KVM_REQ_UNBLOCK": KVM_REQ_UNBLOCK, "KVM_REQ_MASTERCLOCK_UPDATE": 3, "KVM_REQ_CLOCK_UPDATE": KVM_REQ_CLOCK_UPDATE,
    "HRTIMER_NORESTART": 0, "HRTIMER_MODE_ABS_HARD": 0,
    "XEN_RUNSTATE_UPDATE": 0, "EVTCHN_2L_NR_CHANNELS": 4096, "COMPAT_EVTCHN_2L_NR_CHANNELS": 1024,
    "RUNSTATE_running": interface.RUNSTATE_RUNNING, "RUNSTATE_runnable": interface.RUNSTATE_RUNNABLE,
    "RUNSTATE_blocked": interface.RUNSTATE_BLOCKED, "RUNSTATE_offline": interface.RUNSTATE_OFFLINE,
    "APIC_DEST_PHYSICAL": 0, "APIC_DEST_NOSHORT": 0, "APIC_DM_FIXED": 0, "NSEC_PER_SEC": 10**9, "NSEC_PER_MSEC": 10**6,
    "KVM_MAX_VCPUS": 4096,
}  # fmt: skip

BY_HAND = {
    "the model's VM keeps whether it runs a Xen guest, not the structure": ("kvm_xen_hvm_config",),
    PORT: (
        "kvm_xen_setattr_evtchn", "kvm_xen_eventfd_reset", "kvm_xen_eventfd_assign", "kvm_xen_eventfd_update",
        "kvm_xen_eventfd_deassign",
    ),
    PORTS: ("kvm_xen_schedop_poll", "wait_pending_event"),
    POLL_TIMER: ("cancel_evtchn_poll",),
    "a scenario calls the hypercalls that the model has": ("kvm_xen_hypercall_enabled",),
    "a timer of the model is initialised when it is made": ("kvm_xen_init_timer",),
    "scenarios without Xen do not call it": ("kvm_xen_has_pending_events",),
}  # fmt: skip
"""Functions of xen.c and xen.h that are not translated, by the reason."""
ASM = {
    f"lock or{suffix} %0, %1; not{suffix} %0; lock and{suffix} %0, %2": AsmEntry(
        ("self.inject_evtchn_pending_sel({2:owner}, {1:owner})", "self.clear_pending_sel({2:owner})"),
        "the guest's selector gets the bits of the kernel's, which loses them: two accesses, each of one step",
    )
    for suffix in "ql"
}
BITS = {
    **{
        ("test_and_set_bit", f"{struct}.evtchn_pending"): CallEntry(
            "self.set_pending_bit({1:owner}, {0})", CONTENTS, "bool"
        )
        for struct in ("shared_info", "compat_shared_info")
    },
    **{
        ("test_bit", f"{struct}.evtchn_mask"): CallEntry("self.test_mask_bit({1:owner}, {0})", CONTENTS, "bool")
        for struct in ("shared_info", "compat_shared_info")
    },
    **{
        ("test_and_set_bit", f"{struct}.evtchn_pending_sel"): CallEntry(
            "self.set_word_bit({1:owner}, {0})", CONTENTS, "bool"
        )
        for struct in ("vcpu_info", "compat_vcpu_info")
    },
    ("test_and_set_bit", "KvmVcpuXen.evtchn_pending_sel"): CallEntry(
        "self.note_pending_sel({1:owner}, {0})", "in the checker the selector has one bit", "bool"
    ),
    ("test_and_clear_bit", "KvmXen.poll_mask"): CallEntry(
        "self.test_and_clear_poll_mask({struct:kvm_vcpu})", "the vCPU's bit is a member of the vCPU", "bool"
    ),
}
STORES = {
    **{
        ("kvm_xen_inject_pending_events", struct, "evtchn_upcall_pending"): "self.inject_upcall_pending({0})"
        for struct in ("vcpu_info", "compat_vcpu_info")
    },
    **{
        ("kvm_xen_set_evtchn_fast", struct, "evtchn_upcall_pending"): "self.signal_upcall({0})"
        for struct in ("vcpu_info", "compat_vcpu_info")
    },
    ("kvm_xen_shared_info_init", "pvclock_wall_clock", "nsec"): "self.write_wall_clock({0})",
    ("kvm_xen_update_runstate_guest", "*", "*"): "self.write_runstate({0})",
}
"""Stores to guest memory, whose bytes direct execution writes with each of them."""

TABLES = Tables(
    headers=("arch/x86/include/uapi/asm/kvm.h",),
    by_hand={name: reason for reason, names in BY_HAND.items() for name in names},
    opaque={
        "evtchnfd": PORT, "eventfd_ctx": PORT, "vcpu_runstate_info": TIMES, "compat_vcpu_runstate_info": TIMES,
        "timer_list": POLL_TIMER,
    },
    asm=ASM,
    member_calls=BITS,
    mapped_stores_in=STORES,
    containers={
        ("kvm_vcpu", "arch.xen.timer"): MemberEntry("self.vcpu_of_timer({0})", "the record has no vCPU", "KvmVcpu")
    },
    members={
        ("KvmVcpu", "vcpu_idx"): MemberEntry("self.index_of({0})", INDEX),
        ("KvmVcpu", "vcpu_id"): MemberEntry("self.index_of({0})", INDEX),
        ("KvmVcpu", "preempted"): MemberEntry("True", "the model schedules out by preemption alone", "bool"),
        ("KvmXen", "runstate_update_flag"): MemberEntry("False", "the model refuses this attribute", "bool", "None"),
        ("KvmXen", "xen_version"): MemberEntry("0", "the model refuses this attribute", "int", "None"),
        ("KvmXen", "upcall_vector"): MemberEntry("True", "guests of the model have the vector", "bool", "None"),
        ("KvmXen", "hvm_config.msr"): MemberEntry("{0}.hvm_config", "whether an MSR is set", "bool"),
        ("Kvm", "xen_hvm_config.msr"): MemberEntry("{0}.xen.hvm_config", "its place before 6.16", "bool"),
        ("Kvm", "use_master_clock"): MemberEntry("True", "the model's master clock is stable", "bool"),
        ("KvmVcpu", "pvclock_tsc_shift"): MemberEntry("0", "the clock's scale does not change"),
        ("KvmVcpu", "pvclock_tsc_mul"): MemberEntry("0", "the clock's scale does not change"),
        ("KvmVcpu", "hv_clock"): MemberEntry("0", "contents of the guest's clock, before 6.15", "struct hv_clock"),
        ("Hrtimer", "function"): MemberEntry("True", "a timer is initialised when it is made", "bool"),
        ("KvmVcpuXen", "poll_evtchn"): MemberEntry("self.poll_evtchn_of({0})", PORTS, "int", "None"),
        ("KvmVcpuXen", "poll_timer"): MemberEntry("0", POLL_TIMER, "opaque"),
        ("KvmVcpuXen", "vcpu_id"): MemberEntry("0", "guests of the model make no hypercalls", "int", "None"),
        ("KvmVcpuXen", "timer_virq"): MemberEntry(
            "self.timer_port({0})", ALWAYS, "int", "self.host_set_timer_port({0}, {1})"
        ),
        ("KvmVcpuXen", "timer_expires"): MemberEntry(
            "{0}.timer_expires", "whether it is not zero", "int", "self.set_timer_expires({0}, {1})"
        ),
        ("KvmVcpuXen", "current_runstate"): MemberEntry(
            "self.runstate_of({0})", TIMES, "int", "self.host_set_runstate({0}, {1})"
        ),
        ("KvmVcpuXen", "runstate_entry_time"): MemberEntry(
            "self.runstate_entry_time_of({0})", TIMES, "int", "self.host_set_runstate_entry_time({0}, {1})"
        ),
        ("KvmVcpuXen", "runstate_times"): MemberEntry("0", TIMES, "opaque"),
        ("KvmVcpuXen", "last_steal"): MemberEntry("0", TIMES, "int", "None"),
        ("TaskStruct", "sched_info.run_delay"): MemberEntry("0", TIMES),
    },
    names={"PAGE_MASK": NameEntry("(-self.PAGE_SIZE)", "the checker's pages are small")},
    each={"idr_for_each_entry": EachEntry("()", (1,), PORT)},
    mapped_values={
        ("evtchnfd", "port"): NameEntry("0", PORT),
        ("hv_clock", "version"): NameEntry("1", "the clock was written before"),
        ("vcpu_info", "evtchn_upcall_pending"): NameEntry("1", "an upcall of the model is always pending"),
        ("pvclock_vcpu_time_info", "tsc_shift"): NameEntry("0", "the clock's scale does not change"),
        ("pvclock_vcpu_time_info", "tsc_to_system_mul"): NameEntry("0", "the clock's scale does not change"),
    },
    sizes={
        "vcpu_info": NameEntry("self.VCPU_INFO_SIZE", "the checker's pages are small"),
        "vcpu_runstate_info": NameEntry("self.RUNSTATE_SIZE", "the checker's pages are small"),
        "compat_vcpu_runstate_info": NameEntry("self.RUNSTATE_COMPAT_SIZE", "the checker's pages are small"),
        "uint64_t": NameEntry("0", "the checker's pages are small: of the update bit alone"),
        "u32": NameEntry("self.VCPU_INFO_ALIGN", "the alignment of vcpu_info"),
    },
    offsets={
        ("compat_vcpu_info", "time"): NameEntry("self.XEN_VCPU_INFO_TIME", "the checker's pages are small"),
        ("vcpu_runstate_info", "state_entry_time"): NameEntry("0", "used for contents alone"),
        ("compat_vcpu_runstate_info", "state_entry_time"): NameEntry("0", "used for contents alone"),
    },
    calls={
        "kvm_get_wall_clock_epoch": CallEntry("0", "the wall clock is written in direct execution alone"),
        "do_div": CallEntry("0", "the wall clock is written in direct execution alone"),
        "kvm_make_all_cpus_request": CallEntry("", "a request for the master clock, which is stable", "void"),
        "kvm_make_request": CallEntry("self.request({0}, {1})", REQUEST, "void"),
        "kvm_get_vcpu": CallEntry("{0}.vcpus[{1}]", INDEX, "KvmVcpu"),
        "kvm_get_vcpu_by_id": CallEntry("self.vcpu_by_id({0}, {1})", INDEX, "KvmVcpu"),
        "kvm_irq_delivery_to_apic": CallEntry(
            "self.wake_vcpu({0}, {2.dest_id})", "a vCPU of the model gets a wakeup of the interrupt", "void"
        ),
        "kvm_xen_init_timer": CallEntry("", "a timer of the model is initialised when it is made", "void"),
        "kthread_unuse_mm": CallEntry("kthread_unuse_mm()", "the model's takes the current one", "void"),
        "hrtimer_cancel": CallEntry("{0}.cancel()", "a method of the timer", "void"),
        "hrtimer_start": CallEntry("{0}.start()", "a method of the timer; it may expire at any time", "void"),
        "hrtimer_start_expires": CallEntry("{0}.start()", "a method of the timer", "void"),
        "timer_delete_sync": CallEntry("", POLL_TIMER, "void"),
        "del_timer_sync": CallEntry("", POLL_TIMER, "void"),
        "cpu_feature_enabled": CallEntry("True", "the model's TSC is stable", "bool"),
        "static_cpu_has": CallEntry("True", "the model's TSC is stable", "bool"),
        "kvm_get_monotonic_and_clockread": CallEntry("(True, 0, 0)", CLOCK, "bool", results=("0", "1")),
        "ktime_get": CallEntry("0", CLOCK),
        "ktime_add_ns": CallEntry("0", CLOCK),
        "rdtsc": CallEntry("0", CLOCK),
        "kvm_read_l1_tsc": CallEntry("0", CLOCK),
        "__pvclock_read_cycles": CallEntry("self.kvmclock_now({struct:kvm_vcpu}.kvm)", CLOCK),
        "sched_info_on": CallEntry("True", "a configuration with sched_info", "bool"),
        "lock_set_subclass": CallEntry("", "lockdep's classes: the model's are the roles of records", "void"),
        "local_irq_save": CallEntry("local_irq_disable()", "the model has one form that restores", "void"),
        "local_irq_restore": CallEntry("local_irq_enable()", "the model has one form that restores", "void"),
        "u64_to_user_ptr": CallEntry("{0}", "an address is a number"),
        "eventfd_ctx_put": CallEntry("", PORT, "void"),
        "idr_destroy": CallEntry("", PORT, "void"),
        "static_branch_slow_dec_deferred": CallEntry("", "kvm_xen_enabled stays on", "void"),
        "kvm_xen_setattr_evtchn": CallEntry("-ENOENT", PORT),
        "get_kvmclock_ns": CallEntry("self.kvmclock_advanced({0})", CLOCK),
    },
)  # fmt: skip


class XenHelpers(XenAttributes):
    """What the C of xen.c calls in another form than the model's functions have."""

    @part_of("kvm_xen_set_evtchn_fast")
    @atomic
    def set_pending_bit(self, gpc: GfnToPfnCache, port: int) -> bool:
        """Set an event's bit in shared_info; return whether it was set before."""
        kvm = gpc.kvm
        assert kvm is not None
        self.access_khva(gpc, True)
        self.trace_evtchn_set(kvm)
        was_set = self.test_and_set_port(gpc, port)
        if not was_set and not self.port_is_masked(gpc, port):
            self.trace_evtchn_pending(kvm)
        return was_set

    @part_of("kvm_xen_set_evtchn_fast")
    @atomic
    def test_mask_bit(self, gpc: GfnToPfnCache, port: int) -> bool:
        """Return whether the guest has masked an event."""
        self.access_khva(gpc, False)
        return self.port_is_masked(gpc, port)

    @part_of("kvm_xen_set_evtchn_fast")
    @atomic
    def set_word_bit(self, info: GfnToPfnCache, word: int) -> bool:
        """Set the bit of an event's word in vcpu_info; return whether it was set before."""
        self.access_khva(info, True)
        return self.test_and_set_word(info, word)

    @part_of("kvm_xen_set_evtchn_fast")
    @atomic
    def signal_upcall(self, info: GfnToPfnCache) -> None:
        """Mark an upcall pending in vcpu_info, for one event."""
        kvm = info.kvm
        assert kvm is not None
        self.access_khva(info, True)
        self.host_set_upcall(info)
        self.trace_evtchn_signalled(kvm, False)

    @part_of("kvm_xen_inject_pending_events")
    def clear_pending_sel(self, vcpu: KvmVcpu) -> None:
        """Clear the kernel's selector, which has one bit."""
        vcpu.xen.evtchn_pending_sel = False

    @part_of("kvm_xen_shared_info_init")
    @atomic
    def write_wall_clock(self, gpc: GfnToPfnCache) -> None:
        """Write a part of the wall clock; in direct execution, all of it."""
        kvm = gpc.kvm
        assert kvm is not None
        self.access_khva(gpc, True)
        self.host_wall_clock(kvm, gpc)

    @part_of("kvm_xen_update_runstate_guest")
    @atomic
    def write_runstate(self, gpc: GfnToPfnCache) -> None:
        """Write a part of the runstate area."""
        self.access_khva(gpc, True)
        self.trace_gpc_write(gpc)
        self.host_write_area(gpc)

    @part_of("kvm_xen_update_runstate_guest")
    @host_only
    def host_write_area(self, gpc: GfnToPfnCache) -> None:
        """Write what a page has of the runstate area."""
        kvm = gpc.kvm
        assert kvm is not None
        for vcpu in kvm.vcpus:
            first = vcpu.xen.runstate_cache
            size = self.runstate_size(kvm)
            length = min(self.PAGE_SIZE - self.offset_in_page(first.gpa), size)
            if gpc is first:
                self.host_write_runstate(vcpu, gpc, 0, length)
            if gpc is vcpu.xen.runstate2_cache:
                self.host_write_runstate(vcpu, gpc, length, size - length)

    @part_of_caller
    def index_of(self, vcpu: KvmVcpu) -> int:
        """Return the number of a vCPU."""
        kvm = vcpu.kvm
        assert kvm is not None
        for number in range(len(kvm.vcpus)):
            if kvm.vcpus[number] is vcpu:
                return number
        return -1

    @part_of("kvm_get_vcpu_by_id")
    def vcpu_by_id(self, kvm: Kvm, number: int) -> KvmVcpu | None:
        """Return the vCPU with a number."""
        for index in range(len(kvm.vcpus)):
            if index == number:
                return kvm.vcpus[index]
        return None

    @part_of_caller
    def vcpu_of_timer(self, timer: Hrtimer) -> KvmVcpu | None:
        """Return the vCPU whose timer this is."""
        for mm in self.mms:
            for kvm in mm.notifiers:
                for vcpu in kvm.vcpus:
                    if vcpu.xen.timer is timer:
                        found: KvmVcpu = vcpu
                        return found
        return None

    @part_of("kvm_make_request")
    def request(self, number: int, vcpu: KvmVcpu) -> None:
        """Request a clock update, or the end of a sleep; other requests have no effect."""
        if number == KVM_REQ_CLOCK_UPDATE:
            vcpu.clock_update = True
        if number == KVM_REQ_UNBLOCK:
            vcpu.unblock = True

    @part_of("kvm_irq_delivery_to_apic")
    def wake_vcpu(self, kvm: Kvm, number: int) -> None:
        """Wake the vCPU that gets an interrupt."""
        vcpu = self.vcpu_by_id(kvm, number)
        if vcpu is not None:
            self.kvm_vcpu_kick(vcpu)

    @part_of_caller
    def set_timer_expires(self, xen: KvmVcpuXen, nanoseconds: int) -> None:
        """Keep whether the timer has an expiry time, and which in direct execution."""
        xen.timer_expires = nanoseconds != 0
        self.host_set_timer_expires(xen, nanoseconds)

    @part_of_caller
    @host_only
    def host_set_timer_expires(self, xen: KvmVcpuXen, nanoseconds: int) -> None:
        """Keep the timer's expiry time."""
        xen.host_timer_expires = nanoseconds

    @part_of_caller
    @host_only
    def host_set_timer_port(self, xen: KvmVcpuXen, port: int) -> None:
        """Keep the timer's port."""
        xen.host_timer_virq = port

    @part_of_caller
    @host_only
    def host_set_runstate(self, xen: KvmVcpuXen, state: int) -> None:
        """Keep the runstate."""
        xen.host_runstate = state

    @part_of_caller
    @host_only
    def host_set_runstate_entry_time(self, xen: KvmVcpuXen, nanoseconds: int) -> None:
        """Keep the time when the runstate was entered."""
        xen.host_runstate_entry_time = nanoseconds
