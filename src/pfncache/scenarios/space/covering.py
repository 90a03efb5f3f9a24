# SPDX-License-Identifier: GPL-2.0-only
"""Covering arrays: rows in which every combination of values of any few factors occurs that the rules allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product

Rule = tuple[tuple[int, ...], Callable[..., bool]]
"""Numbers of factors, and whether a combination of their values is allowed."""
Table = tuple[tuple[int, ...], frozenset[tuple[int, ...]]]
"""Numbers of factors, and the combinations of their values that are allowed."""
Combination = tuple[tuple[int, ...], tuple[int, ...]]
"""Numbers of factors in rising order, and a value of each."""
Row = tuple[int, ...]
"""A value of each factor."""
OPEN = -1
"""The value of a factor that is not chosen yet."""


class Factors:
    """Factors with `sizes` values each, from 0, and the rules that a row must keep."""

    def __init__(self, sizes: Sequence[int], rules: Iterable[Rule] = ()) -> None:
        """Tabulate the rules; a row is completed in the order of the factors that most rules name."""
        self.sizes = tuple(sizes)
        self.tables: list[Table] = [
            (factors, frozenset(v for v in product(*(range(self.sizes[f]) for f in factors)) if allows(*v)))
            for factors, allows in rules
        ]
        self._rules_of = [[table for table in self.tables if factor in table[0]] for factor in range(len(self.sizes))]
        ruled = [factor for factor, found in enumerate(self._rules_of) if found]
        self._order = sorted(ruled, key=lambda factor: -len(self._rules_of[factor]))
        self._known: dict[Row, bool] = {}

    @property
    def rules(self) -> list[Rule]:
        """The rules, as functions again."""
        return [(factors, _member(allowed)) for factors, allowed in self.tables]

    def restricted(self, factor: int, values: Iterable[int]) -> Factors:
        """Return the factors, of one of which only these values are allowed."""
        return Factors(self.sizes, [*self.rules, ((factor,), frozenset(values).__contains__)])

    def allows(self, row: Sequence[int]) -> bool:
        """Return whether a row, some of whose factors may be open, breaks no rule and can be completed."""
        chosen = (factor for factor in self._order if row[factor] != OPEN)
        return all(self._fits(row, factor) for factor in chosen) and self._can_be_completed(row)

    def _can_be_completed(self, row: Sequence[int]) -> bool:
        """Return whether a row that breaks no rule can be completed."""
        key = tuple(row[factor] for factor in self._order)
        if key not in self._known:
            self._known[key] = self._completes(list(row), 0)
        return self._known[key]

    def _fits(self, row: Sequence[int], factor: int) -> bool:
        """Return whether each rule that names the factor has an open one, or is kept."""
        for factors, allowed in self._rules_of[factor]:
            chosen = tuple([row[f] for f in factors])
            if OPEN not in chosen and chosen not in allowed:
                return False
        return True

    def _completes(self, row: list[int], place: int) -> bool:
        while place < len(self._order) and row[self._order[place]] != OPEN:
            place += 1
        if place == len(self._order):
            return True
        factor = self._order[place]
        found = False
        for value in range(self.sizes[factor]):
            row[factor] = value
            if self._fits(row, factor) and self._completes(row, place + 1):
                found = True
                break
        row[factor] = OPEN
        return found

    def rows(self) -> Iterator[Row]:
        """Yield every row that keeps the rules, in the order of its values."""
        yield from self._rows([OPEN] * len(self.sizes), 0)

    def _rows(self, row: list[int], factor: int) -> Iterator[Row]:
        if factor == len(row):
            yield tuple(row)
            return
        for value in range(self.sizes[factor]):
            row[factor] = value
            if self.allows(row):
                yield from self._rows(row, factor + 1)
        row[factor] = OPEN

    def combinations(self, strength: int, among: Iterable[int] | None = None) -> list[Combination]:
        """Return each combination of values of `strength` factors that some whole row has."""
        return [
            (factors, values)
            for factors in combinations(range(len(self.sizes)) if among is None else sorted(among), strength)
            for values in product(*(range(self.sizes[factor]) for factor in factors))
            if self.has((factors, values))
        ]

    def has(self, one: Combination) -> bool:
        """Return whether some whole row has a combination."""
        return self.allows(self._row(*one))

    def cover(self, wanted: Iterable[Combination], rows: Iterable[Row] = ()) -> list[Row]:
        """Return rows that have each wanted combination that none of `rows` has. Equal arguments give equal rows.

        Each row begins with a wanted combination. Every other factor gets the value that adds the most wanted ones; of
        several values, the one that the fewest rows have. In the end, rows are left out that have no wanted one alone.
        """
        left = _Wanted(wanted)
        for row in rows:
            left.remove(row)
        needed = left.combinations()
        used: Counter[tuple[int, int]] = Counter()
        found = []
        while (first := left.first()) is not None:
            found.append(self._filled(self._row(*first), left, used))
            used.update(enumerate(found[-1]))
            left.remove(found[-1])
        return _without_spare(found, needed)

    def _filled(self, row: list[int], left: _Wanted, used: Counter[tuple[int, int]]) -> Row:
        """Return a row with a value for each open factor."""
        for factor, size in enumerate(self.sizes):
            if row[factor] == OPEN:
                gains = left.gains(row, factor, size)
                ranks = sorted((-gain, used[factor, value], value) for value, gain in enumerate(gains))
                row[factor] = next(
                    value for *_, value in ranks if self.allows([*row[:factor], value, *row[factor + 1 :]])
                )
        return tuple(row)

    def _row(self, factors: Sequence[int], values: Sequence[int]) -> list[int]:
        row = [OPEN] * len(self.sizes)
        for factor, value in zip(factors, values, strict=True):
            row[factor] = value
        return row


def _without_spare(rows: list[Row], needed: Mapping[tuple[int, ...], Collection[tuple[int, ...]]]) -> list[Row]:
    """Return the rows without those whose needed combinations other rows have too."""

    def having(row: Row) -> list[Combination]:
        named = ((factors, tuple([row[factor] for factor in factors])) for factors in needed)
        return [(factors, values) for factors, values in named if values in needed[factors]]

    count = Counter(one for row in rows for one in having(row))
    kept = []
    for row in rows:
        mine = having(row)
        if all(count[one] > 1 for one in mine):
            count.subtract(mine)
        else:
            kept.append(row)
    return kept


def _member(allowed: frozenset[tuple[int, ...]]) -> Callable[..., bool]:
    return lambda *values: values in allowed


class _Wanted:
    """Combinations that no row has yet."""

    def __init__(self, wanted: Iterable[Combination]) -> None:
        self._left: dict[tuple[int, ...], dict[tuple[int, ...], None]] = {}
        for factors, values in wanted:
            self._left.setdefault(factors, {})[values] = None

    def first(self) -> Combination | None:
        """Return a combination of the factors that lack the most, or None if nothing is left."""
        factors = max(self._left, key=lambda key: len(self._left[key]), default=())
        return (factors, next(iter(self._left[factors]))) if self._left.get(factors) else None

    def combinations(self) -> dict[tuple[int, ...], frozenset[tuple[int, ...]]]:
        """Return the combinations, by factors."""
        return {factors: frozenset(values) for factors, values in self._left.items()}

    def remove(self, row: Sequence[int]) -> None:
        """Remove the combinations that a row has."""
        for factors, values in self._left.items():
            values.pop(tuple([row[factor] for factor in factors]), None)

    def gains(self, row: Sequence[int], factor: int, size: int) -> list[int]:
        """Return how many combinations each value of a factor adds to what is chosen of a row."""
        gains = [0] * size
        for factors, left in self._left.items():
            if left and factor in factors:
                place = factors.index(factor)
                chosen = [row[f] for f in factors]
                chosen[place] = 0
                if OPEN not in chosen:
                    for value in range(size):
                        chosen[place] = value
                        gains[value] += tuple(chosen) in left
        return gains
