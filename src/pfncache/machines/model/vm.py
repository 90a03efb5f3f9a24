# SPDX-License-Identifier: GPL-2.0-only
"""Virtual machines and virtual CPUs of the model."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pfncache.linux.arch.x86.kvm.mmu.mmu import RET_PF_RETRY
from pfncache.linux.arch.x86.kvm.svm.svm import DONE, INJECTED_GP
from pfncache.linux.arch.x86.kvm.x86.emulate import X86EMUL_CONTINUE, X86EMUL_UNHANDLEABLE
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmMemorySlot
from pfncache.linux.include.linux.kvm_host import KvmVcpu as VcpuRecord
from pfncache.linux.include.linux.kvm_types import INVALID_GPA
from pfncache.linux.include.uapi import (
    KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
    KVM_MEM_GUEST_MEMFD,
    KVM_XEN_HVM_CONFIG_EVTCHN_SEND,
    KVM_XEN_VCPU_ATTR_TYPE_TIMER,
    PAGE_SIZE,
)
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.ioctl import KvmUserspaceMemoryRegion2
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_load, vcpu_loaded, vcpu_put
from pfncache.machines.machine import Exit, GuestExit, SyscallError, Vcpu, Vm
from pfncache.machines.model.cpu import Cpu
from pfncache.machines.model.file import ModelFile
from pfncache.machines.model.host import ModelHost
from pfncache.machines.model.l2 import NestedRun
from pfncache.machines.model.show import cache_text, slot_text
from pfncache.machines.program import STORE_RAX, STORE_RDX, GuestProgram
from pfncache.machines.resource import OpenFile

GFNS, SLOT_IDS, SLOTS, VCPUS = 32, 10, 12, 2
"""Maximum numbers of a VM: gfns, memslot ids, memslot objects, vCPUs."""
_RESET_CODE, _USER_CODE = 1, 2
"""Parts of the machine's own code: the reset vector, and the programs for user mode."""
_TRIES = 16
"""Maximum faults of one guest access."""
_UNDEFINED = Exit("SHUTDOWN")
"""Exit of a guest that gets an exception and has no handler for it."""
_EMULATION_FAILURE = Exit("INTERNAL_ERROR", detail="suberror 1")

if TYPE_CHECKING:
    from pfncache.machines.model.host import HostKernel


