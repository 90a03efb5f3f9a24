# SPDX-License-Identifier: GPL-2.0-only
"""Dimensions of the memslots: how many there are, where, with which flags, and over which pages of which file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pfncache.scenarios.region import Region, SlotLayout
from pfncache.scenarios.space.dimension import Dimension, Value, values_of
from pfncache.scenarios.world import MemoryKind


@dataclass(frozen=True)
class Neighbour(Value):
    """Where the second memslot lies, in pages after the end of the first."""

    gfn: int = 0
    user_page: int = 0
    exists: bool = True


MEMSLOTS = Dimension(
    "memslots",
    "the memslots beside that of the structure, in guest memory and in user space",
    (
        Neighbour("one", "there is no other", exists=False),
        Neighbour("adjacent", "the second follows at once, in both"),
        Neighbour("same-address", "both begin at one userspace_addr", user_page=-3),
        Neighbour("overlapping", "the second begins at the last user page of the first", user_page=-1),
        Neighbour("hole", "there is a hole of a page between the two, in both", gfn=1, user_page=1),
    ),
)
POSITION = Dimension(
    "position",
    "the memslot in which the structure is",
    values_of((("first", "that of the lower gfn"), ("second", "that of the higher gfn"))),
)


@dataclass(frozen=True)
class Size(Value):
    """How many pages a memslot has."""

    npages: int = 1


PAGES = Dimension(
    "pages",
    "pages of the memslot in which the structure is; another one has a page",
    (Size("1", "one page", 1), Size("2", "two pages", 2), Size("3", "three pages", 3)),
)
PLACE = Dimension(
    "place",
    "the page of the memslot in which the structure is",
    values_of(
        (
            ("first-page", "the first"),
            ("last-page", "the last"),
            ("two-pages", "it begins in the last but one and ends in the last"),
        )
    ),
)


@dataclass(frozen=True)
class Flags(Value):
    """Flags of the structure's memslot."""

    log_dirty: bool = False
    readonly: bool = False


FLAGS = Dimension(
    "flags",
    "flags of the memslot in which the structure is",
    (
        Flags("none", "none"),
        Flags("logged", "KVM_MEM_LOG_DIRTY_PAGES", log_dirty=True),
        Flags("read-only", "KVM_MEM_READONLY", readonly=True),
    ),
)
BINDING = Dimension(
    "binding",
    "what the memslots are bound to: files of guest_memfd or pages of a memfd",
    values_of(
        (
            ("start", "the first pages of one file, in order"),
            ("offset", "one file, from its second page on"),
            ("crossed", "one file: the memslot of the higher gfn has the lower pages"),
            ("two-files", "a file each"),
        )
    ),
)
FIRST_USER_PAGE = 1
"""Page 0 of the address space stays unmapped."""


def layout(value: Callable[[str], str]) -> SlotLayout:
    """Return the memslots of a scenario. `value` returns the name of its value in a dimension.

    A memfd is mapped in its order: a user page is always the same page of the file.
    """
    neighbour, size, flags = MEMSLOTS[value("memslots")], PAGES[value("pages")], FLAGS[value("flags")]
    binding, place = value("binding"), value("place")
    npages: tuple[int, ...] = (size.npages,)
    if neighbour.exists:
        npages = (size.npages, 1) if value("position") == "first" else (1, size.npages)
    structure = 1 if value("position") == "second" else 0
    regions: list[Region] = []
    gfn, user_page = 0, FIRST_USER_PAGE
    for slot, count in enumerate(npages):
        in_order = user_page - FIRST_USER_PAGE + (binding == "offset")
        region = Region(
            slot=slot,
            base_gfn=gfn,
            npages=count,
            user_page=user_page,
            mapped=count,
            log_dirty=flags.log_dirty and slot == structure,
            readonly=flags.readonly and slot == structure,
            file=slot if binding == "two-files" else 0,
            pgoff=in_order if value("memory") == MemoryKind.MEMFD else _pgoff(binding, npages, slot),
        )
        regions.append(region)
        gfn += count + neighbour.gfn
        user_page = max(FIRST_USER_PAGE, user_page + count + neighbour.user_page)
    page = {"first-page": 0, "last-page": size.npages - 1, "two-pages": size.npages - 2}[place]
    return SlotLayout(regions=tuple(regions), structure=structure, page=page, crosses=place == "two-pages")


def _pgoff(binding: str, npages: tuple[int, ...], slot: int) -> int:
    """Return the page of the file at which a memslot begins."""
    if binding == "two-files":
        return 0
    if binding == "crossed":
        return sum(npages[slot + 1 :])
    return sum(npages[:slot]) + (1 if binding == "offset" else 0)
