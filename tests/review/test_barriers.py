# SPDX-License-Identifier: GPL-2.0-only
"""What a litmus test says of a series: worse is a fault, nothing any more is unknown, the same is a note."""

from __future__ import annotations

import pytest

from pfncache.litmus.affected import LitmusChange
from pfncache.litmus.catalogue import LITMUS_TESTS
from pfncache.litmus.protocol import LitmusVerdict
from pfncache.litmus.result import LitmusResult
from pfncache.review.barriers import findings_of, litmus_tests_of, seen_by
from pfncache.review.report import Weight
from pfncache.review.submission import Submission

ORDERED, RACE, BROKEN = LitmusVerdict.ORDERED, LitmusVerdict.DATA_RACE, LitmusVerdict.BROKEN
STALE = LitmusVerdict.OUT_OF_DATE
TEST = LITMUS_TESTS["publish/invalidate"]
RETRY = "mmu_notifier_retry_cache"


def change(before: LitmusVerdict, after: LitmusVerdict) -> LitmusChange:
    results = (LitmusResult(test=TEST, verdict=verdict) for verdict in (before, after))
    return LitmusChange(before=next(results), after=next(results), differences=())


@pytest.mark.parametrize(
    "before, after, weight",
    [
        (RACE, BROKEN, Weight.FAULT),
        (ORDERED, RACE, Weight.FAULT),
        (BROKEN, RACE, Weight.NOTE),
        (RACE, RACE, Weight.NOTE),
        (RACE, STALE, Weight.UNKNOWN),
        (STALE, STALE, Weight.NOTE),
        (STALE, BROKEN, Weight.UNKNOWN),
    ],
)
def test_weights(before: LitmusVerdict, after: LitmusVerdict, weight: Weight) -> None:
    (finding,) = findings_of([change(before, after)], Submission(name="s", title="t"), [])
    assert (finding.weight, finding.subject, finding.patch) == (weight, "publish/invalidate", None)
    words = "as without the series" if before is after else f"{before} without the series"
    assert finding.text.startswith(f"litmus test publish/invalidate: {after}, {words}; it is about: ")


def test_the_tests_of_a_function() -> None:
    names = [test.name for test in litmus_tests_of(frozenset({RETRY}))]
    assert names == ["publish/invalidate", "activation/list"]
    assert litmus_tests_of(frozenset({"no_such_function"})) == []


def test_a_barrier_counts_as_seen_if_each_test_says_the_same() -> None:
    assert RETRY in seen_by([change(RACE, RACE)])
    assert RETRY not in seen_by([change(RACE, BROKEN)])
    assert RETRY not in seen_by([change(STALE, STALE)])