class ModelVcpu(Vcpu):
    """A virtual CPU."""

    def __init__(self, vm: ModelVm, record: VcpuRecord) -> None:
        self.vm = vm
        self.record = record

    def __repr__(self) -> str:
        return f"<{self.record} of {self.vm!r}: kvm-clock {cache_text(self.record.pv_time)}>"

    def set_msr(self, index: int, value: int) -> int:
        """KVM_SET_MSRS of one MSR. Returns how many were set."""
        with self.vm.host.syscall("KVM_SET_MSRS"):
            return self.vm.host.kernel.msr_io(self.record, index, value)

    def get_msr(self, index: int) -> int:
        """KVM_GET_MSRS of one MSR."""
        with self.vm.host.syscall("KVM_GET_MSRS"):
            self.record.mutex.lock()
            value = self.vm.host.kernel.kvm_get_msr_common(self.record, index)
            self.record.mutex.unlock()
        return value

    def wrmsr(self, index: int, value: int) -> None:
        """WRMSR. A #GP is a SHUTDOWN, since the guest has no handler."""
        kernel, kvm = self.vm.host.kernel, self.vm.record
        with self.vm.host.syscall("KVM_RUN"):
            kernel.vcpu_enter_guest(self.record)
            with mutex(self.record.mutex), vcpu_loaded(self.record), srcu_read_lock(kvm.srcu):
                refused = kernel.kvm_emulate_wrmsr(self.record, index, value)
        if refused:
            raise GuestExit(_UNDEFINED)

    def kvmclock_ctrl(self) -> None:
        """KVM_KVMCLOCK_CTRL."""
        with self.vm.host.syscall("KVM_KVMCLOCK_CTRL") as done:
            done(self.vm.host.kernel.kvm_set_guest_paused(self.record))

    def xen_vcpu_set_attr(self, attribute: int, value: int, expires: int = 0) -> None:
        """KVM_XEN_VCPU_SET_ATTR."""
        if attribute == KVM_XEN_VCPU_ATTR_TYPE_TIMER:
            value |= KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL << 32
        with self.vm.host.syscall("KVM_XEN_VCPU_SET_ATTR") as done:
            done(self.vm.host.kernel.set_vcpu_attr(self.record, attribute, value, expires))

    def xen_vcpu_get_timer(self) -> int:
        """KVM_XEN_VCPU_GET_ATTR of the timer."""
        with self.vm.host.syscall("KVM_XEN_VCPU_GET_ATTR"):
            self.vm.host.kernel.get_timer(self.record)
            return self.record.xen.host_timer_expires if self.record.xen.timer_expires else 0

    def xen_schedop_poll(self, gpa: int) -> int:
        """The guest polls for events: a yield without a local APIC, or without event channels in the kernel."""
        kernel = self.vm.host.kernel
        with self.vm.host.syscall("KVM_RUN"):
            kernel.vcpu_enter_guest(self.record)
            if not self.record.apic_enabled or not self.vm.record.xen.host_flags & KVM_XEN_HVM_CONFIG_EVTCHN_SEND:
                return 0
            return kernel.run_schedop_poll(self.record, gpa)

    def run(self, immediate_exit: bool = False) -> Exit:
        """KVM_RUN of a guest that halts. With a local APIC, it sleeps in the kernel until a signal ends KVM_RUN."""
        if immediate_exit:
            return Exit("INTR")
        with self.vm.host.syscall("KVM_RUN"):
            self.vm.host.kernel.vcpu_enter_guest(self.record)
            self._run_firmware(_RESET_CODE)
        return Exit("INTR" if self.record.apic_enabled else "HLT")

    def _run_firmware(self, code: int) -> None:
        """Run a part of the machine's own code: its first access since SPTEs were zapped is a fault."""
        kvm = self.vm.record
        if self.vm.host.capabilities.processor.nested_paging and not kvm.host_firmware_mapped & code:
            kvm.host_firmware_mapped |= code
            self._handled_exit()

    def _handled_exit(self) -> None:
        """After an exit that KVM handles itself, it processes what is pending before the next entry."""
        kernel = self.vm.host.kernel
        kernel.run_event_injection(self.record)
        kernel.run_timer_injection(self.record)

    def _access(self, gpa: int, write: bool) -> memoryview:
        """An access of the guest, repeated after faults. Returns the accessed bytes."""
        kernel, kvm = self.vm.host.kernel, self.vm.record
        gfn = gpa // PAGE_SIZE
        with self.vm.host.syscall("KVM_RUN"):
            kernel.vcpu_enter_guest(self.record)
            self._run_firmware(_USER_CODE)
            slot = self.vm.slot_at(gfn)
            if slot is None:
                raise GuestExit(Exit("MMIO", gpa, write))
            private = kvm.mem_attr_array[gfn].private
            present = kvm.sptes[gfn].pfn >= 0
            for _ in range(_TRIES):
                ret = kernel.run_guest_access(self.record, gpa, private)
                if ret == 0:
                    break
                if ret != RET_PF_RETRY:
                    break
                self.vm.host.tasks.resched()
            if ret != 0:
                from_gmem = private or (slot.guest_memfd and kernel.fault_from_gmem(slot, private))
                kind = "private" if private else "shared"
                leave = Exit("MEMORY_FAULT", gfn * PAGE_SIZE, detail=kind) if from_gmem else Exit("EFAULT")
                raise GuestExit(leave)
            if not present:
                self._handled_exit()
            if write:
                with write_lock(kvm.mmu_lock):
                    kernel.mmu_try_to_unsync_pages(self.record, gfn)
                # A writable SPTE is made with the page marked.
                with mutex(self.record.mutex), vcpu_loaded(self.record), srcu_read_lock(kvm.srcu):
                    kernel.mark_page_dirty_in_slot(kvm, slot, gfn)
            return memoryview(kernel.mem_map[kvm.sptes[gfn].pfn].host_bytes)[gpa % PAGE_SIZE :]

    def load(self, gpa: int) -> bytes:
        """The guest reads eight bytes."""
        return bytes(self._access(gpa, False)[:8])

    def store(self, gpa: int, data: bytes) -> None:
        """The guest writes eight bytes."""
        self._access(gpa, True)[:8] = data[:8]

    def set_registers(self, program: GuestProgram) -> None:
        """KVM looks at nothing in the guest's memory for that."""

    def execute(self, program: GuestProgram) -> Exit:
        """Run a program on the host's kind of processor."""
        with self.vm.host.syscall("KVM_RUN"):
            return Cpu(self.vm.host, self.vm.record, self.record).execute(program)

    def rdtsc(self) -> int:
        """The guest reads its time-stamp counter, which counts nanoseconds and grows with each read."""
        self.vm.host.kernel.host_clock += 1
        return self.vm.host.kernel.host_clock

    def translate(self, entry: int) -> int | None:
        """KVM_TRANSLATE."""
        with self.vm.host.syscall("KVM_TRANSLATE"):
            gpa = self.vm.host.kernel.kvm_arch_vcpu_ioctl_translate(self.record, entry)
        return None if gpa == INVALID_GPA else gpa

    def run_code(self, gpa: int, rax: bytes, rdx: bytes) -> bytes:
        """The processor fetches the code first; its store faults, and the emulator fetches it again."""
        self._access(gpa, False)
        with self._emulating() as kernel:
            if kernel.kvm_fetch_guest_virt(self.record, gpa) != X86EMUL_CONTINUE:
                raise GuestExit(_UNDEFINED)
            return {STORE_RAX: rax, STORE_RDX: rdx}[kernel.host_read_guest(self.vm.record, gpa, len(STORE_RAX))]

    def copy_to_device(self, gpa: int) -> bytes:
        """MOVS: the processor reads the operand, then its store faults, and the emulator reads the operand again."""
        self._access(gpa, False)
        with self._emulating() as kernel:
            if kernel.emulator_read_write_onepage(self.record, gpa, b"", False) != X86EMUL_CONTINUE:
                raise GuestExit(Exit("MMIO", gpa))
            return kernel.host_read_guest(self.vm.record, gpa, 8)

    def copy_from_device(self, gpa: int, data: bytes) -> None:
        """MOVS: the emulator writes the operand."""
        with self._emulating() as kernel:
            if kernel.emulator_read_write_onepage(self.record, gpa, data, True) != X86EMUL_CONTINUE:
                raise GuestExit(Exit("MMIO", gpa, True, data))

    def cmpxchg(self, gpa: int, data: bytes) -> None:
        """LOCK CMPXCHG."""
        if not self.vm.host.capabilities.emulates_any:
            raise NotImplementedError("the processor executes it itself")
        with self._emulating() as kernel:
            if kernel.emulator_read_write_onepage(self.record, gpa, b"", False) != X86EMUL_CONTINUE:
                raise GuestExit(Exit("MMIO", gpa))
            ret = kernel.emulator_cmpxchg_emulated(self.record, gpa, data)
            if ret == X86EMUL_UNHANDLEABLE:
                raise GuestExit(_EMULATION_FAILURE)
            if ret != X86EMUL_CONTINUE:
                raise GuestExit(Exit("MMIO", gpa, True, data))

    def vmsave(self, gpa: int) -> None:
        """VMSAVE. An exception is a SHUTDOWN, since the guest has no handler."""
        with self.vm.host.syscall("KVM_RUN"):
            self.vm.host.kernel.vcpu_enter_guest(self.record)
            leads_to = self.vm.host.kernel.vmload_vmsave_interception(self.record, gpa)
            if leads_to != DONE:
                raise GuestExit(_UNDEFINED if leads_to == INJECTED_GP else _EMULATION_FAILURE)

    def enter_l2(self, entry: int, vmcb: int | None = None) -> bytes | None:
        """VMRUN."""
        return NestedRun(self.vm.host, self.vm.record, self.record).enter(entry, vmcb)

    def leave_l2(self) -> int:
        """L2 halts."""
        return NestedRun(self.vm.host, self.vm.record, self.record).leave()

    def run_l2_apic(self, gpa: int, meanwhile: Callable[[], object]) -> None:
        """VMLAUNCH, a run of L2, and its exit."""
        NestedRun(self.vm.host, self.vm.record, self.record).write_apic(gpa, meanwhile)

    def run_vmsa(self, gpa: int) -> None:
        """AP creation, then KVM_RUN. The VMSA is accessed at the entry."""
        kernel = self.vm.host.kernel
        with self.vm.host.syscall("KVM_RUN"):
            kernel.run_ap_creation(self.record, gpa)
            if kernel.run_snp_guest(self.record) != 0:
                raise GuestExit(Exit("FAIL_ENTRY"))

    @contextmanager
    def _emulating(self) -> Iterator[HostKernel]:
        """KVM_RUN up to an exit that the emulator handles."""
        kernel = self.vm.host.kernel
        with self.vm.host.syscall("KVM_RUN"):
            kernel.vcpu_enter_guest(self.record)
            self.record.mutex.lock()
            vcpu_load(self.record)
            index = self.vm.record.srcu.read_lock()
            try:  # a guard's end does not run when the guest exits
                yield kernel
            finally:
                self.vm.record.srcu.read_unlock(index)
                vcpu_put(self.record)
                self.record.mutex.unlock()

    def close(self) -> None:
        """Nothing to release: the vCPU is destroyed with its VM."""


