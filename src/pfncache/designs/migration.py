# SPDX-License-Identifier: GPL-2.0-only
"""Migration of guest_memfd's folios, which 7.3.4 refuses: proposed upstream in June 2026, for shared memory."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from pfncache.linux.include.linux.types import Errno, Pgoff
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EOPNOTSUPP
from pfncache.linux.kernel.locking.rwsem import down_read
from pfncache.linux.mm.migrate import Migrate
from pfncache.linux.virt.kvm.guest_memfd.invalidation import GuestMemfdInvalidation
from pfncache.linux.virt.kvm.guest_memfd.page import GuestMemfdPage


class MigrateGmem(Patch, Migrate, GuestMemfdInvalidation, GuestMemfdPage):
    """KVM: guest_memfd: migrate folios of shared memory that has a direct map.

    The copy and the replacement in the page cache are in an invalidation, so that no fault of the guest maps the old
    page after it was zapped. invalidate_lock, under which bindings are stable, is outside of the folio lock, which the
    migration holds: it is tried.
    """

    def move_to_new_folio(self, mapping: AddressSpace, index: Pgoff, target: Page, source: Page) -> Errno:
        """Call kvm_gmem_migrate_folio()."""
        if not mapping.gmem:
            return super().move_to_new_folio(mapping, index, target, source)
        if mapping.no_direct_map or self.kvm_gmem_is_private_mem(mapping, index):
            return -EOPNOTSUPP
        return self.kvm_gmem_migrate_folio(mapping, index, target, source)

    def kvm_gmem_migrate_folio(self, mapping: AddressSpace, index: Pgoff, target: Page, source: Page) -> Errno:
        """Migrate the page in an invalidation of its index."""
        if not mapping.invalidate_lock.trylock_shared():
            return -EAGAIN
        ret = self.migrate_in_invalidation(mapping, index, target, source)
        mapping.invalidate_lock.unlock_shared()
        return ret

    def migrate_in_invalidation(self, mapping: AddressSpace, index: Pgoff, target: Page, source: Page) -> Errno:
        """Invalidate, migrate, and let faults in."""
        self.kvm_gmem_invalidate_start(mapping, index, index + 1)
        ret = self.migrate_folio(mapping, index, target, source)
        self.kvm_gmem_invalidate_end(mapping, index, index + 1)
        return ret


class WaitForInvalidateLock(MigrateGmem):
    """KVM: guest_memfd: wait for invalidate_lock, with the folio locked, to migrate."""

    def kvm_gmem_migrate_folio(self, mapping: AddressSpace, index: Pgoff, target: Page, source: Page) -> Errno:
        """Wait, as kvm_gmem_error_folio() does."""
        with down_read(mapping.invalidate_lock):
            return self.migrate_in_invalidation(mapping, index, target, source)


class MigrateAfterInvalidation(MigrateGmem):
    """KVM: guest_memfd: end the invalidation before the folio is migrated, as that of user page tables ends.

    A lookup in guest_memfd takes the folio lock, which the migration holds to its end: what begins after the
    invalidation waits, and what began before it has a reference or is repeated.
    """

    def migrate_in_invalidation(self, mapping: AddressSpace, index: Pgoff, target: Page, source: Page) -> Errno:
        """Invalidate and let faults in, then migrate."""
        self.kvm_gmem_invalidate_start(mapping, index, index + 1)
        self.kvm_gmem_invalidate_end(mapping, index, index + 1)
        return self.migrate_folio(mapping, index, target, source)


class MigrateWithoutInvalidation(MigrateGmem):
    """KVM: guest_memfd: migrate without an invalidation, as the page cache of other files does."""

    def migrate_in_invalidation(self, mapping: AddressSpace, index: Pgoff, target: Page, source: Page) -> Errno:
        """Only user page tables are unmapped before."""
        return self.migrate_folio(mapping, index, target, source)
