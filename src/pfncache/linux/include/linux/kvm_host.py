# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/kvm_host.h, kvm_types.h, arch/x86/include/asm/kvm_host.h: virtual machines, vCPUs, memslots, caches.

These structures point to one another, and to struct file and guest_memfd's struct gmem_file, which stand here too.
"""

from __future__ import annotations

from typing import Annotated

from pfncache.lang.records import Bound, Count, Record
from pfncache.linux.arch.x86.kvm.mmu.spte import Spte
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, KVM_PFN_ERR_FAULT, Generation, Gfn, Gpa
from pfncache.linux.include.linux.list import ListEntry, ListHead
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct
from pfncache.linux.include.linux.rcuwait import Rcuwait
from pfncache.linux.include.linux.types import Hva, Incarnation, Kva, Pfn, Pgoff, Sequence
from pfncache.linux.kernel.locking.mutex import Mutex
from pfncache.linux.kernel.locking.spinlock import RwLock, SpinLock
from pfncache.linux.kernel.rcu.srcutree import SrcuIndex, SrcuStruct
from pfncache.linux.kernel.sched.core import Rq
from pfncache.linux.kernel.time.hrtimer import Hrtimer

KVM_MR_CREATE, KVM_MR_DELETE, KVM_MR_MOVE, KVM_MR_FLAGS_ONLY = range(4)
"""enum kvm_mr_change."""


class DirtyBit(Record):
    """One bit of a dirty bitmap."""

    dirty: bool
    written: bool
    """Not in Linux: KVM has begun to write to the page through a cache, for the property lost-dirty."""


class DirtyBitmap(Record, slab=True):
    """What a memslot's dirty_bitmap points to."""

    bits: tuple[DirtyBit, ...]
    """By gfn, from the slot's base_gfn on."""


class KvmLpageInfo(Record):
    """struct kvm_lpage_info: whether a huge page may be used."""

    mixed: bool
    """KVM_LPAGE_MIXED_FLAG of disallow_lpage: some of the gfns are private, others are not."""


class KvmMemorySlot(Record, slab=True):
    """struct kvm_memory_slot.

    Locks: immutable once it is in the active set, apart from gmem_file (slots_lock and the gmem's invalidate_lock).
    """

    id: Annotated[int, Bound(0, 7)]
    base_gfn: Gfn
    npages: Pgoff
    userspace_addr: Hva
    log_dirty: bool
    """flags & KVM_MEM_LOG_DIRTY_PAGES."""
    readonly: bool
    """flags & KVM_MEM_READONLY."""
    guest_memfd: bool
    """flags & KVM_MEM_GUEST_MEMFD."""
    invalid: bool
    """flags & KVM_MEMSLOT_INVALID: the placeholder of a slot that is being deleted or moved."""
    gmem_only: bool
    """flags & KVM_MEMSLOT_GMEM_ONLY."""
    gmem_file: File | None
    """gmem.file, on which the slot holds no reference."""
    gmem_pgoff: Pgoff
    arch_ready: bool
    """arch.rmap and arch.lpage_info are allocated."""
    lpage_info: tuple[KvmLpageInfo, ...]
    """arch.lpage_info of level PG_LEVEL_2M, by huge page from that of base_gfn on; under mmu_lock."""
    dirty_bitmap: DirtyBitmap | None
    """Of a slot with dirty logging; an INVALID copy, or a slot that has been moved, has that of the old slot."""


class GmemBinding(Record):
    """One entry of gmem_file->bindings."""

    slot: KvmMemorySlot | None


class GmemFile(Record, slab=True):
    """struct gmem_file: one VM's view of a guest_memfd inode; the private_data of its struct file.

    Locks: bindings by the inode's invalidate_lock.
    """

    kvm: Kvm | None
    bindings: tuple[GmemBinding, ...]
    """By page index."""


class File(Record):
    """struct file of a guest_memfd. Its memory is type-safe: f_count of a closed file may be read."""

    f_count: Annotated[int, Bound(-1, 14)]
    f_mapping: AddressSpace
    """The page cache."""
    private_data: GmemFile


