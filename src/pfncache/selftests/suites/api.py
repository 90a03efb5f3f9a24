# SPDX-License-Identifier: GPL-2.0-only
"""Arguments that KVM accepts and refuses: VM types, memslots, guest_memfd files, their mappings, and bindings."""

from __future__ import annotations

import os
import signal

from pfncache.linux.include.uapi import (
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_ZERO_RANGE,
    GUEST_MEMFD_FLAG_MMAP,
    KVM_MEM_GUEST_MEMFD,
    KVM_MEM_LOG_DIRTY_PAGES,
    KVM_MEM_READONLY,
    MADV_REMOVE,
    MAP_PRIVATE,
    MAP_SHARED,
    PAGE_SIZE,
    PROT_EXEC,
    PROT_RW,
    PUNCH_HOLE,
    SHARED_GMEM,
)
from pfncache.machines.machine import Machine
from pfncache.selftests.selftest import Suite, check, equal, expect, guest_memfd, guest_memfd_slots, outcome

SIZE = 4 * PAGE_SIZE
SLOTS, GMEM = Suite("memslots"), Suite("gmem")


# VM types and memslots


@SLOTS.test("vm-types", "uapi")
def vm_types(machine: Machine) -> None:
    """KVM_CREATE_VM creates the types that KVM_CAP_VM_TYPES reports, and no other."""
    for number in range(7):
        expected = "ok" if number in machine.capabilities.vm_types else "EINVAL"
        expect(f"KVM_CREATE_VM of type {number}", expected, lambda n=number: machine.create_vm(n))  # type: ignore[misc]


@SLOTS.test("changes", "uapi")
def changes(machine: Machine) -> None:
    """Memslots are created, logged, moved and deleted."""
    vm, hva = machine.create_vm(), machine.mmap(SIZE)
    for call in (vm.set_user_memory_region, vm.set_user_memory_region2):
        expect("create", "ok", lambda c=call: c(0, 0, SIZE, hva))  # type: ignore[misc]
        expect("log", "ok", lambda c=call: c(0, 0, SIZE, hva, KVM_MEM_LOG_DIRTY_PAGES))  # type: ignore[misc]
        expect("the log", "ok", lambda: vm.get_dirty_log(0, 4))
        expect("stop logging", "ok", lambda c=call: c(0, 0, SIZE, hva))  # type: ignore[misc]
        expect("the log of a slot without one", "ENOENT", lambda: vm.get_dirty_log(0, 4))
        expect("move", "ok", lambda c=call: c(0, SIZE, SIZE, hva))  # type: ignore[misc]
        expect("no change", "ok", lambda c=call: c(0, SIZE, SIZE, hva))  # type: ignore[misc]
        expect("delete", "ok", lambda c=call: c(0, 0, 0, 0))  # type: ignore[misc]
        expect("delete a slot that does not exist", "EINVAL", lambda c=call: c(0, 0, 0, 0))  # type: ignore[misc]


@SLOTS.test("refusals", "uapi")
def refusals(machine: Machine) -> None:
    """Overlap, unaligned addresses, and changes of the user address are refused."""
    vm, hva, other = machine.create_vm(), machine.mmap(SIZE), machine.mmap(SIZE)
    vm.set_user_memory_region(0, 0, SIZE, hva)
    expect("overlap", "EEXIST", lambda: vm.set_user_memory_region(1, 3 * PAGE_SIZE, SIZE, other))
    expect("another user address", "EINVAL", lambda: vm.set_user_memory_region(0, 0, SIZE, other))
    expect("another size", "EINVAL", lambda: vm.set_user_memory_region(0, 0, PAGE_SIZE, hva))
    expect("read-only", "EINVAL", lambda: vm.set_user_memory_region(0, 0, SIZE, hva, KVM_MEM_READONLY))
    expect("an unknown flag", "EINVAL", lambda: vm.set_user_memory_region(0, 0, SIZE, hva, 8))
    expect("an unaligned size", "EINVAL", lambda: vm.set_user_memory_region(1, SIZE, SIZE + 1, other))
    expect("an unaligned gpa", "EINVAL", lambda: vm.set_user_memory_region(1, SIZE + 1, SIZE, other))
    expect("an unaligned user address", "EINVAL", lambda: vm.set_user_memory_region(1, SIZE, SIZE, other + 1))
    vm.set_user_memory_region(1, SIZE, SIZE, other)
    expect("a move onto another slot", "EEXIST", lambda: vm.set_user_memory_region(1, PAGE_SIZE, SIZE, other))


