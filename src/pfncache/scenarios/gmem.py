# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of guest_memfd."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.linux.include.trace.events.kvm import CACHE_REFRESHED, CACHE_USED, CLOCK_WRITTEN, GUEST_MAPPED
from pfncache.linux.include.uapi.linux.errno import EINTR, EINVAL
from pfncache.scenarios import users
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=3, files=2, pages=4)
def recreate_then_punch(w: World) -> None:
    """A slot is deleted and made again at the same addresses with another file; then the first file is punched."""
    _recreate(w, "kvm_gmem_punch_hole", 0, 1)


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=3, files=2, pages=4)
def recreate_then_close(w: World) -> None:
    """A slot is deleted and made again at the same addresses with another file; then the first file is closed."""
    _recreate(w, "filp_close")


def _recreate(w: World, end: str, *args: int) -> None:
    w.clock_refused().do(w.call("set_msr_system_time", w.vcpu, w.gpa, True))
    update = w.call("run_clock_update", w.vcpu)
    w.actor("vcpu", update, update)
    w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.files[1], 0),
        w.call(end, w.files[0], *args),
    )


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def unmapped_punch(w: World) -> None:
    """The clock's page is punched out of a guest_memfd that user space could map and does not."""
    w.clock_refused().do(w.call("set_msr_system_time", w.vcpu, w.gpa, True))
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def activate_and_close(w: World) -> None:
    """The guest sets its clock in a guest_memfd that is closed, and whose inode is freed."""
    w.clock_refused()
    w.actor("vcpu", w.call("set_msr_system_time", w.vcpu, w.gpa, True), w.call("run_clock_update", w.vcpu))
    w.actor("close", w.call("filp_close", w.gmem))


@scenario(memory=MemoryKind.GMEM_MMAP)
def endless_clock(w: World) -> None:
    """The page is punched out of its guest_memfd, which user space maps, while the clock is updated in a loop."""
    w.clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu), endless=True)
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, files=2)
def overlapping_invalidations(w: World) -> None:
    """Two files of the VM are punched at the same time, one of them under the clock."""
    w.clock_refused().do(w.call("set_msr_system_time", w.vcpu, w.gpa, True))
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.files[0], 0, 1))
    w.actor("punch other", w.call("kvm_gmem_punch_hole", w.files[1], 0, 1))


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def split_brain(w: World) -> None:
    """The slot's user address maps other memory than the guest_memfd from which the guest runs."""
    for target in (CLOCK_WRITTEN, CACHE_USED, CACHE_REFRESHED):
        w.need_not_reach(target, "KVM may refuse memory that is not the guest's")
    w.do(w.call("vm_mmap_pgoff", w.mm, w.hva, None, 0))
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, False))
    w.actor(
        "vcpu",
        w.call("set_msr_system_time", w.vcpu, w.gpa, True),
        w.call("run_clock_update", w.vcpu),
    )


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=2)
def dying_file(w: World) -> None:
    """A guest_memfd is closed while its slot is deleted and its memory fails."""
    w.do(w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    w.actor("close", w.call("filp_close", w.gmem))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))
    w.actor("failure", w.call("memory_failure", w.mm, w.hva, w.gmem.f_mapping, 0))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=3)
def bind_and_punch(w: World) -> None:
    """A slot is created over a guest_memfd that is punched."""
    w.do(w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.gmem, 0))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=3)
def toggle_flag(w: World) -> None:
    """User space removes the guest_memfd flag of an existing slot, then punches the file."""
    w.cannot_reach("vmm: set_memory_region() succeeded", "KVM refuses to change a flag that is fixed at creation")
    w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva),
        w.call("kvm_gmem_punch_hole", w.gmem, 0, 1),
    )


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def guest_faults(w: World) -> None:
    """The guest faults in a page of guest_memfd while it is punched and allocated again."""
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, False))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))
    w.actor("allocate", w.call("kvm_gmem_allocate", w.gmem, 0, 1))


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def close_with_vm(w: World) -> None:
    """The file descriptors of a VM and of its guest_memfd are closed at the same time: the last one destroys the VM."""
    w.do(w.call("set_msr_system_time", w.vcpu, w.gpa, True))
    w.actor("close vm", w.call("kvm_put_kvm", w.kvm))
    w.actor("close", w.call("filp_close", w.gmem))


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def failure_and_punch(w: World) -> None:
    """The memory of a page fails while it is punched."""
    w.do(w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    w.actor("failure", w.call("memory_failure", w.mm, w.hva, w.gmem.f_mapping, 0))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


def _guest(w: World) -> World:
    """Add a guest that faults a page of guest_memfd in."""
    return w.actor("guest", w.call("run_guest_access", w.vcpu, 0, False))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=2, pages=4)
def fault_and_close(w: World) -> None:
    """The guest faults while the file is closed, and its slot deleted."""
    _guest(w)
    w.actor("close", w.call("filp_close", w.gmem))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=3, files=2, pages=4)
