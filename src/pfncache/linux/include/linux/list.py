# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/list.h: a doubly linked list, with CONFIG_DEBUG_LIST's checks.

The links are abstracted to membership. What the abstraction must keep is that adding and removing take several stores:
whoever walks or changes the list in between, for want of a lock, meets half-made links.
"""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.lang.records import Record
from pfncache.lang.report import report


class ListEntry(Record):
    """struct list_head of a member."""

    listed: bool


class ListHead(Record):
    """struct list_head of a list."""

    changing: bool
    """Somebody is between the first and the last store of an update."""

    @atomic
    @part_of_caller
    def begin_change(self, entry: ListEntry, listed: bool) -> None:
        """The first store of list_add() or list_del(), checked as in __list_add_valid(), __list_del_entry_valid().

        Linux: include/linux/list.h list_add(), list_del(), v7.3.4.
        Simplified: the stores of one change are two steps: begun, done.
        """
        if self.changing:
            report("list-corruption", f"{self} is changed by two at a time")
        if entry.listed == listed:
            report("list-corruption", f"{entry} is {'added twice to' if listed else 'removed twice from'} {self}")
        self.changing = True

    @atomic
    @part_of_caller
    def end_change(self, entry: ListEntry, listed: bool) -> None:
        """The last store.

        Linux: include/linux/list.h list_add(), list_del(), v7.3.4.
        """
        entry.listed = listed
        self.changing = False

    def list_add(self, entry: ListEntry) -> None:
        """list_add().

        Linux: include/linux/list.h list_add(), v7.3.4.
        """
        self.begin_change(entry, True)
        self.end_change(entry, True)

    def list_del(self, entry: ListEntry) -> None:
        """list_del().

        Linux: include/linux/list.h list_del(), v7.3.4.
        """
        self.begin_change(entry, False)
        self.end_change(entry, False)

    @atomic
    @part_of("list_for_each_entry")
    def reaches(self, entry: ListEntry) -> bool:
        """One step of list_for_each_entry(): whether the walk meets `entry`.

        Linux: include/linux/list.h list_for_each_entry(), v7.3.4.
        Simplified: candidates are asked in a fixed order, which is not that of the list.
        """
        if self.changing:
            report("list-corruption", f"{self} is walked while it is changed")
        return entry.listed
