# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that no scenario notices, each with the reason."""

from __future__ import annotations

REASONS: dict[str, tuple[str, ...]] = {
    (
        "The section keeps a subscriber from being freed while it is called. VMs of the model are not freed, "
        "and what the call itself follows, kvm->srcu protects."
    ): (
        "mmu_notifier_unregister(): without srcu_read_lock(mm.notifier_srcu)",
        "mmu_notifier_release(): without srcu_read_lock(mm.notifier_srcu)",
    ),
    (
        "One store to one PTE under mmap_lock for writing: truncation, which may clear it at the same time, "
        "takes the permission away too."
    ): ("do_mprotect_pkey(): without spin_lock(mm.page_table_lock)",),
    "The folio lock keeps faults, allocation and truncation of a page apart already.": (
        "do_shared_fault(): without spin_lock(mm.page_table_lock)",
        "allocate_pages(): without down_read(inode.invalidate_lock)",
    ),
    "Nobody gets there without an address space: kernel threads borrow one first.": (
        "gup_fast(): without the test mm is None",
        "get_user_page_fast_only(): without the test mm is None",
    ),
    (
        "Its callers find out by themselves whether the page was taken away meanwhile: a pfncache by its sequence, a "
        "fault by mmu_invalidate_seq. What pins a page goes by gup_fast(), which has the same test."
    ): (
        "get_user_page_fast_only(): without the test self.ptep_get_lockless(mm, number) != pfn or not "
        "self.gup_fast_folio_allowed(page)",
    ),
    "No scenario runs it: the guests of selftests do, which enter L2 guests.": (
        "kvm_mmu_sync_roots(): without write_lock(kvm.mmu_lock)",
        "page_fault(): without write_lock(kvm.mmu_lock)",
    ),
    "It maps the memory of a scenario, or marks it, before any actor starts.": (
        "madvise_dontfork(): without down_write(mm.mmap_lock)",
        "userfaultfd_register(): without down_write(mm.mmap_lock)",
        "remap_pfn_range(): without down_write(mm.mmap_lock)",
        "remap_pfn_range(): without spin_lock(mm.page_table_lock)",
    ),
    (
        "KVM of the model looks pages up for writing, so that no cache and no SPTE has one that is shared: fork() has "
        "invalidated them. Linux needs these notifications for SPTEs of read faults."
    ): ("wp_page_copy(): without its notifications", "replace_page(): without its notifications"),
    "The PTE lock covers the change; no scenario unmaps memory beside it.": (
        "mwriteprotect_range(): without down_read(mm.mmap_lock)",
        "madvise_mergeable(): without down_write(mm.mmap_lock)",
        "try_to_merge_with_ksm_page(): without down_read(mm.mmap_lock)",
        "break_cow(): without down_read(mm.mmap_lock)",
    ),
    "One step of the model changes the PTE.": ("change_pud_range(): without spin_lock(mm.page_table_lock)",),
    "A wait too many ends when user space serves the fault that it has queued.": (
        "userfaultfd_must_wait(): without the test mm.ptes[number].migration >= 0",
    ),
    "A PTE that is not present is not writable either.": ("userfaultfd_must_wait(): without mm.ptes[number].pfn < 0",),
    "No scenario has mprotect() beside a userfaultfd; tests/linux/mm/test_userfaultfd.py does.": (
        "may_become_writable(): without the test mm.ptes[number].uffd_wp",
    ),
    "The page is looked at again under mmap_lock, the folio lock and the PTE lock.": (
        "get_mergeable_page(): without down_read(mm.mmap_lock)",
        "get_mergeable_page(): without spin_lock(mm.page_table_lock)",
    ),
    (
        "Each of the two tests finds a page that is pinned; 7.3.4 has no lookup that outlives the notifications with a "
        "mere reference. Where it has, without a pin of kvm_vcpu_map(), tests/mutation/plants_mm.py shows the first."
    ): (
        "is_only_mapped(): without page.mapcount + 1 == page.refcount",
        "folio_try_share_anon_rmap_pte(): without the test page.pincount > 0",
    ),
    "The other address of the two that were merged keeps the KSM page.": (
        "ksm_page_of(): without spin_lock(mm.page_table_lock)",
    ),
    "The new process does not run yet; only walks of the reverse mapping reach its page table.": (
        "dup_mmap(): without down_write(mm.mmap_lock)",
        "copy_pte_range(): without spin_lock(dst.page_table_lock)",
    ),
    "The first look only saves the folio lock. The stable tree, which may map a KSM page again, is not modelled.": (
        "wp_can_reuse_anon_folio(): without the test page.ksm or page.refcount > 1",
    ),
    "No scenario frees a page and gives it to another owner while it is pinned; that of try_get_page() is killed.": (
        "try_grab_folio_fast(): without the test page.refcount <= 0",
    ),
    "What a PTE that is not present permits is set again by the fault that makes it present.": (
        "may_become_writable(): without pfn >= 0",
    ),
    "It protects the list of VMs, which the model does not have.": ("kvm_destroy_vm(): without self.kvm_lock",),
    "The first look only saves an allocation; the second one, under the lock as well, decides.": (
        "do_anonymous_page(): without spin_lock(mm.page_table_lock)",
    ),
    "Only direct execution calls it; no scenario does.": (
        "allocate_memfd_pages(): without page.lock",
        "allocate_memfd_pages(): without down_write(mapping.i_rwsem)",
        "madvise_populate(): without down_read(mm.mmap_lock)",
        "madvise_remove(): without down_read(mm.mmap_lock)",
        "msr_io(): without mutex(vcpu.mutex)",
        "msr_io(): without srcu_read_lock(kvm.srcu)",
        "kvm_set_guest_paused(): without mutex(vcpu.mutex)",
        "kvm_arch_vcpu_ioctl_translate(): without mutex(vcpu.mutex)",
        "kvm_arch_vcpu_ioctl_translate(): without srcu_read_lock(kvm.srcu)",
        "vmload_vmsave_interception(): without srcu_read_lock(kvm.srcu)",
        "kvm_vm_ioctl_get_dirty_log(): without mutex(kvm.slots_lock)",
        "kvm_arch_vcpu_ioctl_translate(): without vcpu_loaded(vcpu)",
        "kvm_set_guest_paused(): without vcpu_loaded(vcpu)",
        "msr_io(): without vcpu_loaded(vcpu)",
        "vmload_vmsave_interception(): without mutex(vcpu.mutex)",
        "vmload_vmsave_interception(): without vcpu_loaded(vcpu)",
        "kvm_vm_ioctl_set_memory_region(): without mutex(kvm.slots_lock)",
        "kvm_xen_hvm_config(): without mutex(kvm.xen.xen_lock)",
        "kvm_xen_hvm_set_attr(): without mutex(kvm.xen.xen_lock)",
    ),
    "No scenario unmaps an address that is not mapped; tests/linux/mm/test_mmap.py does.": (
        "do_vmi_munmap(): without mm.mmap_lock",
    ),
    "Two punches at once only wake faults too early; the folio lock keeps truncation apart already.": (
        "punch_hole_in_memfd(): without down_write(mapping.i_rwsem)",
    ),
    "The page is marked in one step, so that the second failure of a page leaves it alone.": (
        "memory_failure(): without mutex(self.mf_mutex)",
    ),
    "A walk that does not see that a mapping comes or goes zaps what is there since: a notification too many.": (
        "unmap_mapping_range(): without down_read(mapping.i_mmap_rwsem)",
        "unmap_mapping_folio(): without down_read(mapping.i_mmap_rwsem)",
        "vma_link_file(): without down_write(mapping.i_mmap_rwsem)",
        "free_pgtables(): without down_write(mapping.i_mmap_rwsem)",
    ),
    "No scenario makes a page of a file read-only and writable again, and the model has no dirty bit.": (
        "do_wp_page(): without page.lock",
    ),
    "No scenario of the catalogue moves a mapping down; tests/linux/mm/test_races.py has two that do.": (
        "take_rmap_locks(): without mapping.i_mmap_rwsem",
        "take_rmap_locks(): without mm.anon_vma_rwsem",
        "drop_rmap_locks(): without mapping.i_mmap_rwsem",
        "drop_rmap_locks(): without mm.anon_vma_rwsem",
        "try_to_migrate(): without down_read(mm.anon_vma_rwsem)",
    ),
    "The first look only saves an allocation; the one under mmap_lock for writing decides.": (
        "collapse_huge_page(): without down_read(mm.mmap_lock)",
    ),
    (
        "mmap_lock for writing keeps out what else changes these PTEs; a migration, which does without, finds the "
        "pages locked, or makes khugepaged find one locked."
    ): (
        "collapse_range(): without spin_lock(mm.page_table_lock)",
        "collapse_range(): without spin_lock(mm.page_table_lock) #2",
        "collapse_range(): without spin_lock(mm.page_table_lock) #3",
        "collapse_range(): without spin_lock(mm.page_table_lock) #4",
        "_collapse_huge_page_copy(): without spin_lock(mm.page_table_lock)",
    ),
    "No scenario moves or removes a mapping of the file beside its migration; one that goes is unmapped by munmap().": (
        "try_to_migrate_file(): without down_read(mapping.i_mmap_rwsem)",
        "remove_file_migration_ptes(): without down_read(mapping.i_mmap_rwsem)",
    ),
    "One step of the model replaces the entry, if it is still there.": (
        "remove_file_migration_ptes(): without spin_lock(mm.page_table_lock)",
    ),
    "A hint, read without mmu_lock; the test that decides is made again under it.": (
        "mmu_invalidate_retry_gfn_unsafe(): the sequence before the count",
        "kvm_tdp_page_fault(): without the test self.mmu_invalidate_retry_gfn_unsafe(kvm, sequence, gfn)",
        "kvm_tdp_page_fault(): without the test self.mmu_invalidate_retry_gfn_unsafe(kvm, sequence, gfn) #2",
        "mmu_invalidate_retry_gfn_unsafe(): without the test end == INVALID_GPA or gfn < end",
        "mmu_invalidate_retry_gfn_unsafe(): without kvm.mmu_invalidate_seq != sequence",
    ),
    (
        "It is dropped and taken again between two SPTEs, while an invalidation is in progress or the slot INVALID, "
        "and faults are refused."
    ): ("tdp_mmu_zap_leafs(): without kvm.mmu_lock", "tdp_mmu_zap_root(): without kvm.mmu_lock"),
    "A fault that meets a migration entry waits for it. Without the wait, the fault is repeated.": (
        "migrate_pages(): without source.lock",
    ),
    (
        "A borrower of the address space that faults meanwhile reads a VMA that is still there; the exit of a "
        "process violates stale-translation before."
    ): ("exit_mmap(): without down_read(mm.mmap_lock)",),
    (
        "The INVALID placeholder has neither a user address nor a file, so that the lookup fails all the "
        "same: -EFAULT instead of a retry."
    ): ("kvm_tdp_page_fault(): without the test slot.invalid",),
    "kvm_gmem_get_pfn() of a slot without a file fails as well.": (
        "kvm_tdp_page_fault(): without the test not slot.guest_memfd",
    ),
    "The address is stored before the flag that says so, and read after it; one task at a time runs a vCPU.": (
        "sev_snp_ap_creation(): without mutex(target.sev_es.snp_vmsa_mutex)",
        "run_snp_guest(): without mutex(vcpu.mutex)",
    ),
    "One task at a time runs a vCPU with an L2 guest, and its entry marks no page dirty.": (
        "run_nested_entry(): without mutex(vcpu.mutex)",
        "run_nested_entry(): without vcpu_loaded(vcpu)",
        "run_l2(): without mutex(vcpu.mutex)",
        "run_nested_exit(): without mutex(vcpu.mutex)",
    ),
    "The guest's choice of a VMSA looks at no memslot, and no function that runs an SNP guest asks which vCPU runs.": (
        "run_ap_creation(): without srcu_read_lock(kvm.srcu)",
        "run_snp_guest(): without vcpu_loaded(vcpu)",
    ),
    "What a failed fault returns decides between a retry, emulation and an exit, none of which maps a page.": (
        "kvm_tdp_page_fault(): without self.kvm_handle_error_pfn(pfn)",
    ),
    (
        "Since 6.9 each cache's refresh_lock serialises its activation; xen_lock keeps attributes consistent "
        "that the model does not have."
    ): (
        "kvm_xen_hvm_set_attr(): without mutex(kvm.xen.xen_lock) #2",
        "kvm_xen_vcpu_get_attr(): without mutex(kvm.xen.xen_lock)",
        "kvm_xen_vcpu_set_attr(): without mutex(kvm.xen.xen_lock)",
    ),
    ("Nothing there looks at memslots: deactivation does not, and the event path enters a section of its own."): (
        "run_timer_injection(): without srcu_read_lock(kvm.srcu)",
    ),
    "The section of KVM_RUN, in which the hypercall is handled, is around it already.": (
        "wait_pending_event(): without srcu_read_lock(kvm.srcu)",
    ),
    "Nothing is marked dirty there, which is all that needs a loaded vCPU.": (
        "get_timer(): without vcpu_loaded(vcpu)",
        "run_block(): without vcpu_loaded(vcpu)",
        "run_schedop_poll(): without vcpu_loaded(vcpu)",
        "run_guest_access(): without vcpu_loaded(vcpu)",
        "run_has_interrupt(): without vcpu_loaded(vcpu)",
        "run_timer_injection(): without vcpu_loaded(vcpu)",
        "set_msr_system_time(): without vcpu_loaded(vcpu)",
    ),
    "Since 7.3.2 kvm_xen_has_interrupt() enters a section of its own; xen/halt needs either of the two.": (
        "kvm_vcpu_check_block(): without srcu_read_lock(kvm.srcu)",
    ),
    (
        "What the caches need of it, refresh_lock gives since 6.9; it protects registers and requests that "
        "the model does not have."
    ): (
        "set_vcpu_attr(): without mutex(vcpu.mutex)",
        "get_timer(): without mutex(vcpu.mutex)",
        "run_timer_injection(): without mutex(vcpu.mutex)",
        "run_event_injection(): without mutex(vcpu.mutex)",
        "run_has_interrupt(): without mutex(vcpu.mutex)",
        "run_block(): without mutex(vcpu.mutex)",
        "run_schedop_poll(): without mutex(vcpu.mutex)",
        "set_msr_system_time(): without mutex(vcpu.mutex)",
    ),
    (
        "Whoever is fooled looks again: the reference keeps the struct file, and the binding is compared with the slot."
    ): (
        "get_file_active(): without the test slot.gmem_file is not file",
        "_kvm_gmem_get_pfn(): without the test slot_file is not file",
    ),
    (
        "A slot that can be looked up is bound, or its file is gone; what is looked up through a binding that "
        "goes, the retry test rejects."
    ): ("_kvm_gmem_get_pfn(): without the test f.bindings[index].slot is not slot",),
    "kvm_arch_gmem_make_private() never fails in the model.": (
        "_kvm_gmem_get_pfn(): without the test self.kvm_gmem_is_p"
        "rivate_mem(inode, index) and self.kvm_arch_gmem_make_private(kvm, gfn, page.pfn) != 0",
    ),
    "Both are written under mmu_lock, and whoever decides reads them under it.": (
        "kvm_mmu_invalidate_end(): mmu_invalidate_in_progress -= before mmu_invalidate_seq +=",
    ),
    (
        "Both come before the PTEs change. The order is for the sake of lock nesting: users of a cache are "
        "waited for without mmu_lock."
    ): ("kvm_mmu_notifier_invalidate_range_start(): handle_hva_range_start before cache_invalidate_start",),
    "kvm_arch_flush_shadow_all() does not look at memslots in the model: it drops every SPTE.": (
        "kvm_mmu_notifier_release(): without srcu_read_lock(kvm.srcu)",
    ),
    "A valid cache is active: whatever clears one clears the other in the same hold of gpc.lock.": (
        "kvm_gpc_check(): without the test not gpc.active",
    ),
    "A valid cache has a user address: a refresh that finds none leaves it invalid.": (
        "kvm_gpc_check(): without the test self.kvm_is_error_hva(gpc.uhva)",
    ),
    "Every user asks for no more than it activated with, and the refresh has tested that.": (
        "kvm_gpc_check(): without the test not self.kvm_gpc_is_valid_len(gpc.gpa, gpc.uhva, length)",
    ),
    (
        "The update then goes to where the clock was, and lost-update asks about the gpa of the cache, not of "
        "the guest's MSR."
    ): ("needs_memslot(): without gpa != gpc.gpa",),
    (
        "One store, under refresh_lock: who reads active under gpc.lock finds the cache inactive, or listed and active."
    ): ("list_and_activate(): without write_lock_irq(gpc.lock)",),
    "The first look only saves an allocation; the second one, under the page-table lock, decides.": (
        "allows_huge_pmd(): without self.is_pmd_none(mm, number)",
    ),
    "One step of the model changes the entry, if it is still huge.": (
        "_split_huge_pmd(): without spin_lock(mm.page_table_lock)",
        "zap_huge_pmd(): without spin_lock(mm.page_table_lock)",
    ),
    "Pages of large folios are not migrated, and those that are finds locked who collapses them.": (
        "collapse_pmd(): without down_write(mm.anon_vma_rwsem)",
    ),
    "The first look under mmap_lock only saves the second one, for writing, which decides.": (
        "collapse_pmd(): without down_read(mm.mmap_lock)",
    ),
    "SPTEs of another size map the same pages: what TLBs have of the old ones is right until those pages are zapped.": (
        "kvm_mmu_slot_apply_flags(): without flush_if()",
        "kvm_tdp_mmu_recover_huge_pages(): without flush_if()",
    ),
    "Faults of the model write, so that nothing is mapped through a read-only slot.": (
        "kvm_mmu_slot_apply_flags(): without the test new.readonly",
    ),
    "It is dropped for an allocation alone; the split looks at the SPTE again.": (
        "kvm_tdp_mmu_try_split_huge_pages(): without kvm.mmu_lock",
    ),
    "Folios of guest_memfd have one page in 7.3.4, so that a fault there asks for no level.": (
        "kvm_mmu_max_mapping_level(): without the test private or slot.gmem_only",
    ),
    "A lower level than possible is slower, and no less right.": (
        "kvm_mmu_max_mapping_level(): without self.host_pfn_mapping_level(kvm, gfn, slot)",
        "kvm_mmu_max_mapping_level(): without self.kvm_gmem_max_mapping_level(kvm, private, max_level, fault)",
    ),
    "max_level is no higher than what the processor has, which the next test looks at.": (
        "kvm_mmu_hugepage_adjust(): without the test self.max_huge_page_level == PG_LEVEL_4K",
    ),
    "A huge page that the range covers is in the range in progress anyway.": (
        "add_hugepage_range(): without the test start <= gfn and last <= end",
    ),
    "mmap_lock is held for writing; only truncation could meet the PTE, and it clears it in one step.": (
        "move_ptes(): without spin_lock(mm.page_table_lock)",
    ),
}
"""By reason, the mutants."""

SURVIVORS: dict[str, str] = {name: reason for reason, names in REASONS.items() for name in names}
