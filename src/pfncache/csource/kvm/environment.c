// SPDX-License-Identifier: GPL-2.0-only
// What the kernel's files include and call, as far as the model has it, in words of our own.
// A function here stands for one that the model has by hand, and calls it with what the model's takes.

struct vm_operations_struct;

struct vm_area_struct {
	struct file *vm_file;
	unsigned long vm_flags;
	struct vm_operations_struct *vm_ops;
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

struct kvm_memory_attributes {
	unsigned long address;
	unsigned long size;
	unsigned long attributes;
	unsigned long flags;
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
	return zap_old_kind(kvm, range->start, range->end, range->arg.attributes);
}

static bool kvm_arch_post_set_memory_attributes(struct kvm *kvm, struct kvm_gfn_range *range)
{
	return false;
}
