# SPDX-License-Identifier: GPL-2.0-only
"""mm/page_alloc.c: allocation of pages, and page references."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.choose import choose, symmetric
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.lang.report import report
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.mm.fail_page_alloc import should_fail_alloc_page


class PageAlloc(Mm):
    """The page allocator, and page references."""

    @atomic
    def alloc_page(self) -> Page | None:
        """Allocate a free page by nondeterministic choice: a page's owner and its next owner are unrelated.

        Linux: include/linux/gfp.h alloc_page(), alloc_pages(), v7.3.4.
        Returns: a page with one reference; None when none is free.
        Simplified: page contents are not part of the checked state.
        """
        if should_fail_alloc_page():
            return None
        first = choose(len(self.mem_map))
        for number in range(2 * len(self.mem_map)):
            page = self.mem_map[number % len(self.mem_map)]
            if first <= number < first + len(self.mem_map) and page.free:
                symmetric(number != first or self.page_is_as_new_as_another(page))
                page.free = False
                page.incarnation += 1
                page.refcount = 1
                return page
        return None

    @part_of_caller
    def page_is_as_new_as_another(self, page: Page) -> bool:
        """Return whether this page and one before it never had an owner: such pages are indistinguishable.

        Linux: nothing; for symmetry reduction.
        """
        for other in self.mem_map:
            if other is page:
                return False
            if other.free and other.incarnation == 0 and page.incarnation == 0:
                return True
        return False

    @part_of("folio_alloc")
    @atomic
    def alloc_large_folio(self) -> Page | None:
        """Allocate a folio of order 1 by nondeterministic choice: two free neighbours, of which the first is even.

        Linux: include/linux/gfp.h folio_alloc(), v7.3.4.
        Returns: the first page, with one reference; None when no two are free.
        """
        pairs = len(self.mem_map) // 2
        first = choose(pairs)
        for number in range(2 * pairs):
            one, other = self.mem_map[2 * (number % pairs)], self.mem_map[2 * (number % pairs) + 1]
            if first <= number < first + pairs and one.free and other.free:
                for page in (one, other):
                    page.free = False
                    page.incarnation += 1
                    page.compound = True
                one.refcount = 1
                return one
        return None

    def page_folio(self, page: Page) -> Page:
        """Return the page that has the references and the lock of a page's folio.

        Linux: include/linux/page-flags.h page_folio(), v7.3.4.
        """
        if self.large_folios and page.compound:
            return self.mem_map[page.pfn & -2]
        return page

    @atomic
    def get_page(self, page: Page) -> None:
        """Take a reference on a page that has at least one.

        Linux: include/linux/mm.h get_page(), folio_get(), v7.3.4.
        """
        folio = self.page_folio(page)
        if folio.refcount <= 0:
            report("refcount-imbalance", f"a reference is taken on {page}, which has none: it was freed")
        folio.refcount += 1

    @atomic
    def try_get_page(self, page: Page) -> bool:
        """Take a reference unless the page has none; return whether it was taken.

        Linux: include/linux/mm.h try_get_page(), include/linux/page_ref.h folio_try_get(), v7.3.4.
        """
        folio = self.page_folio(page)
        if folio.refcount <= 0:
            return False
        folio.refcount += 1
        return True

    @atomic
    def put_page(self, page: Page) -> None:
        """Drop a reference; the last one frees the page, and the other one of its folio.

        Linux: include/linux/mm.h put_page(), folio_put(), mm/folio.c __folio_put(), mm/page_alloc.c free_page_is_bad(),
        v7.3.4.
        """
        folio = self.page_folio(page)
        if folio.refcount <= 0:
            report("refcount-imbalance", f"a reference of {page} is dropped, but it has none")
        folio.refcount -= 1
        if folio.refcount == 0:
            if self.large_folios and folio.compound:
                other = self.mem_map[folio.pfn ^ 1]
                folio.compound = False
                other.compound = False
                self.free_one_page(other)
            self.free_one_page(folio)

    @part_of_caller
    def free_one_page(self, page: Page) -> None:
        """Give a page back, and report one that is still in use.

        Linux: mm/page_alloc.c free_page_is_bad(), v7.3.4.
        """
        if page.mapcount != 0:
            report("bad-page", f"{page} is freed, but {page.mapcount} user PTEs map it")
        if page.mapping is not None and not page.anon:
            report("bad-page", f"{page} is freed, but is in the page cache of {page.mapping}")
        if page.lock.held:
            report("bad-page", f"{page} is freed, but is locked")
        if page.pincount != 0:
            report("bad-page", f"{page} is freed, but {page.pincount} pins are left")
        self.trace_page_free(page)
        page.free = not page.hwpoison  # a poisoned page is never allocated again
        page.anon = False
        if page.anon_shared:
            page.anon_shared = False
        if page.ksm:
            page.ksm = False
        page.mapping = None
        page.uptodate = False
        self.host_poison(page)

    @part_of("__kernel_poison_pages")
    @host_only
    def host_poison(self, page: Page) -> None:
        """Fill a freed page with a pattern, so that a use after free shows.

        Linux: mm/page_poison.c __kernel_poison_pages(), v7.3.4.
        """
        page.host_bytes[:] = b"\xaa" * len(page.host_bytes)
