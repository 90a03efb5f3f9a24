// SPDX-License-Identifier: GPL-2.0-only
// What the kernel's files include and call, as far as the model has it, in words of our own.
// A function here stands for one that the model has by hand, and calls it with what the model's takes.

struct vm_operations_struct;

struct vm_area_struct {
	struct file *vm_file;
	unsigned long vm_flags;
	struct vm_operations_struct *vm_ops;
};

struct follow_pfnmap_args {
	struct vma_of_page *vma;
	unsigned long address;
	unsigned long pfn;
	bool writable;
};

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long pgoff;
	struct page *page;
};

struct mmu_notifier_range {
	unsigned long start;
	unsigned long end;
};

struct kvm_userspace_memory_region2 {
	unsigned int slot;
	unsigned int flags;
	unsigned long guest_phys_addr;
	unsigned long memory_size;
	unsigned long userspace_addr;
	unsigned long guest_memfd_offset;
	unsigned int guest_memfd;
};

struct kvm_memory_attributes {
	unsigned long address;
	unsigned long size;
	unsigned long attributes;
	unsigned long flags;
};

struct kvm_irq_routing_xen_evtchn {
	unsigned int port;
	unsigned int vcpu;
	unsigned int priority;
};

struct kvm_lapic_irq {
	unsigned int vector;
	unsigned int delivery_mode;
	unsigned int dest_mode;
	bool level;
	unsigned int trig_mode;
	unsigned int shorthand;
	unsigned int dest_id;
};

static bool kvm_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	return zap_gfn_range(kvm, range->slot, range->start, range->end, range->attr_filter);
}

static void kvm_arch_gmem_invalidate_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	invalidate_vmsas(kvm, range->start, range->end);
}

static bool kvm_arch_pre_set_memory_attributes(struct kvm *kvm, struct kvm_gfn_range *range)
{
	return zap_old_kind(kvm, range->slot, range->start, range->end, range->arg.attributes);
}

static bool kvm_arch_post_set_memory_attributes(struct kvm *kvm, struct kvm_gfn_range *range)
{
	update_lpage_info(kvm, range->slot, range->start, range->end);
	return false;
}
