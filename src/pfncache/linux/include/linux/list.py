# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/list.h: a doubly linked list, with CONFIG_DEBUG_LIST's checks.

The links are abstracted to membership. Adding and removing still take two steps, as they are several stores in Linux:
a walk or a change of the list in between, without a lock, is reported as list corruption.
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
    """An update is between its first and its last store."""

    @atomic
    @part_of_caller
    def begin_change(self, entry: ListEntry, listed: bool) -> None:
        """Do the first store of list_add() or list_del(), with CONFIG_DEBUG_LIST's checks.

        Linux: include/linux/list.h list_add(), list_del(), v7.3.4.
        Simplified: the stores of one change are two steps, its begin and its end.
        """
        if self.changing:
            report("list-corruption", f"{self} is changed by two tasks at a time")
        if entry.listed == listed:
            report("list-corruption", f"{entry} is {'added twice to' if listed else 'removed twice from'} {self}")
        self.changing = True

    @atomic
    @part_of_caller
    def end_change(self, entry: ListEntry, listed: bool) -> None:
        """Do the last store of list_add() or list_del().

        Linux: include/linux/list.h list_add(), list_del(), v7.3.4.
        """
        entry.listed = listed
        self.changing = False

    def list_add(self, entry: ListEntry) -> None:
        """Add an entry.

        Linux: include/linux/list.h list_add(), v7.3.4.
        """
        self.begin_change(entry, True)
        self.end_change(entry, True)

    def list_del(self, entry: ListEntry) -> None:
        """Remove an entry.

        Linux: include/linux/list.h list_del(), v7.3.4.
        """
        self.begin_change(entry, False)
        self.end_change(entry, False)

    @atomic
    @part_of("list_for_each_entry")
    def reaches(self, entry: ListEntry) -> bool:
        """Do one step of list_for_each_entry(); return whether the walk meets `entry`.

        Linux: include/linux/list.h list_for_each_entry(), v7.3.4.
        Simplified: entries are visited in a fixed order, which is not that of the list.
        """
        if self.changing:
            report("list-corruption", f"{self} is walked while it is changed")
        return entry.listed