def fault_and_rebind(w: World) -> None:
    """The guest faults while its slot is made again with another file, and the first one punched."""
    _guest(w)
    w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.files[1], 0),
        w.call("kvm_gmem_punch_hole", w.files[0], 0, 1),
    )


@scenario(memory=MemoryKind.GMEM_UNMAPPED, pages=4)
def fault_and_failure(w: World) -> None:
    """The guest faults twice while the memory fails."""
    _guest(w)
    w.do(w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    w.actor("guest'", w.call("run_guest_access", w.vcpu, 0, False))
    w.actor("failure", w.call("memory_failure", w.mm, w.hva, w.gmem.f_mapping, 0))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, pages=1)
def no_memory(w: World) -> None:
    """The guest faults, and no page is free."""
    for target in ("guest: run_guest_access() succeeded", GUEST_MAPPED):
        w.cannot_reach(target, "the only page is in use")
    w.do(w.call("vm_mmap_pgoff", w.mm, w.hva, None, 0), w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, False))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=4, slot_ids=2, gfns=2, file_pages=2)
def crossed_offsets(w: World) -> None:
    """Two slots have the pages of one file in the other order, and the guest faults while one is punched."""
    w.do(
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.gmem, 1),
        w.call("set_memory_region", w.kvm, 1, 1, 1, w.hva, False, False, w.gmem, 0),
    )
    _guest(w)
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 1, 2))
    w.actor("allocate", w.call("kvm_gmem_allocate", w.gmem, 0, 1))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, pages=4, slots=3, slot_ids=2, gfns=2, files=2)
def two_holes(w: World) -> None:
    """The guest faults in the page of its second slot while the files of both slots are punched."""
    w.do(
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.files[0], 0),
        w.call("set_memory_region", w.kvm, 1, 1, 1, w.hva, False, False, w.files[1], 0),
    )
    w.actor("guest", w.call("run_guest_access", w.vcpu, 1, False))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.files[0], 0, 1))
    w.actor("punch'", w.call("kvm_gmem_punch_hole", w.files[1], 0, 1))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=3, slot_ids=2, gfns=2, file_pages=2)
def bind_twice(w: World) -> None:
    """User space creates a second slot over a page that has one; the guest faults, and the page is punched."""
    w.do(
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.gmem, 0),
    )
    w.cannot_reach("vmm: set_memory_region() succeeded", "a page of guest_memfd has one slot")
    _guest(w)
    w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 1, 1, 1, w.other_hva, False, False, w.gmem, 0),
        w.call("kvm_gmem_punch_hole", w.gmem, 0, 1),
    )


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=2, slot_ids=2, gfns=2)
def bind_past_the_end(w: World) -> None:
    """User space asks for a slot past the end of the file, then closes the file."""
    w.cannot_reach("vmm: set_memory_region() succeeded", "the file has no such page")
    w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 1, 1, 1, w.other_hva, False, False, w.gmem, 1),
        w.call("filp_close", w.gmem),
    )


# Folios of two pages, in designs that have them


@scenario(memory=MemoryKind.GMEM_UNMAPPED, gfns=2, file_pages=2, pages=4, huge=True)
def large_punch(w: World) -> None:
    """The guest faults in both pages of a guest_memfd of which the second is punched."""
    _guest_at_both(w).actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 1, 2))
    _may_be_refused(w, "punch: kvm_gmem_punch_hole() succeeded")


@scenario(memory=MemoryKind.GMEM_UNMAPPED, gfns=2, file_pages=2, pages=4, huge=True)
def large_punch_mapped(w: World) -> None:
    """The second page of a guest_memfd that the guest has mapped is punched and allocated again; the guest faults."""
    w.do(w.call("run_guest_access", w.vcpu, 0, False))
    _guest_at_both(w)
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 1, 2), w.call("kvm_gmem_allocate", w.gmem, 1, 2))
    _may_be_refused(w, "punch: kvm_gmem_punch_hole() succeeded")


@scenario(memory=MemoryKind.GMEM_UNMAPPED, gfns=2, file_pages=2, pages=4, huge=True)
def large_clock(w: World) -> None:
    """The clock is in the second page of a guest_memfd, where the guest faults, while the first is punched."""
    w.clock_refused().do(
        w.call("kvm_gmem_allocate", w.gmem, 0, 2),
        w.call("set_msr_system_time", w.vcpu, w.kernel.PAGE_SIZE, True),
    )
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("guest", w.call("run_guest_access", w.vcpu, w.kernel.PAGE_SIZE, False))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))
    _may_be_refused(w, "punch: kvm_gmem_punch_hole() succeeded")


