# SPDX-License-Identifier: GPL-2.0-only
"""Lists, with the checks of CONFIG_DEBUG_LIST."""

from __future__ import annotations

from pfncache.linux.include.linux.list import ListEntry, ListHead
from tests.linux.conftest import reported


def test_add_and_remove() -> None:
    head, entry = ListHead("head"), ListEntry("entry")
    assert not head.reaches(entry)
    head.list_add(entry)
    assert head.reaches(entry)
    head.list_del(entry)
    assert not head.reaches(entry)
    head.list_add(entry)
    assert entry.listed


def test_added_or_removed_twice() -> None:
    head, entry = ListHead("head"), ListEntry("entry")
    with reported("list-corruption"):
        head.list_del(entry)
    head.list_add(entry)
    with reported("list-corruption"):
        head.list_add(entry)


def test_an_update_in_progress_is_seen_by_everybody() -> None:
    head, one, other = ListHead("head"), ListEntry("one"), ListEntry("other", listed=True)
    head.begin_change(one, True)
    for step in (lambda: head.list_add(one), lambda: head.list_del(other), lambda: head.reaches(other)):
        with reported("list-corruption"):
            step()
    head.end_change(one, True)
    assert (head.reaches(one), head.reaches(other)) == (True, True)
