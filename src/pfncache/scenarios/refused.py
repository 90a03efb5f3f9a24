# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of requests that KVM refuses, or that fail half-way: lengths, ranges and addresses that are not valid."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.linux.arch.x86.kvm.x86.emulate import X86EMUL_IO_NEEDED
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EEXIST, EFAULT, EINVAL
from pfncache.scenarios import users
from pfncache.scenarios.region import Region, SlotLayout
from pfncache.scenarios.results import returns
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


def _activate(w: World, gpa: int, length: int = 1) -> Call:
    return Call(users.activate_cache, (w.kernel, w.kvm, w.vcpu.pv_time, gpa, length))


def _activate_hva(w: World, uhva: int, length: int) -> Call:
    return Call(users.activate_cache_by_hva, (w.kernel, w.kvm, w.vcpu.pv_time, uhva, length))


def _refresh(w: World, length: int = 1) -> Call:
    return Call(users.refresh_cache, (w.kernel, w.kvm, w.vcpu.pv_time, length))


@scenario
def length(w: World) -> None:
    """A cache is activated and refreshed for more than is left of its page while the page is zapped.

    kvm_gpc_is_valid_len() refuses what crosses a page in kvm_gpc_activate() and kvm_gpc_refresh(); what the page has
    room for is allowed.
    """
    size = w.kernel.PAGE_SIZE
    w.actor(
        "vmm",
        returns(_activate(w, w.gpa + 1, size), -EINVAL),
        returns(_activate(w, w.gpa + 1), 0),
        returns(_refresh(w, size), -EINVAL),
        returns(_activate(w, w.gpa, size), 0),
        returns(_refresh(w, size), 0),
    )
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario
def past_the_end(w: World) -> None:
    """A cache is activated for the last page of user space, and behind it, while the page is zapped.

    kvm_gpc_activate_hva() compares the end of the structure with the end of user space: access_ok().
    """
    end = w.kernel.PAGE_OFFSET
    last = end - w.kernel.PAGE_SIZE
    w.do(w.call("vm_mmap_pgoff", w.mm, last, None, 0))
    w.actor(
        "vmm",
        returns(_activate_hva(w, end, 1), -EINVAL),
        returns(_activate_hva(w, last, w.kernel.PAGE_SIZE), 0),
    )
    w.actor("madvise", w.call("madvise_dontneed", w.mm, last))


@scenario
def inactive(w: World) -> None:
    """A cache is deactivated and refreshed, then activated again, while another task refreshes it.

    __kvm_gpc_refresh() refuses an inactive cache, which no invalidation finds: ecbcf030b456 in v6.1.
    """
    w.do(_activate(w, w.gpa))
    w.actor(
        "vmm",
        Call(users.deactivate_cache, (w.kernel, w.vcpu.pv_time)),
        returns(_refresh(w), -EINVAL),
        returns(_activate(w, w.gpa), 0),
    )
    w.actor("refresher", returns(_refresh(w), 0, -EINVAL))


@scenario(gfns=2)
def other_page(w: World) -> None:
    """A cache whose page is unmapped is activated for another one, which is zapped: that one alone has to be there."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0), _activate(w, w.gpa))
    w.do(w.call("vm_munmap", w.mm, w.hva))
    w.actor("vmm", returns(_refresh(w), -EFAULT), returns(_activate(w, w.gpa + w.kernel.PAGE_SIZE), 0))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.other_hva))


@scenario(readonly=True)
def store_read_only(w: World) -> None:
    """The guest and the emulator write to a read-only slot, which both exit, while the page is zapped.

    kvm_mmu_page_fault() has the store emulated, which finds no user address to write to, and exits as for MMIO.
    """
    w.actor("guest", returns(w.call("run_guest_access", w.vcpu, w.gpa, False), -EFAULT, -EAGAIN))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(memory=MemoryKind.MEMFD)
def store_poisoned(w: World) -> None:
    """The guest writes to a page that fails, and again: it re-enters for a SIGBUS, and does not exit with -EFAULT.

    kvm_handle_error_pfn() returns RET_PF_RETRY for KVM_PFN_ERR_HWPOISON, after kvm_send_hwpoison_signal().
    """
    access = w.call("run_guest_access", w.vcpu, w.gpa, False)
    w.do(w.call("do_user_addr_fault", w.mm, w.hva), w.call("memory_failure", w.mm, w.hva, w.memfd, 0))
    w.actor("guest", returns(access, -EAGAIN))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(gfns=2, log_dirty=True)
def store_unmapped(w: World) -> None:
    """The emulator fetches a store and makes it where nothing is mapped, while the page of the instruction is zapped.

    kvm_write_guest_page() fails, and marks nothing dirty; emulator_read_write_onepage() exits as for MMIO.
    """
    operand = w.gpa + w.kernel.PAGE_SIZE
    w.actor("vcpu", returns(w.call("x86_emulate_instruction", w.vcpu, w.gpa, operand), X86EMUL_IO_NEEDED))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario
def private_attribute(w: World) -> None:
    """User space makes memory private of a VM that has none, and converts a range of no pages, while the guest faults.

    kvm_vm_ioctl_set_mem_attributes() returns -EINVAL for both.
    """
    w.actor("guest", returns(w.call("run_guest_access", w.vcpu, w.gpa, False), 0))
    w.actor(
        "vmm",
        returns(w.call("set_memory_attributes", w.kvm, 0, 1, True), -EINVAL),
        returns(w.call("set_memory_attributes", w.kvm, 0, 0, False), -EINVAL),
    )


@scenario(slots=3, slot_ids=2, gfns=2, layout=SlotLayout(regions=(Region(base_gfn=1),)))
def overlap(w: World) -> None:
    """User space asks for a slot over another one, which begins behind gfn 0, and beside it; the guest faults there.

    kvm_check_memslot_overlap() refuses with -EEXIST what has one gfn of another slot.
    """
    w.actor(
        "vmm",
        returns(w.call("set_memory_region", w.kvm, 1, 1, 1, w.other_hva), -EEXIST),
        returns(w.call("set_memory_region", w.kvm, 1, 0, 2, w.other_hva), -EEXIST),
        returns(w.call("set_memory_region", w.kvm, 1, 0, 1, w.other_hva), 0),
    )
    w.actor("guest", w.call("run_guest_access", w.vcpu, w.gpa, False))
