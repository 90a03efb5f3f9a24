# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/vmx/vmx.c: the run of an L2 guest, in which the processor writes L1's virtual-APIC page."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.part_of import part_of
from pfncache.lang.report import report
from pfncache.linux.arch.x86.kvm.vmx.nested import VmxNested
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.types import Errno, Pfn
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded

APIC_TASKPRI, TASK_PRIORITY = 0x80, 0xF0
"""Offset of the task priority in a virtual-APIC page, and what L2 writes there."""


class Vmx(VmxNested):
    """KVM_RUN of a vCPU that runs an L2 guest, in pieces: entry, a run until the next exit, exit to L1."""

    @part_of("vmx_handle_exit")
    def run_nested_entry(self, vcpu: KvmVcpu, gpa: Gpa) -> Errno:
        """Handle L1's VMLAUNCH, with its virtual-APIC page at gpa: KVM_RUN.

        Linux: arch/x86/kvm/vmx/vmx.c vmx_handle_exit(), v7.3.4.
        Returns: 0, or -EINVAL for an entry that fails.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
            return 0 if self.nested_get_vmcs12_pages(vcpu, gpa) else -EINVAL

    @part_of("vmx_handle_exit")
    def run_l2(self, vcpu: KvmVcpu) -> Errno:
        """Run L2 until its next exit, which is not to L1, and mark the pages of vmcs12 dirty: KVM_RUN.

        Linux: arch/x86/kvm/vmx/vmx.c vmx_handle_exit(), include/linux/kvm_host.h kvm_vcpu_map_mark_dirty(), v7.3.4.
        Returns: 0, or -EINVAL if L2 was not entered.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        host_map = vcpu.virtual_apic_map
        with mutex(vcpu.mutex), vcpu_loaded(vcpu):
            if host_map.khva == 0:
                return -EINVAL
            self.write_virtual_apic(vcpu)
            with srcu_read_lock(kvm.srcu):
                self.mark_page_dirty(kvm, host_map.gfn)
            return 0

    @part_of("vmx_vcpu_enter_exit")
    @atomic
    def write_virtual_apic(self, vcpu: KvmVcpu) -> None:
        """Write the virtual-APIC page, as the processor does while L2 runs, by the pfn in vmcs02.

        Linux: arch/x86/kvm/vmx/vmx.c vmx_vcpu_enter_exit(), v7.3.4.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        pfn = vcpu.virtual_apic_map.pfn
        if self.pfn_valid(pfn):
            if self.mem_map[pfn].free:
                report("use-after-free", f"L2 of {vcpu} writes the virtual-APIC page in pfn {pfn}, which is free")
            self.host_write_tpr(pfn)
        self.trace_l2_write(kvm, vcpu.virtual_apic_map.gfn, pfn)

    @part_of("vmx_vcpu_enter_exit")
    @host_only
    def host_write_tpr(self, pfn: Pfn) -> None:
        """Write the task priority in the virtual-APIC page.

        Linux: arch/x86/kvm/vmx/vmx.c vmx_vcpu_enter_exit(), v7.3.4.
        """
        self.mem_map[pfn].host_bytes[APIC_TASKPRI] = TASK_PRIORITY

    @part_of("vmx_handle_exit")
    def run_nested_exit(self, vcpu: KvmVcpu) -> None:
        """Exit from L2 to L1: KVM_RUN.

        Linux: arch/x86/kvm/vmx/vmx.c vmx_handle_exit(), v7.3.4; __nested_vmx_vmexit() of arch/x86/kvm/vmx/nested.c.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), vcpu_loaded(vcpu), srcu_read_lock(kvm.srcu):
            self.nested_put_vmcs12_pages(vcpu)
