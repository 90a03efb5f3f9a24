# SPDX-License-Identifier: GPL-2.0-only
"""The dimension of the operation: what runs beside the user."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.scenarios.operations import OPERATIONS, Operation
from pfncache.scenarios.space.dimension import Dimension
from pfncache.scenarios.world import MemoryKind, World

ANON = frozenset({MemoryKind.ANON})
MEMFD = frozenset({MemoryKind.MEMFD})


def _touch(w: World, hva: int) -> Call:
    return w.call("do_user_addr_fault", w.mm, hva)


def _fork(w: World) -> tuple[Call, ...]:
    """Fork a child, and write to the page, which is copied if it was there."""
    return (w.call("kernel_clone", w.mm, w.kernel.new_mm("child")), _touch(w, w.hva))


def _write_protect(w: World) -> tuple[Call, ...]:
    """Write-protect the page by a userfaultfd, then allow writes: what has faulted meanwhile goes on."""
    w.do(_touch(w, w.hva), w.call("userfaultfd_register", w.mm, w.hva))
    return tuple(w.call("userfaultfd_writeprotect", w.mm, w.hva, on) for on in (True, False))


def _merge(w: World) -> tuple[Call, ...]:
    """Merge the page with one of equal contents, which is the one that stays."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    for hva in (w.hva, w.other_hva):
        w.do(_touch(w, hva), w.call("madvise_mergeable", w.mm, hva, True))
    return (w.call("try_to_merge_two_pages", w.mm, w.other_hva, w.hva),)


def _move_page(w: World) -> tuple[Call, ...]:
    """Move the page of the memfd to another page frame."""
    return (w.call("migrate_file_page", w.memfd, w.layout.pgoff),)


SPACE_OPERATIONS = OPERATIONS | {
    op.name: op
    for op in (
        Operation("fork", "the VMM forks, and writes to the page", ANON, _fork, once=True),
        Operation("write-protect", "a userfaultfd write-protects the page for a time", ANON | MEMFD, _write_protect),
        Operation("merge", "KSM merges the page into another of equal contents", ANON, _merge, once=True),
        Operation("migrate-file", "compaction moves the page of the memfd to another page frame", MEMFD, _move_page),
    )
}
"""Every operation of the space, by name: those of the sweep, and what takes a page away in a rarer way."""
OPERATION = Dimension("operation", "what runs beside the user", tuple(SPACE_OPERATIONS.values()))
