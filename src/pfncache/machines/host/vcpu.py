# SPDX-License-Identifier: GPL-2.0-only
"""Virtual CPUs of /dev/kvm."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Protocol

from pfncache.linux.arch.x86.include.asm.svm import SVM_EXIT_NPF
from pfncache.linux.include.uapi import (
    KVM_INTERNAL_ERROR_EMULATION,
    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES,
    KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
    KVM_MEMORY_EXIT_FLAG_PRIVATE,
    KVM_XEN_VCPU_ATTR_TYPE_TIMER,
    MAP_SHARED,
    PAGE_SIZE,
    PROT_RW,
    SCHEDOP_POLL,
)
from pfncache.machines.host import firmware, l2, libc, pace
from pfncache.machines.host.devkvm import RUN_SECONDS, KvmHost
from pfncache.machines.host.libc import ioctl
from pfncache.machines.host.structs import (
    EXIT_REASONS,
    KvmCpuid2,
    KvmEnableCap,
    KvmLapicState,
    KvmMsrs,
    KvmRegs,
    KvmRun,
    KvmRunIo,
    KvmRunMmio,
    KvmSregs,
    KvmTranslation,
    KvmXenAttr,
)
from pfncache.machines.machine import Exit, GuestExit, SyscallError, Vcpu
from pfncache.machines.program import ROLES, GuestProgram, ProgramEnd

_RFLAGS = 2
_SPIN_SECONDS = 0.05
"""Bound of KVM_RUN for a program that does not end."""
_POLL_SECONDS = 6.0
"""Bound of KVM_RUN for a guest that polls for events."""
_APIC_SPIV = 0xF0
_EFER_SVME = 1 << 12
_HYPERV_INTERFACE, _HYPERV_SIGNATURE = 0x40000001, int.from_bytes(b"Hv#1", "little")
"""A leaf of CPUID, and EAX there by which KVM recognises a Hyper-V guest."""


class VmOfVcpu(Protocol):
    """What a virtual CPU uses of its VM."""

    fd: int
    host: KvmHost
    vcpus: list[HostVcpu]
    irqchip: bool
    synic: int | None

    def patch_firmware(self, offset: int, data: bytes) -> None:
        """Write to the firmware's memory."""


