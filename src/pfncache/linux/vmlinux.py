# SPDX-License-Identifier: GPL-2.0-only
"""The kernel image: every file of the model, linked. Mainline 7.3.4; patches go on top."""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.lang.records import LIVE, Array
from pfncache.linux.arch.x86.include.asm.pgtable_types import PG_LEVEL_4K
from pfncache.linux.arch.x86.kvm.hyperv import Hyperv
from pfncache.linux.arch.x86.kvm.mmu.paging_tmpl import PagingTmpl
from pfncache.linux.arch.x86.kvm.msrs import Msrs
from pfncache.linux.arch.x86.kvm.svm.nested import SvmNested
from pfncache.linux.arch.x86.kvm.svm.sev import Sev
from pfncache.linux.arch.x86.kvm.svm.svm import Svm
from pfncache.linux.arch.x86.kvm.vmx.vmx import Vmx
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.arch.x86.kvm.xen import Xen
from pfncache.linux.arch.x86.kvm.xen.ioctl import XenIoctl
from pfncache.linux.arch.x86.lib.copy_user_64 import Usercopy
from pfncache.linux.arch.x86.mm.fault import Fault
from pfncache.linux.arch.x86.mm.pat.set_memory import SetMemory
from pfncache.linux.arch.x86.mm.tlb import Tlb
from pfncache.linux.fs.file_table import FileTable
from pfncache.linux.fs.inode import Inode
from pfncache.linux.fs.ioctl import Ioctl
from pfncache.linux.fs.open import Open
from pfncache.linux.fs.read_write import ReadWrite
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Page, PageCacheEntry, Pte, Vma, VmapArea
from pfncache.linux.kernel.fork import Fork
from pfncache.linux.kernel.iomem import Iomem
from pfncache.linux.kernel.locking.mutex import Mutex
from pfncache.linux.kernel.rcu.tree import RcuState
from pfncache.linux.kernel.workqueue import Workqueue
from pfncache.linux.mm.gup import Gup
from pfncache.linux.mm.highmem import Highmem
from pfncache.linux.mm.huge_memory import HugeMemory
from pfncache.linux.mm.khugepaged import Khugepaged
from pfncache.linux.mm.ksm import Ksm
from pfncache.linux.mm.madvise import Madvise
from pfncache.linux.mm.memory import Memory
from pfncache.linux.mm.memory_failure import MemoryFailure
from pfncache.linux.mm.migrate import Migrate
from pfncache.linux.mm.mmap import Mmap
from pfncache.linux.mm.mmu_notifier import MmuNotifier
from pfncache.linux.mm.mprotect import Mprotect
from pfncache.linux.mm.mremap import Mremap
from pfncache.linux.mm.page_alloc import PageAlloc
from pfncache.linux.mm.pgtable_generic import PgtableGeneric
from pfncache.linux.mm.truncate import Truncate
from pfncache.linux.mm.userfaultfd import UserfaultfdWp
from pfncache.linux.virt.kvm.async_pf import AsyncPf
from pfncache.linux.virt.kvm.guest_memfd.binding import GuestMemfdBinding
from pfncache.linux.virt.kvm.guest_memfd.file import GuestMemfdFile
from pfncache.linux.virt.kvm.guest_memfd.invalidation import GuestMemfdInvalidation
from pfncache.linux.virt.kvm.guest_memfd.page import GuestMemfdPage
from pfncache.linux.virt.kvm.kvm_main.attributes import MemAttributes
from pfncache.linux.virt.kvm.kvm_main.gfn_to_pfn import GfnToPfn
from pfncache.linux.virt.kvm.kvm_main.guest_access import GuestAccess
from pfncache.linux.virt.kvm.kvm_main.host_map import HostMap
from pfncache.linux.virt.kvm.kvm_main.ioctl import VmIoctl
from pfncache.linux.virt.kvm.kvm_main.memory_region import MemoryRegion
from pfncache.linux.virt.kvm.kvm_main.mmu_notifier import KvmMmuNotifier
from pfncache.linux.virt.kvm.kvm_main.vcpu import VcpuMain
from pfncache.linux.virt.kvm.kvm_main.vm import VmLifecycle
from pfncache.linux.virt.kvm.pfncache import Pfncache

REAL_PAGE_SHIFT = 12


