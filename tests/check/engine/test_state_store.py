# SPDX-License-Identifier: GPL-2.0-only
"""Compressed states are exact: each is read as it was stored, whatever its values are, and so are whole searches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pfncache.check.compile.compiler import compile_system
from pfncache.check.engine import parallel_bfs, state_store
from pfncache.check.engine.bfs import Control
from pfncache.check.engine.collapse import WordRow, equals, store
from pfncache.check.engine.state_store import RecordBits, StateStore, placed
from pfncache.check.program.layout import link
from pfncache.check.search import OUT_OF_MEMORY, Search
from pfncache.check.system import System
from pfncache.designs.catalogue import DESIGNS
from pfncache.verify.systems import make_system
from tests.check import toys

States = NDArray[np.uint64]
WORDS = 5


def random_states(count: int, distinct: list[int], seed: int = 1) -> States:
    """Return states whose words have so many distinct values, of all 64 bits."""
    rng = np.random.default_rng(seed)
    columns = []
    for values in distinct:
        known = rng.integers(0, 1 << 64, values, dtype=np.uint64)
        columns.append(known[rng.integers(0, values, count)])
    return np.stack(columns, axis=1)


def filled(states: States, batch: int = 1, parts: int = 1) -> StateStore:
    """Store states one by one, with more room whenever a dictionary has none, which is made in so many parts."""
    found = StateStore(states.shape[1], len(states) + batch, batch)
    for number, state in enumerate(states):
        if found.is_full:
            found.widen(number, batch, lambda do: list(map(do, reversed(range(parts)))), parts)
        found.store(number, state)
    return found


def stored(found: StateStore, count: int) -> States:
    """Return the first states of a store."""
    return np.concatenate([states for _, states in found.spans(count)])


@pytest.mark.parametrize("batch", [1, 40, 1000])
def test_states_are_read_as_they_were_stored(batch: int) -> None:
    """Few values, many, and more than 16 bits can number."""
    states = random_states(90_000, [1, 30, 700, 5_000, 90_000])
    found = filled(states, batch)
    assert np.array_equal(stored(found, len(states)), states)
    assert np.array_equal(found.state(777), states[777])
    distinct = [len(np.unique(states[:, word])) for word in range(WORDS)]
    assert found.records.fields[:, WordRow.COUNT].tolist() == distinct
    assert distinct[-1] > 1 << 15
    assert [place.bits >= (count - 1).bit_length() for place, count in zip(found.places, distinct, strict=True)] == (
        [True] * WORDS
    )


def test_a_state_equals_itself_alone() -> None:
    states = random_states(300, [2, 3, 300])
    found = filled(states)
    for number, state in enumerate(states):
        assert equals(found.records, number, state)
        for word in range(3):
            other = state.copy()
            other[word] ^= np.uint64(1 << 63)
            assert not equals(found.records, number, other)


def test_a_dictionary_that_saves_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each state has a value of its own in the last word: 64 bits without a dictionary are less than with one."""
    monkeypatch.setattr(state_store, "MAX_SMALL_ROOM", 1024)
    states = random_states(20_000, [1, 30, 20_000])
    states[::3, 2] = (1 << 64) - 1
    states[1::3, 2] &= np.uint64((1 << 32) - 1)
    found = filled(states)
    assert found.rooms[2] == 0
    assert found.places[2].bits == 64
    assert found.rooms[0] == found.rooms[1] == 512
    assert np.array_equal(stored(found, len(states)), states)


def test_a_new_value_is_not_entered_unless_it_is_to_be() -> None:
    """Threads store at the same time what the dictionaries have; what they do not have is stored after that."""
    found = filled(random_states(10, [3, 10]))
    before = found.records.fields.copy()
    assert store(found.records, 10, found.state(4), False)
    assert not store(found.records, 10, np.array([found.state(0)[0], 5], dtype=np.uint64), False)
    assert np.array_equal(found.records.fields, before)
    assert np.array_equal(found.state(4), random_states(10, [3, 10])[4])


def test_records_fill_cells() -> None:
    """Twice 16 bits fill a cell; the widest are the first, and what is left goes to the fields of the cell."""
    assert placed([16, 16]) == ([RecordBits(0, 0, 16), RecordBits(0, 16, 16)], 1)
    assert placed([9, 20, 12]) == ([RecordBits(1, 0, 32), RecordBits(0, 0, 20), RecordBits(0, 20, 12)], 2)
    places, cells = placed([9, 9, 11, 64, 11, 15, 9])
    assert cells == 5
    taken = {place.cell * 32 + place.shift + bit for place in places for bit in range(place.bits)}
    assert sum(place.bits for place in places) == len(taken) == cells * 32


