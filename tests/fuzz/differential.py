# SPDX-License-Identifier: GPL-2.0-only
"""Differential test: the model and this host's kernel run the same operations, and have to agree after each.

A difference is shrunk, and printed as the shortest program that shows it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pfncache.designs.design import Design
from pfncache.linux.include.uapi import (
    FALLOC_FL_KEEP_SIZE,
    KVM_MEM_LOG_DIRTY_PAGES,
    KVM_MEM_READONLY,
    MADV_DONTNEED,
    MADV_REMOVE,
    PROT_NONE,
    PROT_READ,
    PROT_RW,
    PUNCH_HOLE,
)
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.model.machine import ModelMachine

from .side import AREAS, FILES, PAGES, Side

SLOTS, GPAS = 3, 10

slots = st.integers(0, SLOTS - 1)
gpas = st.integers(0, GPAS - 1)
areas = st.sampled_from(AREAS)
files = st.sampled_from(FILES)
pages = st.integers(0, PAGES - 1)
counts = st.integers(1, PAGES)
values = st.integers(1, 255)


class Differential(RuleBasedStateMachine):
    """Random operations on both sides."""

    design: ClassVar[Design]
    operations: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.machines = (ModelMachine(self.design, pages=64, user_pages=64), KvmMachine())
        self.model, self.kernel = (Side(machine) for machine in self.machines)
        self.program: list[str] = []

    def teardown(self) -> None:
        """Close both; the model then looks for leaks."""
        for machine in reversed(self.machines):
            machine.close()

    def both(self, name: str, *args: Any) -> None:
        """Run an operation on both sides, and compare the results."""
        Differential.operations += 1
        self.program.append(f"side.do(lambda s: s.{name}({', '.join(map(repr, args))}))")
        said = [side.do(lambda s: getattr(s, name)(*args)) for side in (self.model, self.kernel)]
        self.same(f"what {name} returns", *said)

    def same(self, what: str, model: object, kernel: object) -> None:
        """Fail with the operations so far if the two differ."""
        if model != kernel:
            lines = "\n".join(["side = Side(machine)", *self.program])
            raise AssertionError(f"{what}:\n  model:  {model}\n  kernel: {kernel}\nafter:\n{lines}")

    @initialize(gpa=gpas, area=areas)
    def begin(self, gpa: int, area: str) -> None:
        """Create a slot and a clock, so that short programs are not trivial."""
        if area == "gmem":
            self.both("bind", 0, 0, PAGES, area, 0, "gmem", 0)
        else:
            self.both("slot", 0, 0, PAGES, area, 0, 0)
        self.both("clock", gpa % PAGES)

    @rule(
        slot=slots,
        gpa=gpas,
        count=counts,
        area=areas,
        page=pages,
        flags=st.sampled_from([0, 0, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY]),
    )
    def set_slot(self, slot: int, gpa: int, count: int, area: str, page: int, flags: int) -> None:
        """Create, move or reflag."""
        self.both("slot", slot, gpa, count, area, page, flags)

    @rule(slot=slots, gpa=gpas, count=counts, area=areas, page=pages, file=files, offset=pages)
    def bind_slot(self, slot: int, gpa: int, count: int, area: str, page: int, file: str, offset: int) -> None:
        """Create with a guest_memfd."""
        self.both("bind", slot, gpa, count, area, page, file, offset)

    @rule(slot=slots)
    def delete_slot(self, slot: int) -> None:
        """Delete."""
        self.both("delete", slot)

    @rule(file=files, page=pages, count=counts)
    def punch(self, file: str, page: int, count: int) -> None:
        """PUNCH_HOLE."""
        self.both("fallocate", file, PUNCH_HOLE, page, count)

    @rule(file=st.sampled_from(["gmem", "other"]), page=pages, count=counts)
    def allocate(self, file: str, page: int, count: int) -> None:
        """FALLOC_FL_KEEP_SIZE, beyond the end, too."""
        self.both("fallocate", file, FALLOC_FL_KEEP_SIZE, page, count)

    @rule(area=areas, page=pages)
    def unmap(self, area: str, page: int) -> None:
        """munmap()."""
        self.both("unmap", area, page)

    @rule(area=areas, page=pages, file=st.one_of(st.none(), files), offset=pages)
    def map(self, area: str, page: int, file: str | None, offset: int) -> None:
        """mmap()."""
        self.both("map", area, page, file, offset)

    @rule(area=areas, page=pages, prot=st.sampled_from([PROT_NONE, PROT_READ, PROT_RW, PROT_RW]))
    def protect(self, area: str, page: int, prot: int) -> None:
        """mprotect()."""
        self.both("protect", area, page, prot)

    @rule(area=areas, page=pages, advice=st.sampled_from([MADV_DONTNEED, MADV_REMOVE]))
    def advise(self, area: str, page: int, advice: int) -> None:
        """madvise()."""
        self.both("advise", area, page, advice)

    @rule(gpa=st.one_of(st.none(), gpas))
    def set_clock(self, gpa: int | None) -> None:
        """MSR_KVM_SYSTEM_TIME_NEW.

        pvm_set_msr(), of a KVM that is not in mainline, also reads the guest's clock there. That shows only where the
        page can be read but not written, because otherwise the lookup has made it present.
        """
        assume(gpa is None or not self._read_only(gpa))
        self.both("clock", gpa)

    @rule(gpa=st.one_of(st.none(), gpas))
    def set_steal_time(self, gpa: int | None) -> None:
        """MSR_KVM_STEAL_TIME."""
        self.both("steal", gpa)

    @rule()
    def run(self) -> None:
        """KVM_RUN."""
        self.both("run")

    @rule()
    def stopped(self) -> None:
        """KVM_KVMCLOCK_CTRL."""
        self.both("stopped")

    @rule(gpa=gpas, value=values)
    def guest_store(self, gpa: int, value: int) -> None:
        """The guest writes. A store to a read-only slot is emulated, which the model does not do."""
        slot = self._slot(gpa)
        assume(slot is None or not slot.readonly)
        self.both("store", gpa, value)

    @rule(gpa=gpas)
    def guest_load(self, gpa: int) -> None:
        """The guest reads. The model's faults are for writing: so the page has to be there, or guest_memfd's."""
        slot = self._slot(gpa)
        if slot is not None and not slot.gmem_only:
            page = (slot.userspace_addr >> 12) + gpa - slot.base_gfn
            mm = self.model.machine.mm  # type: ignore[attr-defined]
            assume(not slot.readonly and not slot.log_dirty and mm.vmas[page].writable and mm.ptes[page].pfn >= 0)
        self.both("load", gpa)

    def _read_only(self, gpa: int) -> bool:
        """Whether KVM can read a page through its user address, but not write it."""
        slot = self._slot(gpa)
        if slot is None:
            return False
        vma = self.model.machine.mm.vmas[(slot.userspace_addr >> 12) + gpa - slot.base_gfn]  # type: ignore[attr-defined]
        return bool(vma.present and vma.readable and (slot.readonly or not vma.writable))

    def _slot(self, gpa: int) -> Any:
        return self.model.vm.slot_at(gpa)  # type: ignore[attr-defined]

    @rule(area=areas, page=pages, value=values)
    def host_write(self, area: str, page: int, value: int) -> None:
        """User space writes."""
        self.both("write", area, page, value)

    @rule(slot=slots)
    def dirty_log(self, slot: int) -> None:
        """KVM_GET_DIRTY_LOG."""
        self.both("log", slot)

    @rule(file=st.sampled_from(["gmem", "other"]))
    def close(self, file: str) -> None:
        """close(), of a file that may be bound and mapped."""
        self.both("close", file)

    @invariant()
    def hold_the_same(self) -> None:
        """PTEs, page cache and contents."""
        self.same("what is present", self.model.presence(), self.kernel.presence())
        self.same("what pages hold", self.model.contents(), self.kernel.contents())