class Vmlinux(
    VmIoctl, Msrs, Hyperv, XenIoctl,
    Pfncache, KvmMmuNotifier, GfnToPfn, GuestAccess, MemoryRegion, MemAttributes, X86, Xen,
    Madvise, Mremap, Open, ReadWrite, Memory, Mmap,
    GuestMemfdInvalidation, GuestMemfdPage, GuestMemfdBinding, GuestMemfdFile, FileTable, Inode, Ioctl,
    VmLifecycle, VcpuMain, AsyncPf, HostMap, PagingTmpl, Svm, SvmNested, Sev, Vmx,
    PageAlloc, Truncate, MemoryFailure, Gup, Mprotect, Migrate, Khugepaged, HugeMemory, MmuNotifier, Iomem, Highmem,
    Workqueue, Fork, Ksm, PgtableGeneric, UserfaultfdWp, SetMemory, Tlb, Usercopy, Fault,
):  # fmt: skip
    """Linux: the functions by which KVM accesses guest memory.

    `page_shift` is 12 for direct execution. The checker runs on pages of two bytes, which is enough for an offset in
    the page to go wrong, and keeps addresses small. `pages` is the size of memory, `user_pages` that of user address
    space, `vmap_areas` that of vmalloc space.
    """

    def __init__(
        self, page_shift: int = REAL_PAGE_SHIFT, pages: int = 64, user_pages: int = 64, vmap_areas: int = 16
    ) -> None:
        self.PAGE_SHIFT = page_shift
        self.PAGE_SIZE = 1 << page_shift
        self.PAGE_OFFSET = user_pages << page_shift
        self.KVM_HVA_ERR_BAD = self.PAGE_OFFSET
        self.KVM_HVA_ERR_RO_BAD = self.PAGE_OFFSET + self.PAGE_SIZE
        self.VMALLOC_START = self.PAGE_OFFSET + (pages << page_shift)
        real = page_shift == REAL_PAGE_SHIFT
        self.KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS = 1 << 63 if real else 32
        self.PVCLOCK_SIZE = 32 if real else 1
        self.APF_LENGTH = 8 if real else 1
        self.APF_TOKEN = 4 if real else 0
        self.APF_TOKEN_SIZE = 4 if real else 1
        self.GPTE_SIZE = 8 if real else 1
        self.STEAL_SIZE = 64 if real else 1
        self.STEAL_VERSION = 8 if real else 0
        self.STEAL_PREEMPTED = 16 if real else 0
        self.VCPU_INFO_SIZE = 64 if real else 1
        self.VCPU_INFO_ALIGN = 4 if real else 1
        self.RUNSTATE_SIZE = 48 if real else 2
        self.RUNSTATE_COMPAT_SIZE = 44 if real else 1
        self.XEN_VCPU_INFO_TIME = 32 if real else 0
        self.max_huge_page_level = PG_LEVEL_4K
        self.user_pages = user_pages
        self.host_execution = real
        self.host_clock = 0
        self.mem_map = Array(
            self.new(Page, f"page{n}", pfn=n, free=True, host_bytes=bytearray(self.PAGE_SIZE)) for n in range(pages)
        )
        self.vmap_areas = Array(self.new(VmapArea, f"vmap{n}") for n in range(vmap_areas))
        self.mms: tuple[MmStruct, ...] = ()
        self.mappings: tuple[AddressSpace, ...] = ()
        self.gmem_files = ()
        self.rcu = RcuState("rcu")
        self.mf_mutex = Mutex("mf_mutex")
        self.kvm_lock = Mutex("kvm_lock")
        self.host_device_bytes = {}

    @part_of("mm_alloc")
    def new_mm(self, name: str) -> MmStruct:
        """Create the address space of a process, without mappings.

        Linux: kernel/fork.c mm_alloc(), v7.3.4.
        Simplified: part of the setup, not a step.
        """
        mm = self.new(
            MmStruct,
            name,
            vmas=tuple(self.new(Vma, f"{name}.vma[{n}]") for n in range(self.user_pages)),
            ptes=tuple(self.new(Pte, f"{name}.pte[{n}]") for n in range(self.user_pages)),
            notifiers=(),
        )
        self.mms = (*self.mms, mm)
        return mm

    @part_of("memfd_create")
    def new_memfd(self, name: str, pages: int) -> AddressSpace:
        """Create the page cache of a memfd.

        Linux: mm/memfd.c memfd_create(), v7.3.4.
        Simplified: part of the setup, not a step.
        """
        mapping = self.new(
            AddressSpace, name, i_count=1, i_pages=tuple(self.new(PageCacheEntry, f"{name}[{n}]") for n in range(pages))
        )
        mapping.__dict__["slab_state"] = LIVE
        self.mappings = (*self.mappings, mapping)
        return mapping
