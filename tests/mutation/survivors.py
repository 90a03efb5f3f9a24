# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that no scenario notices, each with the reason."""

from __future__ import annotations

REASONS: dict[str, tuple[str, ...]] = {
    (
        "The section keeps a subscriber from being freed while it is called. VMs of the model are not freed, "
        "and what the call itself follows, kvm->srcu protects."
    ): (
        "mm/mmu_notifier.py mmu_notifier_unregister(): without srcu_read_lock(mm.notifier_srcu)",
        "mm/mmu_notifier.py mmu_notifier_release(): without srcu_read_lock(mm.notifier_srcu)",
    ),
    (
        "One store to one PTE under mmap_lock for writing: truncation, which may clear it at the same time, "
        "takes the permission away too."
    ): ("mm/mmap.py sys_mprotect(): without spin_lock(mm.page_table_lock)",),
    (
        "The model's migration holds mmap_lock for writing, as its docstring says, and nobody else unmaps "
        "anonymous pages."
    ): (
        "mm/mmap.py migrate_page(): without spin_lock(mm.page_table_lock)",
        "mm/mmap.py migrate_page(): without spin_lock(mm.page_table_lock) #2",
    ),
    "The folio lock keeps faults, allocation and truncation of a page apart already.": (
        "mm/mmap.py shmem_punch_hole(): without down_write(mapping.invalidate_lock)",
        "mm/memory.py do_shared_fault(): without spin_lock(mm.page_table_lock)",
        "virt/kvm/guest_memfd_file.py kvm_gmem_allocate(): without down_read(inode.invalidate_lock)",
    ),
    "Nobody gets there without an address space: kernel threads borrow one first.": (
        "mm/gup.py get_user_page_fast_only(): without the test mm is None",
    ),
    "A PTE that goes meanwhile reads as an error pfn, or as one that the retry test rejects.": (
        "mm/gup.py follow_pfnmap(): without spin_lock(mm.page_table_lock)",
    ),
    "The first look only saves an allocation; the second one, under the lock as well, decides.": (
        "mm/memory.py do_anonymous_page(): without spin_lock(mm.page_table_lock)",
    ),
    "The mappings of a file are a fixed array here; in Linux they are a tree of VMAs that come and go.": (
        "mm/memory.py memory_failure(): without down_read(mapping.i_mmap_rwsem)",
        "mm/filemap.py truncate_inode_pages_range(): without down_read(mapping.i_mmap_rwsem)",
    ),
    "Only direct execution calls it; no scenario does.": (
        "mm/shmem.py shmem_allocate(): without page.lock",
        "arch/x86/kvm/ioctl.py msr_io(): without mutex(vcpu.mutex)",
        "arch/x86/kvm/ioctl.py msr_io(): without srcu_read_lock(kvm.srcu)",
        "arch/x86/kvm/ioctl.py kvm_set_guest_paused(): without mutex(vcpu.mutex)",
        "arch/x86/kvm/ioctl.py kvm_arch_vcpu_ioctl_translate(): without mutex(vcpu.mutex)",
        "arch/x86/kvm/ioctl.py kvm_arch_vcpu_ioctl_translate(): without srcu_read_lock(kvm.srcu)",
        "arch/x86/kvm/svm/svm.py vmload_vmsave_interception(): without srcu_read_lock(kvm.srcu)",
        "virt/kvm/vm_ioctl.py kvm_get_dirty_log(): without mutex(kvm.slots_lock)",
        "arch/x86/kvm/xen_ioctl.py _set_runstate(): without mutex(kvm.xen.xen_lock)",
        "arch/x86/kvm/xen_ioctl.py _set_runstate(): without mutex(vcpu.mutex)",
        "arch/x86/kvm/xen_ioctl.py _set_runstate(): without srcu_read_lock(kvm.srcu)",
        "arch/x86/kvm/xen_ioctl.py _set_vcpu_info_hva(): without mutex(kvm.xen.xen_lock)",
        "arch/x86/kvm/xen_ioctl.py _set_vcpu_info_hva(): without mutex(vcpu.mutex)",
        "arch/x86/kvm/xen_ioctl.py _set_vcpu_info_hva(): without srcu_read_lock(kvm.srcu)",
        "arch/x86/kvm/xen_ioctl.py kvm_xen_hvm_config(): without mutex(kvm.xen.xen_lock)",
        "arch/x86/kvm/xen_ioctl.py kvm_xen_hvm_set_attr(): without mutex(kvm.xen.xen_lock)",
    ),
    "A hint, read without mmu_lock; the test that decides is made again under it.": (
        "arch/x86/kvm/mmu.py mmu_invalidate_retry_gfn_unsafe(): the sequence before the count",
        "arch/x86/kvm/mmu.py kvm_tdp_page_fault(): without the test self.mmu_invalidate_r"
        "etry_gfn_unsafe(kvm, sequence, gfn)",
    ),
    ("The range is unset only between two steps under mmu_lock for writing; who is not under it takes a hint."): (
        "arch/x86/kvm/mmu.py gfn_in_invalidate_range(): without start == -1",
    ),
    (
        "The INVALID placeholder has neither a user address nor a file, so that the lookup fails all the "
        "same: -EFAULT instead of a retry."
    ): ("arch/x86/kvm/mmu.py kvm_tdp_page_fault(): without the test slot.invalid",),
    "kvm_gmem_get_pfn() of a slot without a file fails as well.": (
        "arch/x86/kvm/mmu.py kvm_tdp_page_fault(): without the test not slot.guest_memfd",
    ),
    (
        "Since 6.9 each cache's refresh_lock serialises its activation; xen_lock keeps attributes consistent "
        "that the model does not have."
    ): (
        "arch/x86/kvm/xen.py kvm_xen_set_shared_info(): without mutex(kvm.xen.xen_lock)",
        "arch/x86/kvm/xen.py kvm_xen_disable_shared_info(): without mutex(kvm.xen.xen_lock)",
        "arch/x86/kvm/xen.py kvm_xen_set_evtchn_slow(): without mutex(kvm.xen.xen_lock)",
        "arch/x86/kvm/xen.py kvm_xen_vcpu_set_timer(): without mutex(kvm.xen.xen_lock)",
        "arch/x86/kvm/xen.py kvm_xen_vcpu_set_info(): without mutex(kvm.xen.xen_lock)",
        "arch/x86/kvm/xen.py kvm_xen_vcpu_disable_info(): without mutex(kvm.xen.xen_lock)",
        "arch/x86/kvm/xen_runstate.py kvm_xen_vcpu_set_runstate(): without mutex(kvm.xen.xen_lock)",
    ),
    ("Nothing there looks at memslots: deactivation does not, and the event path enters a section of its own."): (
        "arch/x86/kvm/xen.py kvm_xen_disable_shared_info(): without srcu_read_lock(kvm.srcu)",
        "arch/x86/kvm/xen.py kvm_xen_vcpu_set_timer(): without srcu_read_lock(kvm.srcu)",
        "arch/x86/kvm/xen.py kvm_vcpu_run_inject_timer(): without srcu_read_lock(kvm.srcu)",
        "arch/x86/kvm/xen.py kvm_xen_vcpu_disable_info(): without srcu_read_lock(kvm.srcu)",
    ),
    (
        "What the caches need of it, refresh_lock gives since 6.9; it protects registers and requests that "
        "the model does not have."
    ): (
        "arch/x86/kvm/xen.py kvm_xen_vcpu_set_timer(): without mutex(vcpu.mutex)",
        "arch/x86/kvm/xen.py kvm_vcpu_run_inject_timer(): without mutex(vcpu.mutex)",
        "arch/x86/kvm/xen.py kvm_xen_vcpu_set_info(): without mutex(vcpu.mutex)",
        "arch/x86/kvm/xen.py kvm_xen_vcpu_disable_info(): without mutex(vcpu.mutex)",
        "arch/x86/kvm/xen.py kvm_vcpu_run_inject_events(): without mutex(vcpu.mutex)",
        "arch/x86/kvm/xen_runstate.py kvm_xen_vcpu_set_runstate(): without mutex(vcpu.mutex)",
        "arch/x86/kvm/xen_runstate.py kvm_vcpu_run_runstate(): without mutex(vcpu.mutex)",
        "arch/x86/kvm/x86.py kvm_vcpu_ioctl_set_msr_system_time(): without mutex(vcpu.mutex)",
    ),
    (
        "Whoever is fooled looks again: the reference keeps the struct file, and the binding is compared with the slot."
    ): (
        "virt/kvm/guest_memfd.py get_file_active(): without the test slot.gmem_file is not file",
        "virt/kvm/guest_memfd.py _kvm_gmem_get_pfn(): without the test slot.gmem_file is not file",
    ),
    (
        "A slot that can be looked up is bound, or its file is gone; what is looked up through a binding that "
        "goes, the retry test rejects."
    ): ("virt/kvm/guest_memfd.py _kvm_gmem_get_pfn(): without the test f.bindings[index].slot is not slot",),
    "kvm_arch_gmem_make_private() never fails in the model.": (
        "virt/kvm/guest_memfd.py _kvm_gmem_get_pfn(): without the test self.kvm_gmem_is_p"
        "rivate_mem(inode, index) and self.kvm_arch_gmem_make_private(kvm, gfn, page.pfn) != 0",
    ),
    "Both are written under mmu_lock, and whoever decides reads them under it.": (
        "virt/kvm/kvm_main.py kvm_mmu_invalidate_end(): mmu_invalidate_in_progress -= before mmu_invalidate_seq +=",
    ),
    (
        "Both come before the PTEs change. The order is for the sake of lock nesting: users of a cache are "
        "waited for without mmu_lock."
    ): (
        "virt/kvm/kvm_main.py kvm_mmu_notifier_invalidate_range_start(): kvm_handle_hva_r"
        "ange_start before cache_invalidate_start",
    ),
    "kvm_flush_shadow_all() does not look at memslots in the model: it drops every SPTE.": (
        "virt/kvm/kvm_main.py kvm_mmu_notifier_release(): without srcu_read_lock(kvm.srcu)",
    ),
    "A valid cache is active: whatever clears one clears the other in the same hold of gpc.lock.": (
        "virt/kvm/pfncache.py kvm_gpc_check(): without the test not gpc.active",
    ),
    "A valid cache has a user address: a refresh that finds none leaves it invalid.": (
        "virt/kvm/pfncache.py kvm_gpc_check(): without the test self.is_error_hva(gpc.uhva)",
    ),
    "Every user asks for no more than it activated with, and the refresh has tested that.": (
        "virt/kvm/pfncache.py kvm_gpc_check(): without the test not self.kvm_gpc_is_valid"
        "_len(gpc.gpa, gpc.uhva, length)",
    ),
    (
        "The update then goes to where the clock was, and lost-update asks about the gpa of the cache, not of "
        "the guest's MSR."
    ): ("virt/kvm/pfncache.py kvm_gpc_needs_slot(): without gpa != gpc.gpa",),
    (
        "One store, under refresh_lock: who reads active under gpc.lock finds the cache inactive, or listed and active."
    ): ("virt/kvm/pfncache.py gpc_publish(): without write_lock_irq(gpc.lock)",),
    "mmap_lock is held for writing; only truncation could meet the PTE, and it clears it in one step.": (
        "mm/mremap.py move_pte(): without spin_lock(mm.page_table_lock)",
    ),
}
"""By reason, the mutants."""

SURVIVORS: dict[str, str] = {name: reason for reason, names in REASONS.items() for name in names}
