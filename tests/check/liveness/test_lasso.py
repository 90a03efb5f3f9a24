# SPDX-License-Identifier: GPL-2.0-only
"""A livelock is shown as a lasso, whose loop is fair, is never left, and leads back to its start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pfncache.check.path import Choice
from pfncache.check.replay import Divergence, Replay
from pfncache.check.result import SearchResult
from pfncache.check.search import Search
from pfncache.verify.trace import LOOP_MARK, render
from pfncache.verify.trace_builder import build
from tests.check import toys
from tests.check.toys import Box


def wait_for_five(shared: Box) -> None:
    """Wait for more than one increment() does."""
    while shared.count < 5:
        pass


def toggle(shared: Box) -> None:
    """Never end."""
    while True:
        shared.flag = not shared.flag


def answer(shared: Box) -> None:
    """Undo what ask() does, and never end."""
    while shared.cells[0].value < 2:
        if shared.flag:
            shared.flag = False


def ask(shared: Box) -> None:
    """Wait until the flag stays, which answer() does not let it."""
    while shared.cells[0].value < 2:
        if not shared.flag:
            shared.flag = True


def livelock(*functions: Callable[..., Any], reduction: bool = True) -> tuple[Search, SearchResult, Sequence[Choice]]:
    searching, result = toys.search(*functions, reduction=reduction)
    assert (result.verdict, result.property) == ("violated", "livelock")
    assert result.found[0].loop is not None
    return searching, result, result.found[0].path[result.found[0].loop :]


def states_along(searching: Search, path: Sequence[Choice]) -> list[bytes]:
    state = searching.initial
    states = [searching.canonical(state).tobytes()]
    for choice in path:
        assert choice in searching.enabled(state)
        state = searching.take(state, choice)[1]
        states.append(searching.canonical(state).tobytes())
    return states


@pytest.mark.parametrize("reduction", [True, False])
@pytest.mark.parametrize(
    ("functions", "runs"),
    [
        ((toys.spin_until_flag,), {0}),
        ((toys.spin_until_flag, toys.increment), {0}),
        ((toggle, toys.spin_until_flag), {0, 1}),
        ((ask, answer), {0, 1}),
        ((ask, answer, toys.increment), {0, 1}),
        ((toggle, wait_for_five, toys.increment), {0, 1}),
    ],
)
def test_the_loop_is_fair_and_leads_back(functions: Any, runs: set[int], reduction: bool) -> None:
    searching, result, loop = livelock(*functions, reduction=reduction)
    states = states_along(searching, result.found[0].path)
    assert states[-1] == states[result.found[0].loop or 0]
    assert {choice.actor for choice in loop} == runs
    for raw in states[result.found[0].loop or 0 :]:
        state = np.frombuffer(raw, dtype=np.uint64).copy()
        assert {choice.actor for choice in searching.enabled(state)} <= runs


def test_the_replay_goes_round_the_loop() -> None:
    searching, result, _ = livelock(ask, answer)
    replay = Replay(searching)
    try:
        replay.run(result.found[0])
        trace = build(replay, result.found[0].detail)
    finally:
        replay.finish()
    assert trace.loop is not None
    assert {row.actor for row in trace.rows[trace.loop :]} == {"a0", "a1"}
    text = render(trace).splitlines()
    assert sum(LOOP_MARK in line for line in text) == 1
    assert "shared.flag = True" in render(trace).split(LOOP_MARK)[1]
    reason = " ".join(render(trace).split("=> ")[1].split())
    assert reason == (
        "starvation under a strongly fair scheduler: a0 never returns from ask(), a1 never returns from answer()"
    )


def test_a_loop_that_does_not_lead_back_is_an_error() -> None:
    searching, result, _ = livelock(ask, answer)
    replay = Replay(searching)
    try:
        with pytest.raises(Divergence, match="the loop does not lead back to its start"):
            replay.run(replace(result.found[0], path=result.found[0].path[:-1]))
    finally:
        replay.finish()