@SLOTS.test("unmapped-hva", "uapi")
def unmapped_hva(machine: Machine) -> None:
    """A user address that was never mapped is accepted, and so is one that two slots share."""
    vm, hole = machine.create_vm(), machine.hole(SIZE)
    expect("create", "ok", lambda: vm.set_user_memory_region(0, 0, SIZE, hole))
    expect("create at the same user address", "ok", lambda: vm.set_user_memory_region(1, SIZE, SIZE, hole))
    expect("delete", "ok", lambda: vm.delete(0))
    expect("create at user address 0", "ok", lambda: vm.set_user_memory_region(0, 0, SIZE, 0))


# guest_memfd


@GMEM.test("create", "uapi", needs=(guest_memfd(0),))
def create(machine: Machine) -> None:
    """KVM_CREATE_GUEST_MEMFD accepts the flags that KVM_CAP_GUEST_MEMFD_FLAGS reports, and whole pages."""
    vm, known = machine.create_vm(), machine.capabilities.guest_memfd_flags
    for flags in range(4):
        expected = "EINVAL" if flags & ~known else "ok"
        expect(f"flags {flags}", expected, lambda f=flags: vm.create_guest_memfd(SIZE, f))  # type: ignore[misc]
    for bit in range(64):
        if not known >> bit & 1:
            expect(f"flag {1 << bit:#x}", "EINVAL", lambda b=bit: vm.create_guest_memfd(SIZE, 1 << b))  # type: ignore[misc]
    expect("size 0", "EINVAL", lambda: vm.create_guest_memfd(0))
    expect("an unaligned size", "EINVAL", lambda: vm.create_guest_memfd(SIZE + 1))


@GMEM.test("mmap", "uapi", needs=(guest_memfd(SHARED_GMEM),))
def mmap(machine: Machine) -> None:
    """Only MAP_SHARED, only with the flag for it, and never executable."""
    vm = machine.create_vm()
    for flags in range(4):
        file = vm.create_guest_memfd(SIZE, flags)
        mappable = bool(flags & GUEST_MEMFD_FLAG_MMAP)
        for how, prot, expected in (
            (MAP_SHARED, PROT_RW, "ok" if mappable else "ENODEV"),
            (MAP_PRIVATE, PROT_RW, "EINVAL" if mappable else "ENODEV"),
            (MAP_SHARED, PROT_RW | PROT_EXEC, "EPERM"),
        ):
            expect(
                f"mmap of flags {flags}, MAP {how}, PROT {prot}",
                expected,
                lambda f=file, h=how, p=prot: machine.mmap(SIZE, f, flags=h, prot=p),  # type: ignore[misc]
            )


@GMEM.test(
    "touch", "private-access", needs=(guest_memfd(SHARED_GMEM),)
)  # fmt: skip
def touch(machine: Machine) -> None:
    """An access to private memory, or behind the end, is SIGBUS."""
    vm = machine.create_vm()
    shared = vm.create_guest_memfd(SIZE, SHARED_GMEM)
    hva = machine.mmap(SIZE + PAGE_SIZE, shared)
    equal("write to shared memory", machine.touch(hva), None)
    machine.write(hva, b"written")
    equal("what is read back", machine.read(hva, 7), b"written")
    equal("read behind it", machine.read(hva + 7, 8), bytes(8))
    equal("write behind the end", machine.touch(hva + SIZE), signal.SIGBUS)
    equal("read behind the end", machine.touch(hva + SIZE, write=False), signal.SIGBUS)
    private = machine.mmap(SIZE, vm.create_guest_memfd(SIZE, GUEST_MEMFD_FLAG_MMAP))
    equal("write to private memory", machine.touch(private), signal.SIGBUS)
    equal("read of private memory", machine.touch(private, write=False), signal.SIGBUS)


