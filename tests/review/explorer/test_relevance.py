# SPDX-License-Identifier: GPL-2.0-only
"""The slice of an interleaving: which steps its violation depends on."""

from __future__ import annotations

from pfncache.check.compile.source import Location
from pfncache.check.replay import Change, FieldAccess, Moment
from pfncache.review.explorer.relevance import PROBES, _Slice
from tests.check.toys import Box, box


def moment(actor: int, *, reads: str = "", writes: str = "", on: Box, probe: str = "") -> Moment:
    """A moment that reads and writes members of a record, and whose property looks at `probe`."""
    accesses = [FieldAccess(on, name, "/model.py") for name in reads.split()]
    accesses += [FieldAccess(on, name, f"{PROBES}/p.py") for name in probe.split()]
    accesses += [FieldAccess(on, name, "/model.py", is_write=True) for name in writes.split()]
    changes = [Change(on, name, 0, 1) for name in writes.split()]
    return Moment(actor, (Location("/model.py", 1, "f"),), changes=changes, accesses=accesses)


def sliced(*moments: Moment) -> list[int]:
    return sorted(_Slice(moments, with_locks=False).of([len(moments) - 1], ()))


def test_what_the_last_step_reads_matters_and_what_that_was_made_of() -> None:
    one = box()
    assert sliced(
        moment(0, writes="a", on=one),
        moment(0, writes="unused", on=one),
        moment(0, reads="a", writes="b", on=one),
        moment(0, reads="b", on=one),
    ) == [0, 2, 3]


def test_a_value_that_is_overwritten_does_not_matter() -> None:
    one = box()
    assert sliced(moment(0, writes="a", on=one), moment(0, writes="a", on=one), moment(0, reads="a", on=one)) == [1, 2]


def test_a_stale_check_and_what_made_it_stale_matter() -> None:
    one = box()
    assert sliced(
        moment(1, writes="unrelated", on=one),
        moment(0, reads="valid", on=one),
        moment(1, writes="valid", on=one),
        moment(0, reads="data", on=one),
    ) == [1, 2, 3]


def test_what_only_its_own_actor_writes_is_no_check() -> None:
    one = box()
    assert sliced(moment(0, writes="a", on=one), moment(0, reads="a", on=one), moment(0, reads="data", on=one)) == [2]


def test_a_property_looks_at_the_last_step_alone() -> None:
    one = box()
    assert sliced(
        moment(1, writes="x", on=one), moment(1, writes="y", on=one),
        moment(0, probe="x", on=one), moment(0, probe="y", on=one),
    ) == [1, 3]  # fmt: skip


def test_a_lock_matters_around_steps_that_do_if_both_use_it() -> None:
    one = box()
    both = [
        moment(0, writes="held", on=one), moment(0, writes="a", on=one), moment(0, writes="held", on=one),
        moment(1, writes="held", on=one), moment(1, reads="a", on=one),
    ]  # fmt: skip
    assert sliced(*both) == [0, 1, 2, 3, 4]
    assert sliced(*both[:3], both[4]) == [1, 3]