class ModelVm(Vm):
    """A virtual machine."""

    def __init__(self, host: ModelHost, vm_type: int) -> None:
        self.host = host
        self.vm_type = vm_type
        vcpus = tuple(host.kernel.new(VcpuRecord, f"vcpu{n}") for n in range(VCPUS))
        with host.syscall("KVM_CREATE_VM"):
            self.record = host.kernel.kvm_create_vm(
                "kvm", host.mm, vm_type, SLOTS, SLOT_IDS, GFNS, vcpus, tuple(c for v in vcpus for c in caches(v))
            )
            self.record.gpcs = (*self.record.gpcs, self.record.xen.shinfo_cache)
        host.vms.append(self.record)
        self._created = 0
        self._irqchip = False
        self._synic: bool | None = None
        """Whether the SynIC of later vCPUs clears pages; None without one."""
        self._is_open = True

    def __repr__(self) -> str:
        return f"<VM of type {self.vm_type} on {self.host.name}>"

    def slots(self) -> str:
        """Describe the active memslots, a line each."""
        slots = self.record.memslots
        assert slots is not None
        lines = [f"generation {slots.generation}"]
        lines += [slot_text(n, entry.slot) for n, entry in enumerate(slots.entries) if entry.slot is not None]
        return "\n".join(lines)

    def slot_at(self, gfn: int) -> KvmMemorySlot | None:
        """Return the active slot that contains a gfn."""
        with self.host.syscall("KVM_RUN"), srcu_read_lock(self.record.srcu):
            return self.host.kernel.gfn_to_memslot(self.record, gfn)

    def create_irqchip(self) -> None:
        """KVM_CREATE_IRQCHIP."""
        self._irqchip = True

    def enable_synic(self, clears: bool = True) -> None:
        """KVM_CAP_HYPERV_SYNIC of later vCPUs, or KVM_CAP_HYPERV_SYNIC2."""
        self._synic = clears

    def create_vcpu(self) -> ModelVcpu:
        """KVM_CREATE_VCPU."""
        vcpu = ModelVcpu(self, self.record.vcpus[self._created])
        vcpu.record.apic_enabled = self._irqchip
        vcpu.record.synic.active = self._synic is not None
        vcpu.record.synic.dont_zero_synic_pages = self._synic is False
        self._created += 1
        return vcpu

    def create_guest_memfd(self, size: int, flags: int = 0) -> ModelFile:
        """KVM_CREATE_GUEST_MEMFD."""
        kernel = self.host.kernel
        with self.host.syscall("KVM_CREATE_GUEST_MEMFD") as done:
            done(-errno.EINVAL if flags & ~self.host.gmem_flags(self.record) else 0)
            done(kernel.kvm_gmem_create(self.record, size, flags))
            record = kernel._kvm_gmem_create("guest_memfd", self.record, size // PAGE_SIZE, flags)
        return self.host.opened(ModelFile(self.host, record, size))

    def set_user_memory_region(self, slot: int, gpa: int, size: int, hva: int, flags: int = 0) -> None:
        """KVM_SET_USER_MEMORY_REGION."""
        with self.host.syscall("KVM_SET_USER_MEMORY_REGION") as done:
            if flags & KVM_MEM_GUEST_MEMFD:
                done(-errno.EINVAL)
            done(self._set(slot, flags, gpa, size, hva, None, 0))

    def set_user_memory_region2(  # noqa: PLR0913 - the ioctl's
        self, slot: int, gpa: int, size: int, hva: int, flags: int = 0, gmem: OpenFile | None = None, offset: int = 0
    ) -> None:
        """KVM_SET_USER_MEMORY_REGION2."""
        with self.host.syscall("KVM_SET_USER_MEMORY_REGION2") as done:
            done(self._set(slot, flags, gpa, size, hva, gmem, offset))

    def _set(  # noqa: PLR0913 - the ioctl's
        self, slot: int, flags: int, gpa: int, size: int, hva: int, gmem: OpenFile | None, offset: int
    ) -> int:
        record = gmem.record if isinstance(gmem, ModelFile) and gmem.is_open else None
        region = KvmUserspaceMemoryRegion2(slot, flags, gpa, size, hva, offset, record)
        return self.host.kernel.kvm_vm_ioctl_set_memory_region(self.record, region)

    def set_memory_attributes(self, gpa: int, size: int, attributes: int) -> None:
        """KVM_SET_MEMORY_ATTRIBUTES."""
        with self.host.syscall("KVM_SET_MEMORY_ATTRIBUTES") as done:
            if not self.host.capabilities.memory_attributes:
                done(-errno.ENOTTY)
            done(self.host.kernel.kvm_vm_ioctl_set_mem_attributes(self.record, gpa, size, attributes))

    def set_clock(self, nanoseconds: int) -> None:
        """KVM_SET_CLOCK."""
        with self.host.syscall("KVM_SET_CLOCK") as done:
            done(self.host.kernel.kvm_vm_ioctl_set_clock(self.record, nanoseconds))

    def get_clock(self) -> int:
        """KVM_GET_CLOCK."""
        with self.host.syscall("KVM_GET_CLOCK"):
            return self.host.kernel.get_kvmclock_ns(self.record)

    def get_dirty_log(self, slot: int, pages: int) -> set[int]:
        """KVM_GET_DIRTY_LOG."""
        with self.host.syscall("KVM_GET_DIRTY_LOG") as done:
            done(self.host.kernel.kvm_vm_ioctl_get_dirty_log(self.record, slot))
            slots = self.record.memslots
            assert slots is not None
            record = slots.entries[slot].slot
            assert record is not None and record.dirty_bitmap is not None
            bits = record.dirty_bitmap.bits
            found = {n for n in range(pages) if bits[n].dirty}
            for n in found:
                bits[n].dirty = False
        return found

    def xen_hvm_config(self, flags: int, msr: int = 0) -> None:
        """KVM_XEN_HVM_CONFIG."""
        with self.host.syscall("KVM_XEN_HVM_CONFIG") as done:
            done(self.host.kernel.kvm_xen_hvm_config(self.record, flags, msr))

    def xen_hvm_set_attr(self, attribute: int, value: int) -> None:
        """KVM_XEN_HVM_SET_ATTR."""
        with self.host.syscall("KVM_XEN_HVM_SET_ATTR") as done:
            done(self.host.kernel.kvm_xen_hvm_set_attr(self.record, attribute, value))

    def xen_evtchn_send(self, port: int, vcpu: int = 0, priority: int = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL) -> None:
        """KVM_XEN_HVM_EVTCHN_SEND."""
        with self.host.syscall("KVM_XEN_HVM_EVTCHN_SEND") as done:
            done(self.host.kernel.kvm_xen_hvm_evtchn_send(self.record, port, vcpu, priority))

    def close(self) -> None:
        """close(): the VM is destroyed when the last of its guest_memfds is released."""
        if self._is_open:
            self._is_open = False
            self.host.close_vm(self.record)


def caches(vcpu: VcpuRecord) -> tuple[GfnToPfnCache, ...]:
    """Return the pfncaches of a vCPU."""
    xen = vcpu.xen
    places = (xen.vcpu_info_cache, xen.vcpu_time_info_cache, xen.runstate_cache, xen.runstate2_cache)
    return (vcpu.pv_time, *places)


def no_such_type(vm_type: int) -> SyscallError:
    """Return the error of KVM_CREATE_VM for an unsupported type."""
    return SyscallError(errno.EINVAL, f"KVM_CREATE_VM of type {vm_type}")