class MemslotEntry(Record):
    """The place of one slot id in a memslot set."""

    slot: KvmMemorySlot | None


class KvmMemslots(Record):
    """struct kvm_memslots: one of the two sets of an address space."""

    node_idx: Annotated[int, Bound(0, 1)]
    """The place of the set in the array. It never changes."""
    generation: Generation
    entries: tuple[MemslotEntry, ...]
    """By slot id."""


class KvmIoBus(Record):
    """struct kvm_io_bus. No VM of the model has one."""


class MemAttrEntry(Record):
    """One entry of kvm->mem_attr_array."""

    private: bool
    """KVM_MEMORY_ATTRIBUTE_PRIVATE."""


class GfnToHvaCache(Record):
    """struct gfn_to_hva_cache: the user address of a guest physical address."""

    generation: Generation
    gpa: Gpa = INVALID_GPA
    hva: Hva
    len: Annotated[int, Bound(0, 2)]
    """Bytes of the structure; one in the checker, whose pages are small."""
    memslot: KvmMemorySlot | None


class GfnToPfnCache(Record):
    """struct gfn_to_pfn_cache: a kernel mapping of a guest page.

    Locks: generation to khva and active change under refresh_lock and lock held for writing; valid is also cleared by
    invalidation, under lock for writing; list by gpc_lock and refresh_lock.
    """

    kvm: Kvm | None
    generation: Generation
    gpa: Gpa = INVALID_GPA
    uhva: Hva
    memslot: KvmMemorySlot | None
    pfn: Pfn = KVM_PFN_ERR_FAULT
    khva: Kva
    active: bool
    valid: bool
    list: ListEntry
    lock: RwLock
    refresh_lock: Mutex
    outdated: bool
    """In no kernel: for a design that marks in the cache that its lookup has to be repeated."""
    updating: bool
    """For reports only: a pvclock structure in the page has an odd version, as an update of it is in progress."""
    tag: Incarnation
    """For reports only, as KASAN's pointer tag: the incarnation of the page when khva was made."""


class KvmSteal(Record):
    """vcpu->arch.st: steal time."""

    enabled: bool
    cache: GfnToHvaCache


class KvmApf(Record):
    """vcpu->arch.apf: the notification of asynchronous page faults that have completed."""

    enabled: bool
    """KVM_ASYNC_PF_ENABLED and KVM_ASYNC_PF_DELIVERY_AS_INT are set in msr_en_val: notification is by interrupt."""
    data: GfnToHvaCache
    wakeup_all: bool
    """vcpu->async_pf.done has the entry that wakes every waiting task of the guest."""
    pageready_pending: bool


class KvmVcpuXen(Record):
    """struct kvm_vcpu_xen."""

    vcpu_info_cache: GfnToPfnCache
    vcpu_time_info_cache: GfnToPfnCache
    runstate_cache: GfnToPfnCache
    runstate2_cache: GfnToPfnCache
    evtchn_pending_sel: bool
    """An event waits for delivery until vcpu_info can be accessed again."""
    upcall_vector: bool
    """KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR is set: events are delivered as MSIs."""
    timer_pending: bool
    """A timer has expired; its event is delivered when the vCPU runs next."""
    timer: Hrtimer
    timer_expires: bool
    """timer_expires is not zero: the timer is set, and its event is not delivered yet."""
    poll_mask: bool
    """The vCPU's bit of kvm->arch.xen.poll_mask: it polls for an event."""
    host_poll_ports: tuple[int, ...] = ()
    """The events that the vCPU polls for, in direct execution."""
    host_poll_timeout: int = 0
    """poll_timer, in direct execution: nanoseconds until it expires; 0 if it is not set."""
    host_pending_sel: int = 0
    """evtchn_pending_sel, in direct execution."""
    host_timer_virq: int = 0
    host_timer_expires: int = 0
    """timer_virq and timer_expires, in direct execution: the event of the timer, and its time in ns."""
    host_runstate: int = 0
    host_runstate_entry_time: int = 0
    """current_runstate and runstate_entry_time, in direct execution."""


