# SPDX-License-Identifier: GPL-2.0-only
"""The results of a sweep as a table, and how the number of states grows as a plot."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from pfncache.sweep.store import Store

BOUNDS = ("actors", "updates", "rounds", "pages")


def verdicts(store: Store) -> Table:
    """For each design and number of actors: how many scenarios hold, and what breaks."""
    table = Table(title="Verdicts", title_justify="left")
    for name in ("design", "actors", "hold", "break", "bounded", "states", "most", "seconds"):
        table.add_column(name, justify="left" if name == "design" else "right", no_wrap=True)
    table.add_column("what breaks")
    broken: dict[tuple[str, int], list[str]] = defaultdict(list)
    for design, actors, kind, count in store.ask(
        "SELECT design, actors, property, count(*) FROM results WHERE property IS NOT NULL"
        " GROUP BY design, actors, property ORDER BY count(*) DESC, property"
    ):
        broken[design, actors].append(f"{kind} {count}")
    for design, actors, holds, violated, bounded, states, most, seconds in store.ask(
        "SELECT design, actors, sum(verdict = 'holds'), sum(verdict = 'violated'), sum(verdict = 'bounded'),"
        " sum(states), max(states), sum(seconds) FROM results GROUP BY design, actors ORDER BY design, actors"
    ):
        numbers = (holds, violated, bounded, states, most)
        table.add_row(
            design, str(actors), *(f"{n:,}" for n in numbers), f"{seconds:.1f}", ", ".join(broken[design, actors])
        )
    return table


def growth(store: Store) -> dict[str, list[tuple[int, float]]]:
    """For each bound, the median of states over scenarios that hold and differ in nothing else, relative to its least.

    Actors have no such twins: theirs is the median over all scenarios with so many.
    """
    rows = store.ask(
        f"SELECT design, memory, operations, states, {', '.join(BOUNDS)} FROM results WHERE verdict = 'holds'"
    )
    found = {}
    for number, bound in enumerate(BOUNDS):
        ratios: dict[int, list[float]] = defaultdict(list)
        if bound == "actors":
            by_actors: dict[int, list[float]] = defaultdict(list)
            for row in rows:
                if row[5:] == (1, 1, 3):
                    by_actors[row[4]].append(row[3])
            least = median(by_actors[min(by_actors)]) if by_actors else 1
            ratios = {value: [median(states) / least] for value, states in by_actors.items()}
        else:
            twins: dict[tuple[Any, ...], dict[int, int]] = defaultdict(dict)
            for row in rows:
                key = (*row[:3], *(v for n, v in enumerate(row[4:]) if n != number))
                twins[key][row[4 + number]] = row[3]
            for group in twins.values():
                for value, states in group.items():
                    if len(group) > 1:
                        ratios[value].append(states / group[min(group)])
        found[bound] = sorted((value, median(values)) for value, values in ratios.items())
    return found


def growth_table(store: Store) -> Table:
    """How many times more states a larger bound makes."""
    table = Table("bound", "value: states, relative to the least", title="Growth", title_justify="left")
    for bound, points in growth(store).items():
        table.add_row(bound, ", ".join(f"{value}: {ratio:.3g} x" for value, ratio in points) or "only one value")
    return table


def plot(store: Store, path: Path) -> None:
    """Growth by each bound, as a picture. Raises ImportError without Matplotlib."""
    import matplotlib as mpl  # noqa: PLC0415 (an extra)

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(1, len(BOUNDS), figsize=(12, 3), sharey=True, layout="constrained")
    for axis, (bound, points) in zip(axes, growth(store).items(), strict=True):
        axis.plot([value for value, _ in points], [ratio for _, ratio in points], marker="o")
        axis.set_xlabel(bound)
        axis.set_xticks([value for value, _ in points])
        axis.set_yscale("log")
    axes[0].set_ylabel("states, relative to the least")
    figure.savefig(path)
    pyplot.close(figure)
