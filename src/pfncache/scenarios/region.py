# SPDX-License-Identifier: GPL-2.0-only
"""The memslots of a world, as user space asks for them, and the page in which the guest has its structure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Region:
    """A memslot: struct kvm_userspace_memory_region2, with addresses in pages."""

    slot: int = 0
    base_gfn: int = 0
    npages: int = 1
    user_page: int = 1
    """Page of userspace_addr."""
    mapped: int = 1
    """Pages that user space maps there, beginning with the first."""
    log_dirty: bool = False
    readonly: bool = False
    file: int = 0
    """Number of the guest_memfd, where the memory is guest_memfd."""
    pgoff: int = 0
    """Page of the file at which the memslot begins."""


@dataclass(frozen=True, kw_only=True)
class SlotLayout:
    """The memslots of a VM, and where in them the guest has its structure."""

    regions: tuple[Region, ...]
    structure: int = 0
    """Number of the region in which the structure is."""
    page: int = 0
    """Page of that region in which the structure begins."""
    crosses: bool = False
    """The structure begins at the last byte of the page."""

    @property
    def region(self) -> Region:
        """The region in which the structure is."""
        return self.regions[self.structure]

    @property
    def gfn(self) -> int:
        """The gfn at which the structure begins."""
        return self.region.base_gfn + self.page

    @property
    def user_page(self) -> int:
        """The user page at which the structure begins."""
        return self.region.user_page + self.page

    @property
    def pgoff(self) -> int:
        """The page of the file at which the structure begins."""
        return self.region.pgoff + self.page

    @property
    def end_gfn(self) -> int:
        """The gfn after the last one of any region."""
        return max(region.base_gfn + region.npages for region in self.regions)

    @property
    def end_user_page(self) -> int:
        """The user page after the last one that a region maps."""
        return max(region.user_page + region.mapped for region in self.regions)