class KvmXen(Record):
    """struct kvm_xen."""

    hvm_config: bool
    """arch.xen_hvm_config.msr is set: the VM runs a Xen guest."""
    xen_lock: Mutex
    long_mode: bool
    """The layout of structures is that of 64-bit guests. Written under xen_lock, read without."""
    shinfo_cache: GfnToPfnCache
    evtchn_masked: bool
    """In no kernel: the guest has masked its event in shared_info; for scenarios in which it polls."""
    evtchn_pending: bool
    """In no kernel: the masked event is pending in shared_info."""
    events_owed: Count
    """In no kernel: events in shared_info that no vCPU is signalled of yet; for a property."""
    host_flags: int = 0
    """arch.xen_hvm_config.flags, in direct execution."""


class VcpuSevEsState(Record):
    """struct vcpu_sev_es_state of arch/x86/kvm/svm/svm.h, and control.vmsa_pa of the VMCB: an SNP guest's VMSA.

    Locks: snp_vmsa_mutex over what begins with snp_; vmsa_pa is the vCPU's own, under vcpu.mutex.
    """

    snp_vmsa_mutex: Mutex
    snp_pending_vmsa_gpa: Gpa = INVALID_GPA
    """The VMSA that the guest has chosen, until the vCPU's reset."""
    snp_ap_waiting_for_reset: bool
    snp_guest_vmsa_gpa: Gpa = INVALID_GPA
    """Becomes an address under mmu_lock; read under mmu_lock alone."""
    vmsa_pa: Pfn = -1
    """As a pfn; -1 is INVALID_PAGE."""
    vmsa_tag: Incarnation
    """For reports only: the incarnation of the page when it became the VMSA."""


class KvmHostMap(Record):
    """struct kvm_host_map: a guest page that is pinned and mapped."""

    gfn: Gfn
    pfn: Pfn = KVM_PFN_ERR_FAULT
    khva: Kva
    """0: nothing is mapped."""


class KvmMmuPage(Record):
    """struct kvm_mmu_page of a nested guest's page table, with one entry. Under mmu_lock."""

    gpa: Gpa = INVALID_GPA
    """Of the entry in the guest's table; INVALID_GPA without a shadow."""
    gpte: Annotated[int, Bound(0, 63)]
    """The entry that is shadowed."""
    unsync: bool
    """The guest may have changed the table."""


class KvmVcpuHvSynic(Record):
    """struct kvm_vcpu_hv_synic: a Hyper-V guest's synthetic interrupt controller, of a vCPU."""

    active: bool
    dont_zero_synic_pages: bool
    """KVM_CAP_HYPERV_SYNIC2."""
    host_evt_page: int = 0
    host_msg_page: int = 0


OUTSIDE_GUEST_MODE, IN_GUEST_MODE, EXITING_GUEST_MODE = 0, 1, 2
"""Values of vcpu->mode."""


