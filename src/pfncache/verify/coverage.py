# SPDX-License-Identifier: GPL-2.0-only
"""Lines and branches of a design's functions, and which of them no scenario has reached."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from pfncache.check.compile.source import FunctionSource, Location, function_source, unwrap
from pfncache.check.ir import SourceLine
from pfncache.designs.design import Design, Patch
from pfncache.linux.virt.kvm.pfncache import Pfncache
from pfncache.linux.vmlinux import Vmlinux
from pfncache.verify.base import base_below
from pfncache.verify.outcome import Outcome
from pfncache.verify.trace import kernel_path

DIRECT = "host_"
"""Beginning of the names of functions that only direct execution runs."""


@dataclass(frozen=True, kw_only=True)
class MissedLine:
    """A line that no scenario has reached, or a branch that none has gone around."""

    place: Location
    around: bool
    """The line itself was reached, but its condition was never false."""

    @property
    def source(self) -> str:
        """file:line, the file as in the kernel tree."""
        return f"{kernel_path(self.place.file)}:{self.place.line}"

    def __str__(self) -> str:
        suffix = "  (never false)" if self.around else ""
        return f"{self.source} {self.place.function}() {self.place.text}{suffix}"

    def as_json(self) -> dict[str, object]:
        """Return the line as the JSON schema has it."""
        return {
            "source": self.source, "function": self.place.function, "text": self.place.text, "around": self.around,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What scenarios have reached of the lines and branches of a design's functions."""

    total: int
    reached: int
    missed: tuple[MissedLine, ...]

    def lines(self, design: str) -> list[str]:
        """Return the coverage as text: how much was reached, and what was not."""
        return [
            f"{design}: {self.reached:,} of {self.total:,} lines and branches reached",
            *(f"  {m}" for m in self.missed),
        ]

    def as_json(self) -> dict[str, object]:
        """Return the coverage as the JSON schema has it."""
        return {
            "reached": self.reached,
            "total": self.total,
            "missed": [line.as_json() for line in self.missed],
        }


def coverage_of(design: Design, outcomes: Iterable[Outcome]) -> Coverage:
    """Return the coverage of a design by its searches.

    The functions of a mainline version are those of pfncache.c, and those of each class of the kernel of which a
    scenario runs a function. Those of another design are those of its patches. What only a set-up runs, or the check
    when all is done, is not reached.
    """
    covered = frozenset[SourceLine]().union(*(outcome.covered for outcome in outcomes))
    files = {line.file for line in covered}
    wanted = {line: place for source in _sources(design, files) for line, place in _lines_of(source)}
    missed = wanted.keys() - covered
    shown = [
        MissedLine(place=wanted[line], around=line.around)
        for line in sorted(missed, key=lambda line: (kernel_path(line.file), line.line, line.around))
        if not (line.around and line._replace(around=False) in missed)
    ]
    return Coverage(total=len(wanted), reached=len(wanted) - len(missed), missed=tuple(shown))


def _sources(design: Design, files: set[str]) -> Iterator[FunctionSource]:
    """Yield the functions of a design that the checker compiles, each once."""
    seen = set()
    for layer in _layers(design, files):
        for name, value in vars(layer).items():
            plain = unwrap(value)
            if isinstance(plain, FunctionType) and not _is_direct(name, plain) and plain.__code__ not in seen:
                seen.add(plain.__code__)
                yield function_source(plain)


def _layers(design: Design, files: set[str]) -> Iterator[type]:
    """Yield the classes of a design's own functions: of its patches, and of a mainline version those of Linux."""
    base = base_below(design)
    for patch in design.patches[len(base.patches) if base is not None else 0 :]:
        yield from (part for part in patch.__mro__ if part not in (Patch, *Vmlinux.__mro__))
    if base is None:
        yield from (layer for layer in Vmlinux.__mro__ if layer is Pfncache or _file_of(layer) in files)


def _file_of(layer: type) -> str:
    try:
        return inspect.getsourcefile(layer) or ""
    except TypeError:  # a class of Python itself
        return ""


def _is_direct(name: str, function: Any) -> bool:
    """Whether only direct execution runs a function, or Python does."""
    return name.startswith((DIRECT, "__")) or getattr(function, "is_host_only", False)


def _lines_of(source: FunctionSource) -> Iterator[tuple[SourceLine, Location]]:
    """Yield what there is to reach in a function: its statements, and the ways around its branches."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.stmt) or node is source.tree or _is_text(node):
            continue
        place = source.location(node)
        yield SourceLine(place.file, place.line), place
        if isinstance(node, ast.If) and not node.orelse:
            yield SourceLine(place.file, place.line, around=True), place
        if isinstance(node, ast.While) and not isinstance(node.test, ast.Constant):
            yield SourceLine(place.file, place.line, around=True), place


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