@scenario(memory=MemoryKind.GMEM_MMAP, gfns=2, file_pages=2, pages=4, huge=True)
def large_mapped(w: World) -> None:
    """User space touches the first page of a guest_memfd of which the second is punched; the guest faults there."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, w.gmem.f_mapping, 1))
    w.actor("guest", w.call("run_guest_access", w.vcpu, w.kernel.PAGE_SIZE, False))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 1, 2))
    _may_be_refused(w, "punch: kvm_gmem_punch_hole() succeeded")


@scenario(memory=MemoryKind.GMEM, gfns=2, file_pages=2, pages=4, huge=True)
def large_convert(w: World) -> None:
    """The second page of private memory is made shared, then punched, while the guest faults in the first."""
    w.do(w.call("kvm_gmem_allocate", w.gmem, 0, 2))
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, True))
    w.actor("vmm", w.call("set_memory_attributes", w.kvm, 1, 2, False), w.call("kvm_gmem_punch_hole", w.gmem, 1, 2))
    _may_be_refused(w, "vmm: kvm_gmem_punch_hole() succeeded")


def _guest_at_both(w: World) -> World:
    """Add a guest that accesses both pages of its memory."""
    return w.actor("guest", *(w.call("run_guest_access", w.vcpu, gpa, False) for gpa in (0, w.kernel.PAGE_SIZE)))


def _may_be_refused(w: World, target: str) -> None:
    """State that a design may refuse to split a folio."""
    w.need_not_reach(target, "a folio that is in use is not split")


# A descriptor that is closed while another task uses it


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def punch_and_close(w: World) -> None:
    """The descriptor of a guest_memfd is closed while fallocate() punches its page: the punch has a reference."""
    w.do(w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))
    w.actor("close", w.call("filp_close", w.gmem))


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def allocate_and_close(w: World) -> None:
    """The descriptor of a guest_memfd is closed while fallocate() allocates its page."""
    w.actor("allocate", w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    w.actor("close", w.call("filp_close", w.gmem))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, slots=3)
def bind_and_close(w: World) -> None:
    """The descriptor of a guest_memfd is closed while a slot is created over it."""
    w.do(w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, False, False, w.gmem, 0))
    w.actor("close", w.call("filp_close", w.gmem))


# The last page of memory, and a fault past the end


@scenario(memory=MemoryKind.GMEM_UNMAPPED, file_pages=2, pages=1)
def allocate_last_page(w: World) -> None:
    """The last page of memory is allocated in the file: what comes next finds none, but the guest has it."""
    _map_other(w).cannot_reach("vmm: do_user_addr_fault() succeeded", "the file has the only page")
    w.actor(
        "vmm",
        w.call("kvm_gmem_allocate", w.gmem, 0, 1),
        w.call("do_user_addr_fault", w.mm, w.other_hva),
        w.call("run_guest_access", w.vcpu, 0, False),
    )


@scenario(memory=MemoryKind.GMEM_UNMAPPED, file_pages=2, pages=1)
def punch_last_page(w: World) -> None:
    """The last page of memory is punched out of the file beside a lookup of the guest: user space gets it."""
    _map_other(w).do(w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    _guest(w)
    w.actor("vmm", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1), w.call("do_user_addr_fault", w.mm, w.other_hva))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, pages=1)
def allocate_without_memory(w: World) -> None:
    """A page of the file is allocated while user space gives the only page back."""
    _map_other(w).do(w.call("do_user_addr_fault", w.mm, w.other_hva))
    w.actor("allocate", w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    w.actor("free", w.call("madvise_dontneed", w.mm, w.other_hva))


@scenario(memory=MemoryKind.GMEM_MMAP, pages=1)
def touch_without_memory(w: World) -> None:
    """User space touches a page of the file while it gives the only page back elsewhere."""
    _map_other(w).do(w.call("do_user_addr_fault", w.mm, w.other_hva))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("free", w.call("madvise_dontneed", w.mm, w.other_hva))


@scenario(memory=MemoryKind.GMEM_MMAP)
def touch_past_the_end(w: World) -> None:
    """User space maps the page behind the last one of a file, and touches it while the last one is punched."""
    w.cannot_reach("touch: do_user_addr_fault() succeeded", "the file has no such page: SIGBUS")
    w.do(w.call("do_user_addr_fault", w.mm, w.hva), w.call("vm_mmap_pgoff", w.mm, w.other_hva, w.gmem.f_mapping, 1))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.other_hva))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def allocate_past_the_end(w: World) -> None:
    """fallocate() is called for the last page and the one behind it, and fails, while the guest faults."""
    _guest(w)
    w.actor("allocate", Call(users.allocation_returns, (w.kernel, w.gmem, 0, 2, -EINVAL)))


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def allocate_and_signal(w: World) -> None:
    """A signal ends fallocate() before it allocates the page."""
    w.actor("allocate", Call(users.allocation_returns, (w.kernel, w.gmem, 0, 1, -EINTR)))
    w.actor("kill", Call(users.send_signal, (w.actors[0].task,)))


def _map_other(w: World) -> World:
    """Map anonymous memory beside the guest's."""
    return w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