class KvmVcpu(Record):
    """struct kvm_vcpu, with what is used of struct kvm_vcpu_arch."""

    kvm: Kvm | None
    mutex: Mutex
    mode: Annotated[int, Bound(0, 2)]
    """Of vCPUs of SNP VMs alone."""
    vmsa_page_reload: bool
    """KVM_REQ_VMSA_PAGE_RELOAD."""
    update_protected_guest_state: bool
    """KVM_REQ_UPDATE_PROTECTED_GUEST_STATE."""
    halted: bool
    """arch.mp_state is KVM_MP_STATE_HALTED."""
    spinning_vmsa: Gpa = INVALID_GPA
    """In no kernel: the guest whose VMSA is there leaves only if kicked; for scenarios of a kick."""
    sev_es: VcpuSevEsState
    """to_svm(vcpu)->sev_es."""
    srcu_idx: SrcuIndex
    """____srcu_idx: of the SRCU read section in which KVM_RUN handles an exit of the guest."""
    unblock: bool
    """KVM_REQ_UNBLOCK."""
    virtual_apic_map: KvmHostMap
    """to_vmx(vcpu)->nested.virtual_apic_map: L1's virtual-APIC page while L2 runs."""
    rq: Rq
    """The runqueue of the CPU that the vCPU's thread runs on."""
    shadow: KvmMmuPage
    """arch.guest_mmu: the shadow of L1's page tables for L2."""
    host_vmcb12_gpa: Gpa = INVALID_GPA
    """to_svm(vcpu)->nested.vmcb12_gpa; INVALID_GPA if L2 does not run."""
    pv_time: GfnToPfnCache
    """arch.pv_time: kvm-clock."""
    pv_time_hva: GfnToHvaCache
    """In no kernel: the address of kvm-clock for designs that write it through user space."""
    clock_update: bool
    """KVM_REQ_CLOCK_UPDATE."""
    st: KvmSteal
    apf: KvmApf
    synic: KvmVcpuHvSynic
    """arch.hyperv->synic."""
    apic_enabled: bool
    """The vCPU has an in-kernel local APIC, and it is enabled."""
    xen: KvmVcpuXen
    host_msr_system_time: int = 0
    """arch.time, in direct execution: what RDMSR of the clock MSR returns."""
    host_msr_steal_time: int = 0
    """arch.st.msr_val, in direct execution."""
    host_guest_stopped: bool = False
    """arch.pvclock_set_guest_stopped_request, in direct execution."""
    host_hv_clock_flags: int = 0
    """arch.hv_clock.flags, in direct execution; before 6.15."""


class Kvm(Record):
    """struct kvm: a virtual machine. Its address space 0 only, as pfncaches see no other.

    Locks: see each member.
    """

    mmu_lock: RwLock
    slots_lock: Mutex
    slots_arch_lock: Mutex
    shadow_root_allocated: bool = True
    """arch.shadow_root_allocated: memslots have rmaps, as once a nested guest has run. Under slots_arch_lock."""
    memslots: KvmMemslots | None
    """The active set. Written under slots_lock, slots_arch_lock and mn_invalidate_lock; read under SRCU."""
    sets: tuple[KvmMemslots, ...]
    """Both sets."""
    slot_cache: tuple[KvmMemorySlot, ...]
    """The slots that kzalloc() can return."""
    bitmap_cache: tuple[DirtyBitmap, ...]
    """The dirty bitmaps that __vcalloc() can return."""
    nr_memslot_pages: Annotated[int, Bound(0, 31)]
    """Written under slots_lock."""
    srcu: SrcuStruct
    mn_invalidate_lock: SpinLock
    mn_active_invalidate_count: Count
    """Written under mn_invalidate_lock; pfncache reads it without a lock."""
    mn_memslots_update_rcuwait: Rcuwait
    gpc_invalidate_seq: Sequence
    """Since 7.3.2. Written under mn_invalidate_lock."""
    mn_invalidate_range_start: Hva
    """In no kernel: for a design that stores the range that is being invalidated."""
    mn_invalidate_range_end: Hva
    mmu_invalidate_seq: Sequence
    """Written under mmu_lock."""
    mmu_invalidate_in_progress: Count
    """Written under mmu_lock."""
    mmu_invalidate_range_start: Gfn
    mmu_invalidate_range_end: Gfn
    gpc_lock: SpinLock
    gpc_list: ListHead
    gpcs: tuple[GfnToPfnCache, ...]
    """Every cache that the VM has, listed or not."""
    mem_attr_array: tuple[MemAttrEntry, ...]
    """By gfn. Written under slots_lock; read without a lock."""
    sptes: tuple[Spte, ...]
    """By gfn."""
    vcpus: tuple[KvmVcpu, ...]
    xen: KvmXen
    mm: MmStruct
    mmu_notifier_registered: bool
    users_count: Count
    vm_type: Annotated[int, Bound(0, 7)]
    host_firmware_mapped: int = 0
    """In no kernel: the parts of the machine's own code that SPTEs map, as bits, in direct execution."""
    host_kvmclock_offset: int = 0
    """arch.kvmclock_offset, in direct execution."""
    host_kvmclock_update_work: bool = False
    """arch.kvmclock_update_work is scheduled, in direct execution."""
