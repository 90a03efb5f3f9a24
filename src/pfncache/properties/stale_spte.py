# SPDX-License-Identifier: GPL-2.0-only
"""The guest reaches a page that was freed."""

from __future__ import annotations

from pfncache.kernel.include.linux.kvm_host import Kvm
from pfncache.kernel.include.linux.mm_types import Page
from pfncache.kernel.model import atomic, report
from pfncache.properties.ghost import Ghost
from pfncache.properties.property import Property


class StaleSpteProbe(Ghost):
    """Looks at each page that goes back to the allocator."""

    @atomic
    def trace_page_free(self, page: Page) -> None:
        """No SPTE of any VM maps the page."""
        super().trace_page_free(page)
        for mm in self.mms:
            for kvm in mm.notifiers:
                self.expect_no_spte(kvm, page)

    def expect_no_spte(self, kvm: Kvm, page: Page) -> None:
        """Report an SPTE that maps the page."""
        for spte in kvm.sptes:
            if spte.pfn == page.pfn:
                report("stale-spte", f"pfn {page.pfn} is freed while {spte} still maps it into the guest")


STALE_SPTE = Property(
    "stale-spte", "a page is freed while the guest can still reach it through an SPTE", StaleSpteProbe
)
