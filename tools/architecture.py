# SPDX-License-Identifier: GPL-2.0-only
"""The architecture picture: the rooms of the package and the imports between them, read from the code.

``python -m tools.architecture FILE.svg`` draws it; the documentation site is built with it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import pfncache

PACKAGE = Path(pfncache.__file__).parent
WIDTH, HEIGHT = 10.0, 1.15
"""Inches: of the picture, and of one floor of it."""
BOX_HEIGHT = 0.4
"""Of a floor's height."""

Graph = dict[str, set[str]]
"""For each room, the rooms that it imports."""


def imports() -> Graph:
    """Return which room imports which; a room is a folder of the package. Imports for type checkers do not count."""
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    graph: Graph = {room: set() for room in rooms}
    for room in rooms:
        for path in (PACKAGE / room).rglob("*.py"):
            for module in _imported(ast.parse(path.read_text())):
                parts = module.split(".")
                if parts[0] == "pfncache" and len(parts) > 1 and parts[1] in rooms - {room}:
                    graph[room].add(parts[1])
    return graph


def _imported(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module is not None:
            if child.module == "pfncache":
                yield from (f"pfncache.{alias.name}" for alias in child.names)
            yield child.module
        yield from _imported(child)


def floors(graph: Graph) -> list[list[str]]:
    """Return the rooms by floors: each room imports only rooms of lower floors. Raises ValueError for a circle."""
    level: dict[str, int] = {}

    def place(room: str, path: tuple[str, ...]) -> int:
        if room in path:
            raise ValueError(f"rooms import each other in a circle: {' -> '.join((*path, room))}")
        if room not in level:
            level[room] = 1 + max((place(other, (*path, room)) for other in sorted(graph[room])), default=-1)
        return level[room]

    for room in sorted(graph):
        place(room, ())
    return [sorted(r for r in level if level[r] == number) for number in range(max(level.values()) + 1)]


def direct(graph: Graph) -> Graph:
    """Return the transitive reduction: without the arrows that a path of other arrows implies."""

    def reaches(room: str) -> set[str]:
        return graph[room].union(*(reaches(other) for other in graph[room]))

    return {
        room: {to for to in others if not any(to in reaches(other) for other in others - {to})}
        for room, others in graph.items()
    }


def draw(graph: Graph, path: Path) -> None:
    """Write the picture as SVG: one row for each floor, the lowest at the bottom."""
    rows = floors(graph)
    figure = Figure(figsize=(WIDTH, HEIGHT * len(rows)), facecolor="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, len(rows))
    axes.axis("off")
    places = _places(rows, direct(graph))
    width = 0.8 / max(map(len, rows))
    for room, others in direct(graph).items():
        x, y = places[room]
        for other in sorted(others):
            to_x, to_y = places[other]
            ends = ((x, y - BOX_HEIGHT / 2), (to_x, to_y + BOX_HEIGHT / 2))
            axes.add_patch(FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=10, color="#8a94a6", lw=1))
    for room, (x, y) in places.items():
        corner = (x - width / 2, y - BOX_HEIGHT / 2)
        style = "round,pad=0,rounding_size=0.02"
        axes.add_patch(FancyBboxPatch(corner, width, BOX_HEIGHT, style, facecolor="#e8eef9", edgecolor="#3b5b92"))
        axes.text(x, y, f"{room}/", ha="center", va="center", family="monospace", fontsize=11, color="#1b2a44")
    FigureCanvasSVG(figure)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _places(rows: list[list[str]], arrows: Graph) -> dict[str, tuple[float, float]]:
    """Give each room the middle of its box; the rooms of a floor are ordered by those that they import."""
    places: dict[str, tuple[float, float]] = {}
    for number, row in enumerate(rows):

        def middle(room: str) -> tuple[float, str]:
            below = [places[other][0] for other in arrows[room] if other in places]
            return (sum(below) / len(below) if below else 0.5, room)

        for position, room in enumerate(sorted(row, key=middle)):
            places[room] = ((position + 0.5) / len(row), number + 0.5)
    return places


if __name__ == "__main__":
    draw(imports(), Path(sys.argv[1]))