@GMEM.test("fallocate", "uapi", needs=(guest_memfd(0),))
def fallocate(machine: Machine) -> None:
    """Holes and allocation keep the size; other modes are refused."""
    vm, known = machine.create_vm(), machine.capabilities.guest_memfd_flags
    for flags in range(4):
        if flags & ~known:
            continue
        file = vm.create_guest_memfd(SIZE, flags)
        for mode, offset, length, expected in (
            (FALLOC_FL_KEEP_SIZE, 0, SIZE, "ok"),
            (PUNCH_HOLE, 0, SIZE, "ok"),
            (PUNCH_HOLE, PAGE_SIZE, PAGE_SIZE, "ok"),
            (0, 0, SIZE, "EOPNOTSUPP"),
            (FALLOC_FL_PUNCH_HOLE, 0, SIZE, "EOPNOTSUPP"),
            (FALLOC_FL_ZERO_RANGE, 0, SIZE, "EOPNOTSUPP"),
            (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, SIZE, "EOPNOTSUPP"),
            (FALLOC_FL_KEEP_SIZE, 1, PAGE_SIZE, "EINVAL"),
            (FALLOC_FL_KEEP_SIZE, 0, PAGE_SIZE - 1, "EINVAL"),
            (PUNCH_HOLE, 1, PAGE_SIZE, "EINVAL"),
            (PUNCH_HOLE, 0, 0, "EINVAL"),
            (FALLOC_FL_KEEP_SIZE, SIZE, PAGE_SIZE, "EINVAL"),
            (FALLOC_FL_KEEP_SIZE, 0, SIZE + PAGE_SIZE, "EINVAL"),
            (PUNCH_HOLE, SIZE, PAGE_SIZE, "ok"),
        ):
            expect(
                f"flags {flags}, mode {mode:#x}, offset {offset}, length {length}",
                expected,
                lambda f=file, m=mode, o=offset, n=length: f.fallocate(m, o, n),  # type: ignore[misc]
            )


@GMEM.test("file-operations", "uapi", needs=(guest_memfd(0),))
def file_operations(machine: Machine) -> None:
    """It cannot be read, written or resized, and counts no blocks."""
    file = machine.create_vm().create_guest_memfd(SIZE)
    expect("pread", "ESPIPE", lambda: file.pread(1, 0))
    expect("pwrite", "ESPIPE", lambda: file.pwrite(b"x", 0))
    expect("lseek", "ESPIPE", lambda: file.lseek(0, os.SEEK_END))
    expect("ftruncate", "EINVAL", lambda: file.ftruncate(2 * SIZE))
    expect("ftruncate to its size", "EINVAL", lambda: file.ftruncate(SIZE))
    file.fallocate(FALLOC_FL_KEEP_SIZE, 0, SIZE)
    equal("st_blocks", file.st_blocks(), 0)


@GMEM.test("presence", "uapi", needs=(guest_memfd(SHARED_GMEM),))
def presence(machine: Machine) -> None:
    """Mincore() shows what is in memory; MADV_REMOVE punches it."""
    file = machine.create_vm().create_guest_memfd(SIZE, SHARED_GMEM)
    hva, alias = machine.mmap(SIZE, file), machine.mmap(SIZE, file)
    machine.write(alias + PAGE_SIZE, b"one")
    equal("mincore", machine.mincore(hva, SIZE), [False, True, False, False])
    equal("PTEs of the other mapping", machine.present(alias, SIZE), [False, True, False, False])
    equal("PTEs", machine.present(hva, SIZE), [False] * 4)
    machine.madvise(hva + PAGE_SIZE, PAGE_SIZE, MADV_REMOVE)
    equal("mincore after MADV_REMOVE", machine.mincore(hva, SIZE), [False] * 4)
    equal("PTEs of the other mapping", machine.present(alias, SIZE), [False] * 4)
    equal("contents", machine.read(alias + PAGE_SIZE, 3), bytes(3))


