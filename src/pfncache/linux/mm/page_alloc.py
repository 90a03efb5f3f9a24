# SPDX-License-Identifier: GPL-2.0-only
"""mm/page_alloc.c: allocation of pages, and page references."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.choose import choose, symmetric
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.lang.report import report
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import Page


class PageAlloc(Mm):
    """The page allocator, and page references."""

    @atomic
    def alloc_page(self) -> Page | None:
        """Allocate a free page by nondeterministic choice: a page's owner and its next owner are unrelated.

        Linux: include/linux/gfp.h alloc_page(), alloc_pages(), v7.3.4.
        Returns: a page with one reference; None when none is free.
        Simplified: page contents are not part of the checked state.
        """
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

    @atomic
    def get_page(self, page: Page) -> None:
        """Take a reference on a page that has at least one.

        Linux: include/linux/mm.h get_page(), folio_get(), v7.3.4.
        """
        if page.refcount <= 0:
            report("refcount-imbalance", f"a reference is taken on {page}, which has none: it was freed")
        page.refcount += 1

    @atomic
    def try_get_page(self, page: Page) -> bool:
        """Take a reference unless the page has none; return whether it was taken.

        Linux: include/linux/mm.h try_get_page(), include/linux/page_ref.h folio_try_get(), v7.3.4.
        """
        if page.refcount <= 0:
            return False
        page.refcount += 1
        return True

    @atomic
    def put_page(self, page: Page) -> None:
        """Drop a reference; the last one frees the page.

        Linux: include/linux/mm.h put_page(), folio_put(), mm/folio.c __folio_put(), mm/page_alloc.c free_page_is_bad(),
        v7.3.4.
        """
        if page.refcount <= 0:
            report("refcount-imbalance", f"a reference of {page} is dropped, but it has none")
        page.refcount -= 1
        if page.refcount == 0:
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