@pytest.mark.parametrize("parts", [2, 3])
def test_records_are_widened_in_parts(parts: int) -> None:
    """The parts are independent: the last one may be the first."""
    states = random_states(90_000, [1, 30, 700, 5_000, 90_000, 90_000])
    found = filled(states, 40, parts)
    assert found.cells == filled(states, 40).cells == 3
    assert np.array_equal(stored(found, len(states)), states)


def test_no_memory_for_wider_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost by an attempt that fails."""
    monkeypatch.setattr(state_store, "_reserve", lambda _: np.empty(900, dtype=np.uint32))
    states = random_states(900, [900, 900, 900])
    found = StateStore(3, 900, 1)
    assert (found.cells, found.most) == (1, 900)
    number = 0
    while not found.is_full:
        found.store(number, states[number])
        number += 1
    assert number > 512
    with pytest.raises(MemoryError):
        found.widen(number, 1)
    assert (found.cells, found.most, found.is_full) == (1, 900, True)
    assert np.array_equal(stored(found, number), states[:number])


def plain(searching: Search) -> list[tuple[int, ...]]:
    """Return the states of a search without reductions, by a search of Python in the same order."""
    order = [tuple(searching.canonical(searching.initial).tolist())]
    known = set(order)
    for state in order:
        now = np.array(state, dtype=np.uint64)
        for choice in searching.enabled(now):
            after = tuple(searching.canonical(searching.take(now, choice).after).tolist())
            if after not in known:
                known.add(after)
                order.append(after)
    return order


def searched(system: System, threads: int = 1, reduction: bool = False) -> Search:
    """Search a system."""
    found = Search(link(compile_system(system), reduction), 1_000_000, threads)
    found.run()
    return found


def states_of(searching: Search) -> list[tuple[int, ...]]:
    """Return the states that were visited, in their order."""
    return [
        tuple(state)
        for _, states in searching.visited.spans(int(searching.control[Control.STATES]))
        for state in states.tolist()
    ]


@pytest.fixture(params=["dictionaries", "small dictionaries", "raw words"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Search with dictionaries as they are, with some that must often grow, and with words that lose theirs."""
    if request.param != "dictionaries":
        monkeypatch.setattr(state_store, "FIRST_ROOM", 2)
        monkeypatch.setattr(state_store, "SMALL_ROOM", 2)
    if request.param == "raw words":
        monkeypatch.setattr(state_store, "MAX_SMALL_ROOM", 2)


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(
    "functions",
    [(toys.increment,) * 4, (toys.spin_until_flag, toys.set_flag, toys.roll), (toys.increment_locked, toys.roll)],
)
def test_states_and_their_order_are_those_of_plain_ones(functions: tuple[Callable[..., Any], ...]) -> None:
    searching = searched(toys.system(*functions))
    assert states_of(searching) == plain(searching)


@pytest.mark.usefixtures("memory")
def test_a_scenario_has_the_states_of_plain_ones() -> None:
    searching = searched(make_system(DESIGNS["mainline-7.3"], "clock/gmem-mmap/allocate"))
    assert states_of(searching) == plain(searching)
    assert len(states_of(searching)) > 500


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("reduction", [False, True])
def test_two_threads_have_the_states_of_one(monkeypatch: pytest.MonkeyPatch, reduction: bool) -> None:
    """What a thread does not find in a dictionary is stored after the round, also where a word loses its dictionary."""
    monkeypatch.setattr(parallel_bfs, "MIN_ROUND", 1)
    monkeypatch.setattr(parallel_bfs, "SHARE", 16)
    system = make_system(DESIGNS["mainline-7.3"], "clock/gmem-mmap/allocate")
    one, two = searched(system, 1, reduction), searched(system, 2, reduction)
    assert sorted(states_of(one)) == sorted(states_of(two))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_end_of_memory_bounds_a_search(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """Fewer states fit as records become wider. Those that were found stay."""
    monkeypatch.setattr(state_store, "_reserve", lambda _: np.empty(3_000, dtype=np.uint32))
    monkeypatch.setattr(state_store, "FIRST_ROOM", 2)
    monkeypatch.setattr(parallel_bfs, "MIN_ROUND", 1)
    monkeypatch.setattr(parallel_bfs, "SHARE", 4)
    system = make_system(DESIGNS["mainline-7.3"], "gpc/refresh-twice")
    searching = Search(link(compile_system(system), False), 1_000_000, threads)
    result = searching.run()
    assert (result.verdict, result.reason) == ("bounded", OUT_OF_MEMORY)
    assert 100 < result.states <= searching.visited.most < 3_000
    found = states_of(searching)
    assert len(set(found)) == len(found)
    if threads == 1:
        monkeypatch.undo()
        assert states_of(searched(system))[: len(found)] == found