@GMEM.test("bind", "uapi", needs=(guest_memfd(SHARED_GMEM),))
def bind(machine: Machine) -> str:
    """Any user address may be bound; a slot with guest_memfd cannot be changed."""
    vm = machine.create_vm()
    file, hva = vm.create_guest_memfd(SIZE, SHARED_GMEM), machine.mmap(SIZE)

    def region(
        flags: int = 0, *, slot: int = 0, gpa: int = 0, size: int = SIZE, at: int = hva, offset: int = 0
    ) -> None:
        vm.set_user_memory_region2(slot, gpa, size, at, KVM_MEM_GUEST_MEMFD | flags, file, offset)

    for at in (hva, machine.mmap(SIZE, file), machine.hole(SIZE), 0):
        expect("bind", "ok", lambda a=at: region(at=a))  # type: ignore[misc]
        vm.delete(0)
    expect("with LOG_DIRTY", "EINVAL", lambda: region(KVM_MEM_LOG_DIRTY_PAGES))
    expect("with READONLY", "EINVAL", lambda: region(KVM_MEM_READONLY))
    expect("behind the end", "EINVAL", lambda: region(offset=PAGE_SIZE))
    expect("an unaligned offset", "EINVAL", lambda: region(size=PAGE_SIZE, offset=1))
    region()
    expect("once more", "EINVAL", region)
    expect("a move", "EINVAL", lambda: region(gpa=SIZE))
    expect("a move without the flag", "EINVAL", lambda: vm.set_user_memory_region(0, SIZE, SIZE, hva))
    overlap = outcome(lambda: region(slot=1, gpa=SIZE))
    check(overlap in ("EINVAL", "EEXIST"), "two slots have the same part of a guest_memfd")
    vm.delete(0)
    expect("the range is free again", "ok", lambda: region(slot=1, gpa=SIZE))
    return overlap


@GMEM.test("bind-wrong-file", "uapi", needs=(guest_memfd_slots(0),))
def bind_wrong_file(machine: Machine) -> None:
    """Another VM's guest_memfd, a memfd or a closed descriptor is refused."""
    vm, hva = machine.create_vm(), machine.mmap(SIZE)
    foreign = machine.create_vm().create_guest_memfd(SIZE)
    expect("another VM's", "EINVAL", lambda: vm.bind(0, 0, SIZE, hva, foreign))
    expect("a memfd", "EINVAL", lambda: vm.bind(0, 0, SIZE, hva, machine.memfd(SIZE)))
    closed = vm.create_guest_memfd(SIZE)
    closed.close()
    expect("a closed one", "EBADF", lambda: vm.bind(0, 0, SIZE, hva, closed))
    expect(
        "KVM_SET_USER_MEMORY_REGION", "EINVAL", lambda: vm.set_user_memory_region(0, 0, SIZE, hva, KVM_MEM_GUEST_MEMFD)
    )


@GMEM.test("contents", "uapi", needs=(guest_memfd(SHARED_GMEM),))
def contents(machine: Machine) -> None:
    """Guest and user space share pages; a hole reads as zeroes for both."""
    vm = machine.create_vm()
    vcpu, file = vm.create_vcpu(), vm.create_guest_memfd(SIZE, SHARED_GMEM)
    hva = machine.mmap(SIZE, file)
    vm.bind(0, 0, SIZE, hva, file)
    machine.write(hva + PAGE_SIZE, b"by host.")
    equal("what the guest reads", vcpu.load(PAGE_SIZE), b"by host.")
    vcpu.store(2 * PAGE_SIZE, b"by guest")
    equal("what user space reads", machine.read(hva + 2 * PAGE_SIZE, 8), b"by guest")
    file.fallocate(PUNCH_HOLE, 0, SIZE)
    equal("what the guest reads of a hole", vcpu.load(PAGE_SIZE), bytes(8))
    equal("what user space reads of a hole", machine.read(hva + 2 * PAGE_SIZE, 8), bytes(8))