class HostVcpu(Vcpu):
    """A virtual CPU: its file descriptor and struct kvm_run."""

    def __init__(self, vm: VmOfVcpu, number: int) -> None:
        self.vm = vm
        self.number = number
        self.fd = ioctl(vm.fd, "KVM_CREATE_VCPU", number)
        self._run_size = vm.host.vcpu_mmap_size
        self._run_address = libc.mmap(None, self._run_size, PROT_RW, MAP_SHARED, self.fd, 0)
        self._run = KvmRun.from_address(self._run_address)
        vm.vcpus.append(self)
        ioctl(self.fd, "KVM_SET_CPUID2", vm.host.cpuid if vm.synic is None else cpuid_of_hyperv(vm.host.cpuid))
        if vm.synic is not None:
            ioctl(self.fd, "KVM_ENABLE_CAP", KvmEnableCap(vm.synic))
        self._reset = KvmSregs()
        ioctl(self.fd, "KVM_GET_SREGS", self._reset)
        self._user = firmware.user_mode(self._reset)
        if vm.irqchip:
            lapic = KvmLapicState()
            ioctl(self.fd, "KVM_GET_LAPIC", lapic)
            lapic.regs[_APIC_SPIV + 1] |= 1  # software enable
            ioctl(self.fd, "KVM_SET_LAPIC", lapic)
        self._loaded: KvmSregs | None = self._reset
        """Special registers that were last set; None if the guest may have changed them."""

    def __repr__(self) -> str:
        return f"<vCPU {self.number} of {self.vm!r}>"

    def set_msr(self, index: int, value: int) -> int:
        """KVM_SET_MSRS of one MSR. Returns how many were set."""
        return ioctl(self.fd, "KVM_SET_MSRS", KvmMsrs(1, 0, index, 0, value))

    def get_msr(self, index: int) -> int:
        """KVM_GET_MSRS of one MSR."""
        msr = KvmMsrs(1, 0, index, 0, 0)
        if ioctl(self.fd, "KVM_GET_MSRS", msr) != 1:
            raise SyscallError(errno.EINVAL, "KVM_GET_MSRS")
        return int(msr.data)

    def wrmsr(self, index: int, value: int) -> None:
        """WRMSR in ring 0. What KVM tells user space of a Hyper-V guest's MSR is ignored."""
        sregs, entry = firmware.kernel_mode(self._reset), firmware.ENTRY["wrmsr"]
        words = {"rcx": index, "rax": value & 0xFFFFFFFF, "rdx": value >> 32}
        leave = self._enter_at(sregs, entry, rbx=firmware.REPORT, **words)
        if leave.reason == "HYPERV":
            leave = self._enter()
        if leave.reason != "MMIO" or leave.gpa != firmware.REPORT:
            raise GuestExit(leave)

    def kvmclock_ctrl(self) -> None:
        """KVM_KVMCLOCK_CTRL."""
        ioctl(self.fd, "KVM_KVMCLOCK_CTRL")

    def xen_vcpu_set_attr(self, attribute: int, value: int, expires: int = 0) -> None:
        """KVM_XEN_VCPU_SET_ATTR."""
        if attribute == KVM_XEN_VCPU_ATTR_TYPE_TIMER:
            value |= KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL << 32
        ioctl(self.fd, "KVM_XEN_VCPU_SET_ATTR", KvmXenAttr(attribute, u=(value, expires)))

    def xen_vcpu_get_timer(self) -> int:
        """KVM_XEN_VCPU_GET_ATTR of the timer."""
        timer = KvmXenAttr(KVM_XEN_VCPU_ATTR_TYPE_TIMER)
        ioctl(self.fd, "KVM_XEN_VCPU_GET_ATTR", timer)
        return int(timer.u[1])

    def xen_schedop_poll(self, gpa: int) -> int:
        """VMMCALL in ring 0; Intel's KVM makes it a VMCALL."""
        registers = {"rax": firmware.XEN_SCHED_OP, "rdi": SCHEDOP_POLL, "rsi": gpa, "rcx": firmware.REPORT}
        sregs = firmware.kernel_mode(self._reset)
        leave = self._enter_at(sregs, firmware.ENTRY["hypercall"], pace.bound(_POLL_SECONDS), **registers)
        if leave.reason != "MMIO" or leave.gpa != firmware.REPORT:
            raise GuestExit(leave)
        return int.from_bytes(leave.data, "little", signed=True)

    def run(self, immediate_exit: bool = False) -> Exit:
        """KVM_RUN at the reset vector, where the guest halts."""
        if self._load_sregs(self._reset):
            ioctl(self.fd, "KVM_SET_REGS", KvmRegs(rip=0xFFF0, rflags=_RFLAGS))
        if immediate_exit:
            return self._complete()
        leave = self._enter()
        if leave.reason == "INTR" and not self.vm.irqchip:  # a slow machine: without an APIC, HLT exits at once
            pace.again()
            leave = self._enter(pace.bound(RUN_SECONDS))
            if leave.reason == "INTR":
                pace.expire()
        return leave

    def _complete(self) -> Exit:
        """KVM_RUN with immediate_exit: complete an exit, without running the guest."""
        self._run.immediate_exit = 1
        leave = self._enter()
        self._run.immediate_exit = 0
        return leave

    def _load_sregs(self, sregs: KvmSregs) -> bool:
        """KVM_SET_SREGS, unless the vCPU has them already. Returns whether it was called."""
        if self._loaded is sregs:
            return False
        ioctl(self.fd, "KVM_SET_SREGS", sregs)
        self._loaded = sregs
        return True

    def _enter(self, seconds: float | None = None) -> Exit:
        self._run.exit_reason = 0
        deadline = self.vm.host.deadline
        deadline.start(seconds)
        try:
            ioctl(self.fd, "KVM_RUN")
        except SyscallError as error:
            if error.errno == errno.EINTR:
                return Exit("INTR")
            if self._run.exit_reason == 0:
                return Exit(error.name)
        finally:
            deadline.stop()
        return self._exit()

    def _exit(self) -> Exit:
        reason = EXIT_REASONS.get(self._run.exit_reason, str(self._run.exit_reason))
        words = self._run.exit
        if reason == "MMIO":
            mmio = KvmRunMmio.from_buffer(self._run, KvmRun.exit.offset)
            return Exit(reason, mmio.phys_addr, bool(mmio.is_write), bytes(mmio.data)[: mmio.len])
        if reason == "IO":
            io = KvmRunIo.from_buffer(self._run, KvmRun.exit.offset)
            data = ctypes.string_at(self._run_address + io.data_offset, io.size * io.count)
            return Exit(reason, io.port, bool(io.direction), data)
        if reason == "MEMORY_FAULT":
            return Exit(reason, words[1], detail="private" if words[0] & KVM_MEMORY_EXIT_FLAG_PRIVATE else "shared")
        if reason == "INTERNAL_ERROR":
            return Exit(reason, detail=_internal_error(words))
        return Exit(reason)

    def start_at(self, sregs: KvmSregs, regs: KvmRegs) -> None:
        """Set the registers for :meth:`enter`."""
        self._load_sregs(sregs)
        ioctl(self.fd, "KVM_SET_REGS", regs)

    def sregs(self) -> KvmSregs:
        """KVM_GET_SREGS."""
        sregs = KvmSregs()
        ioctl(self.fd, "KVM_GET_SREGS", sregs)
        return sregs

    def enter(self) -> Exit:
        """KVM_RUN with the current registers. In an IO exit, gpa is the port."""
        self._loaded = None
        return self._enter()

    def answer(self, value: int) -> None:
        """Complete the read of the current MMIO or IO exit with the low bytes of a value."""
        if EXIT_REASONS.get(self._run.exit_reason) == "MMIO":
            mmio = KvmRunMmio.from_buffer(self._run, KvmRun.exit.offset)
            ctypes.memmove(mmio.data, value.to_bytes(8, "little"), mmio.len)
            return
        io = KvmRunIo.from_buffer(self._run, KvmRun.exit.offset)
        data = value.to_bytes(8, "little")[: io.size] * io.count
        ctypes.memmove(self._run_address + io.data_offset, data, len(data))

    def _execute(self, program: str, gpa: int, value: int = 0) -> bytes:
        """Run a program of the firmware. Returns the data of its report."""
        self._load_sregs(self._user)
        ioctl(
            self.fd,
            "KVM_SET_REGS",
            KvmRegs(rip=firmware.ENTRY[program], rflags=_RFLAGS, rbx=gpa, rax=value, rcx=firmware.REPORT),
        )
        leave = self._enter()
        if leave.reason == "MMIO" and leave.gpa == firmware.REPORT and leave.write:
            return leave.data
        if leave.reason == "MMIO":
            # KVM completes the instruction before new registers may be set.
            self._complete()
        if leave.reason == "INTR":
            pace.expire()
        raise GuestExit(leave)

    def load(self, gpa: int) -> bytes:
        """The guest reads eight bytes in user mode."""
        return self._execute("load", gpa)

    def store(self, gpa: int, data: bytes) -> None:
        """The guest writes eight bytes in user mode."""
        self._execute("store", gpa, int.from_bytes(data, "little"))

    def set_registers(self, program: GuestProgram) -> None:
        """KVM_SET_SREGS and KVM_SET_REGS."""
        self._load_sregs(firmware.sregs_for(program, self._reset))
        ioctl(self.fd, "KVM_SET_REGS", KvmRegs(rip=ROLES["code"] * PAGE_SIZE, rflags=_RFLAGS))

    def execute(self, program: GuestProgram) -> Exit:
        """Run a program."""
        self.set_registers(program)
        return self._enter(_SPIN_SECONDS if program.end is ProgramEnd.SPIN else None)

    def rdtsc(self) -> int:
        """The guest reads its time-stamp counter."""
        return int.from_bytes(self._execute("rdtsc", 0), "little")

    def translate(self, entry: int) -> int | None:
        """KVM_TRANSLATE, with the firmware's upper page tables."""
        table, offset = entry // PAGE_SIZE * PAGE_SIZE, entry % PAGE_SIZE
        self.vm.patch_firmware(firmware.WALK_PDPT, (table | firmware.USER_RW).to_bytes(8, "little"))
        sregs = firmware.user_mode(self._reset)
        sregs.cr3 = firmware.GPA + firmware.WALK_PML4
        self._load_sregs(sregs)
        translation = KvmTranslation(linear_address=offset // 8 << 21)
        ioctl(self.fd, "KVM_TRANSLATE", translation)
        return int(translation.physical_address) if translation.valid else None

    def run_code(self, gpa: int, rax: bytes, rdx: bytes) -> bytes:
        """Run code at gpa in user mode."""
        values = {"rax": int.from_bytes(rax, "little"), "rdx": int.from_bytes(rdx, "little")}
        leave = self._enter_at(self._user, gpa, rcx=firmware.REPORT, **values)
        if leave.reason != "MMIO" or leave.gpa != firmware.REPORT:
            raise GuestExit(leave)
        return leave.data

    def copy_to_device(self, gpa: int) -> bytes:
        """MOVSQ from gpa to the address of reports."""
        leave = self._enter_at(self._user, firmware.ENTRY["movs"], rsi=gpa, rdi=firmware.REPORT)
        if leave.reason != "MMIO" or leave.gpa != firmware.REPORT:
            raise GuestExit(leave)
        return leave.data

    def copy_from_device(self, gpa: int, data: bytes) -> None:
        """MOVSQ from the address of reports to gpa, then a report."""
        rcx = firmware.REPORT
        leave = self._enter_at(self._user, firmware.ENTRY["movs"], rsi=rcx + 8, rdi=gpa, rcx=rcx)
        if leave.reason == "MMIO" and leave.gpa == rcx + 8:
            KvmRunMmio.from_buffer(self._run, KvmRun.exit.offset).data[:] = data
            leave = self._enter()
        if leave.reason != "MMIO" or leave.gpa != rcx:
            raise GuestExit(leave)

    def cmpxchg(self, gpa: int, data: bytes) -> None:
        """LOCK CMPXCHG, in real mode or with the prefix that forces emulation."""
        value = int.from_bytes(data, "little")
        if self.vm.host.nested_paging:
            rcx = firmware.REPORT
            leave = self._enter_at(self._user, firmware.ENTRY["cmpxchg"], rbx=gpa, rdx=value, rcx=rcx)
            if leave.reason != "MMIO" or leave.gpa != rcx:
                raise GuestExit(leave)
            return
        leave = self._enter_at(self._reset, firmware.REAL_CODE, rbx=gpa, rcx=value)
        if leave.reason != "HLT":
            raise GuestExit(leave)

    def vmsave(self, gpa: int) -> None:
        """VMSAVE in ring 0."""
        sregs = firmware.kernel_mode(self._reset)
        sregs.efer |= _EFER_SVME
        leave = self._enter_at(sregs, firmware.ENTRY["vmsave"], rax=gpa, rcx=firmware.REPORT)
        if leave.reason != "MMIO" or leave.gpa != firmware.REPORT:
            raise GuestExit(leave)

    def enter_l2(self, entry: int, vmcb: int | None = None) -> bytes | None:
        """VMRUN in ring 0, of a program that reads by way of the entry, reports, and halts."""
        sregs = firmware.kernel_mode(self._reset)
        page = l2.vmcb(sregs, firmware.ENTRY["l2"])
        self.vm.patch_firmware(firmware.VMCB, page)
        table, number = entry // PAGE_SIZE * PAGE_SIZE, entry % PAGE_SIZE // 8
        self.vm.patch_firmware(firmware.NESTED_WINDOW_ENTRY, (table | firmware.USER_RW).to_bytes(8, "little"))
        sregs.efer |= _EFER_SVME
        self._loaded = None
        self._load_sregs(sregs)
        self.set_msr(l2.HSAVE, firmware.GPA)
        address = firmware.L2_WINDOW + number * PAGE_SIZE + firmware.L2_OFFSET
        source = firmware.GPA + firmware.VMCB
        target = source if vmcb is None else vmcb
        copy = {"rsi": source, "rdi": target, "rcx": PAGE_SIZE // 8}
        leave = self._enter_at(sregs, firmware.ENTRY["vmrun"], rax=target, rbx=address, r8=firmware.REPORT, **copy)
        if leave.reason == "MMIO" and leave.gpa == firmware.REPORT:
            return leave.data
        if leave.reason == "MMIO" and leave.gpa == firmware.REPORT + 8:
            if int.from_bytes(leave.data, "little") == SVM_EXIT_NPF:
                return None
            raise GuestExit(Exit("VMEXIT", detail=leave.data[::-1].hex()))
        raise GuestExit(leave)

    def leave_l2(self) -> int:
        """L2 executes HLT."""
        leave = self._enter()
        if leave.reason != "MMIO" or leave.gpa != firmware.REPORT + 8:
            raise GuestExit(leave)
        return int.from_bytes(leave.data, "little")

    def _enter_at(self, sregs: KvmSregs, rip: int, seconds: float | None = None, **registers: int) -> Exit:
        self._load_sregs(sregs)
        ioctl(self.fd, "KVM_SET_REGS", KvmRegs(rip=rip, rflags=_RFLAGS, **registers))
        return self._enter(seconds)

    def close(self) -> None:
        """Close the file descriptor."""
        if self.fd >= 0:
            del self._run
            libc.munmap(self._run_address, self._run_size)
            os.close(self.fd)
            self.fd = -1


def cpuid_of_hyperv(cpuid: KvmCpuid2) -> KvmCpuid2:
    """Return the CPUID of a guest that finds Hyper-V, too: its signature takes the place of KVM's features."""
    found = KvmCpuid2.from_buffer_copy(cpuid)
    for entry in found.entries[: found.nent]:
        if entry.function == _HYPERV_INTERFACE:
            entry.eax = _HYPERV_SIGNATURE
    return found


def _internal_error(words: ctypes.Array[ctypes.c_uint64]) -> str:
    """The suberror, and the instruction that KVM cannot emulate if the exit has it."""
    suberror, count = words[0] & 0xFFFFFFFF, words[0] >> 32
    text = f"suberror {suberror}"
    if suberror != KVM_INTERNAL_ERROR_EMULATION or count < 1:
        return text
    if not words[1] & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES:
        return text
    size, *code = bytes(words)[16:32]
    return f"{text}, cannot emulate {bytes(code[:size]).hex(' ')}"
