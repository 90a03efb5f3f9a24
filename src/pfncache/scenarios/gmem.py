# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of guest_memfd."""

from __future__ import annotations

from pfncache.check.system import System
from pfncache.scenarios.scenario import Kernel
from pfncache.scenarios.world import Memory, World

MEMORY = Memory.GMEM_UNMAPPED
"""What a kernel has to have for these."""


def recreate_then_punch(kernel: Kernel) -> System:
    """A slot is deleted and made again at the same addresses with another file; then the first file is punched."""
    return _recreate(kernel, "kvm_gmem_punch_hole", 0, 1)


def recreate_then_close(kernel: Kernel) -> System:
    """The same, and the first file is closed."""
    return _recreate(kernel, "filp_close")


def _recreate(kernel: Kernel, end: str, *args: int) -> System:
    w = World(kernel, Memory.GMEM_UNMAPPED, slots=3, files=2, pages=4)
    w.do(w.call("set_msr_system_time", w.vcpu, w.gpa, True))
    update = w.call("run_clock_update", w.vcpu)
    w.actor("vcpu", update, update)
    return w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.files[1], 0),
        w.call(end, w.files[0], *args),
    ).system()


def unmapped_punch(kernel: Kernel) -> System:
    """The clock's page is in a guest_memfd that user space could map but does not, and is punched."""
    w = World(kernel, Memory.GMEM_UNMAPPED)
    w.do(w.call("set_msr_system_time", w.vcpu, w.gpa, True))
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    return w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1)).system()


def endless_clock(kernel: Kernel) -> System:
    """The page is punched out of its guest_memfd, which user space maps, while the clock is updated again and again."""
    w = World(kernel, Memory.GMEM_MMAP).clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu), endless=True)
    return w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1)).system()


def overlapping_invalidations(kernel: Kernel) -> System:
    """Two files of the VM are punched at the same time, one of them under the clock."""
    w = World(kernel, Memory.GMEM_UNMAPPED, files=2)
    w.do(w.call("set_msr_system_time", w.vcpu, w.gpa, True))
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.files[0], 0, 1))
    return w.actor("punch other", w.call("kvm_gmem_punch_hole", w.files[1], 0, 1)).system()


def split_brain(kernel: Kernel) -> System:
    """The slot's user address is other memory than the guest_memfd that the guest runs from."""
    w = World(kernel, Memory.GMEM_UNMAPPED)
    w.do(w.call("vm_mmap_pgoff", w.mm, w.hva, None, 0))
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, False))
    return w.actor(
        "vcpu",
        w.call("set_msr_system_time", w.vcpu, w.gpa, True),
        w.call("run_clock_update", w.vcpu),
    ).system()


def dying_file(kernel: Kernel) -> System:
    """A guest_memfd is closed while its slot is deleted and its memory fails."""
    w = World(kernel, Memory.GMEM_UNMAPPED, slots=2, caches=lambda v: ())
    w.do(w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    w.actor("close", w.call("filp_close", w.gmem))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))
    return w.actor("failure", w.call("memory_failure", w.mm, w.hva, w.gmem.f_mapping, 0)).system()


def bind_and_punch(kernel: Kernel) -> System:
    """A slot is created over a guest_memfd that is punched."""
    w = World(kernel, Memory.GMEM_UNMAPPED, slots=3, caches=lambda v: ())
    w.do(w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.gmem, 0))
    return w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1)).system()


def toggle_flag(kernel: Kernel) -> System:
    """User space takes the guest_memfd flag from an existing slot, then punches the file."""
    w = World(kernel, Memory.GMEM_UNMAPPED, slots=3, caches=lambda v: ())
    return w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva),
        w.call("kvm_gmem_punch_hole", w.gmem, 0, 1),
    ).system()


def guest_faults(kernel: Kernel) -> System:
    """The guest faults a page of guest_memfd in while it is punched and allocated again."""
    w = World(kernel, Memory.GMEM_UNMAPPED, caches=lambda v: ())
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, False))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))
    return w.actor("allocate", w.call("kvm_gmem_allocate", w.gmem, 0, 1)).system()


def close_with_vm(kernel: Kernel) -> System:
    """The file descriptors of a VM and of its guest_memfd are closed at the same time: the last one destroys the VM."""
    w = World(kernel, MEMORY)
    w.do(w.call("set_msr_system_time", w.vcpu, w.gpa, True))
    w.actor("close vm", w.call("kvm_put_kvm", w.kvm))
    return w.actor("close", w.call("filp_close", w.gmem)).system()


def failure_and_punch(kernel: Kernel) -> System:
    """The memory of a page fails while it is punched."""
    w = World(kernel, MEMORY, caches=lambda v: ())
    w.do(w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    w.actor("failure", w.call("memory_failure", w.mm, w.hva, w.gmem.f_mapping, 0))
    return w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1)).system()


def _guest(kernel: Kernel, slots: int = 1, files: int = 1) -> World:
    """A guest that faults a page of guest_memfd in."""
    w = World(kernel, MEMORY, slots=slots, files=files, pages=4, caches=lambda v: ())
    return w.actor("guest", w.call("run_guest_access", w.vcpu, 0, False))


def fault_and_close(kernel: Kernel) -> System:
    """The guest faults while the file is closed, and its slot deleted."""
    w = _guest(kernel, slots=2)
    w.actor("close", w.call("filp_close", w.gmem))
    return w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva)).system()


def fault_and_rebind(kernel: Kernel) -> System:
    """The guest faults while its slot is made again with another file, and the first one punched."""
    w = _guest(kernel, slots=3, files=2)
    return w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.files[1], 0),
        w.call("kvm_gmem_punch_hole", w.files[0], 0, 1),
    ).system()


def fault_and_failure(kernel: Kernel) -> System:
    """The guest faults twice while the memory fails."""
    w = _guest(kernel)
    w.do(w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    w.actor("guest'", w.call("run_guest_access", w.vcpu, 0, False))
    return w.actor("failure", w.call("memory_failure", w.mm, w.hva, w.gmem.f_mapping, 0)).system()


def no_memory(kernel: Kernel) -> System:
    """The guest faults, and there is no page left."""
    w = World(kernel, MEMORY, pages=1, caches=lambda v: ())
    w.do(w.call("vm_mmap_pgoff", w.mm, w.hva, None, 0), w.call("do_user_addr_fault", w.mm, w.hva))
    return w.actor("guest", w.call("run_guest_access", w.vcpu, 0, False)).system()
