# SPDX-License-Identifier: GPL-2.0-only
"""A trace: which steps it has, and the text of it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pfncache.linux.virt.kvm.pfncache as module
from pfncache.check.replay import Ending, Replay
from pfncache.designs.catalogue import rfc_v4_on_7_3
from pfncache.verify.runner import Job, search
from pfncache.verify.trace import Row, Trace, build, kernel_path, reason_of, render
from tests.check import toys

TINY = Trace(
    ("vcpu", "punch"),
    (
        Row(0, "vcpu", "publish_pfn", "virt/kvm/pfncache.py:12", "gpc.valid = True", ("gpc.valid: False -> True",)),
        Row(0, "vcpu", "publish_pfn", "virt/kvm/pfncache.py:13", "gpc.pfn = pfn", ()),
        Row(1, "punch", "put_page", "mm/page_alloc.py:7", "page.refcount -= 1", ("page.refcount: 1 -> 0",)),
        Row(0, "vcpu", "publish_pfn", "virt/kvm/pfncache.py:14", "self.use(gpc)", ()),
    ),
    "pfn 0 is written, but it is free",
)


def lines(text: str) -> list[str]:
    return dedent(text).strip("\n").splitlines()


def test_render() -> None:
    assert render(TINY).splitlines() == lines("""
        CPU0: vcpu                                  CPU1: punch
        ==========================================  ==========================================
        publish_pfn()  virt/kvm/pfncache.py:12
          gpc.valid = True
            [gpc.valid: False -> True]
          virt/kvm/pfncache.py:13
          gpc.pfn = pfn
                                                    put_page()  mm/page_alloc.py:7
                                                      page.refcount -= 1
                                                        [page.refcount: 1 -> 0]
        publish_pfn()  virt/kvm/pfncache.py:14
          self.use(gpc)

        => pfn 0 is written, but it is free
    """)


def test_render_in_narrow_columns() -> None:
    """A head that does not fit has its place in the next line; text and reason are wrapped."""
    row = Row(1, "b", "a_function", "mm/gup.py:1", "one = two + three", ("x: 1 -> 2",))
    trace = Trace(("a", "a long name of an actor"), (row,), "word " * 16 + "end")
    assert render(trace, width=20).splitlines() == lines("""
        CPU0: a             CPU1: a long name
        ==================  ==================
                            a_function()
                              mm/gup.py:1
                              one = two +
                              three
                                [x: 1 -> 2]

        => word word word word word word word word word word word word word word
           word word end
    """)


def test_rows_as_json() -> None:
    assert TINY.rows[0].as_json() == {
        "cpu": 0,
        "actor": "vcpu",
        "function": "publish_pfn",
        "source": "virt/kvm/pfncache.py:12",
        "text": "gpc.valid = True",
        "changes": ["gpc.valid: False -> True"],
    }


def test_files_are_named_as_in_the_kernel_tree() -> None:
    assert kernel_path(module.__file__ or "") == "virt/kvm/pfncache.py"
    assert kernel_path(str(Path("/somewhere") / "mine.py")) == "mine.py"


def test_reason_is_the_sources_where_it_has_one() -> None:
    assert reason_of(None, "the search's") == "the search's"
    assert reason_of(Ending("lost", "the source's"), "the search's") == "the source's"


def test_build_shows_what_changes_and_what_an_actor_finds_changed() -> None:
    searching, result = toys.search(toys.increment, toys.increment, at_end=toys.count_is_two)
    replay = toys.replayed(searching, result)
    trace = build(replay, reason_of(replay.ending, result.detail))
    assert (trace.actors, trace.reason) == (("a0", "a1"), "count is 1")
    assert {(row.function, row.text) for row in trace.rows} == {("increment", "shared.count += 1")}
    assert {row.source.rpartition(":")[0] for row in trace.rows} == {"toys.py"}
    assert [(row.actor, row.changes) for row in trace.rows] == [
        ("a0", ()),
        ("a1", ("box.count is 0",)),
        ("a0", ("box.count: 0 -> 1",)),
        ("a1", ("box.count is 1",)),
    ]


def test_build_leaves_plumbing_out() -> None:
    searching, result = toys.search(toys.first_then_other, toys.other_then_first)
    trace = build(toys.replayed(searching, result), "nobody can go on")
    assert result.property == "deadlock"
    assert {row.source.rpartition(":")[0] for row in trace.rows} == {"toys.py"}
    assert [change for row in trace.rows for change in row.changes] == []


def test_build_leaves_out_what_neither_changes_nor_finds_anything() -> None:
    """Such a step is a row only where others may have run before it, and at the end."""
    searching, result, _ = search(Job(rfc_v4_on_7_3, "gmem/unmapped-punch", 100_000))
    replay = Replay(searching)
    try:
        replay.run(result.path)
    finally:
        replay.finish()
    trace = build(replay, "")
    silent = [row for row in trace.rows[:-1] if not row.changes]
    assert 0 < len(silent) < sum(moment.first for moment in replay.moments) < len(replay.moments)
    assert not any(row.source.startswith(("locking/", "include/")) for row in trace.rows)
