# SPDX-License-Identifier: GPL-2.0-only
"""The parsed source of model functions: AST, source lines, and which locals are assigned once."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any, NamedTuple, get_type_hints

from pfncache.lang.part_of import CALLER, linux_name
from pfncache.lang.records import Record
from pfncache.lang.syntax import syntax_of


class CompileError(Exception):
    """A construct that the modelling language does not have. One line: file:line, what, and what instead."""

    def __init__(self, where: Location, what: str) -> None:
        super().__init__(where, what)
        self.where = where
        self.what = what

    def __str__(self) -> str:
        return f"{self.where.file}:{self.where.line}: {self.what}"


class Location(NamedTuple):
    """A line of model source."""

    file: str
    line: int
    function: str
    """The function of Linux that the line is a part of; part_of.CALLER for that of its caller."""

    @property
    def text(self) -> str:
        """The text of the line."""
        return linecache.getline(self.file, self.line).strip()


def attributed(stack: Iterable[Location]) -> tuple[Location, ...]:
    """Return a call stack, outermost first, in which each part of its caller has its caller's name."""
    found: list[Location] = []
    for place in stack:
        found.append(place._replace(function=found[-1].function) if place.function == CALLER and found else place)
    return tuple(found)


@dataclass
class FunctionSource:
    """The parsed source of one function."""

    function: FunctionType
    tree: ast.FunctionDef
    parameters: list[str]
    file: str
    first_line: int
    hints: dict[str, Any]
    assigned: Counter[str]
    stable: frozenset[str]
    """Locals that are assigned once, at a place that dominates every use."""
    is_generator: bool
    returns_value: bool
    places: dict[int, Location] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The function's name."""
        return self.tree.name

    def location(self, node: ast.AST) -> Location:
        """Return the source line of `node`."""
        line = getattr(node, "lineno", 1)
        place = self.places.get(line)
        if place is None:
            name = linux_name(self.function.__code__)
            place = self.places[line] = Location(self.file, self.first_line + line - 1, name)
        return place


def unwrap(function: Any) -> Any:
    """Return the function that atomic() and guard() wrap."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


_parsed: dict[tuple[int, ...], FunctionSource] = {}
"""By key_of()."""


def key_of(function: FunctionType) -> tuple[int, ...]:
    """Return the ids of a function's code and of its closure: equal code in another file is another function."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return id(function.__code__), *(id(cell.cell_contents) for name, cell in cells if name != "__class__")


def function_source(function: FunctionType) -> FunctionSource:
    """Return the parsed source of `function`; it is parsed once, however many kernels have it."""
    key = key_of(function)
    source = _parsed.get(key)
    if source is None:
        source = _parsed[key] = _parse(function)
    return source


def _parse(function: FunctionType) -> FunctionSource:
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        raise CompileError(Location("<unknown>", 0, str(function)), f"{function!r} is no function with a def")
    place = Location(code.co_filename, code.co_firstlineno, code.co_name)
    registered = syntax_of(code)
    if registered is not None:  # the lines of its nodes are those of the file already
        return _analysed(function, registered.tree, registered.file, 1)
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    except (OSError, SyntaxError, ValueError, IndexError):
        raise CompileError(place, f"{code.co_name} has no source to compile; write it in a file") from None
    except (RecursionError, MemoryError):
        raise CompileError(place, f"{code.co_name} is nested too deeply for Python's parser") from None
    if not isinstance(tree, ast.FunctionDef):
        raise CompileError(place, f"{code.co_name} is no function with a def")
    return _analysed(function, tree, inspect.getsourcefile(function) or code.co_filename, first)


def _analysed(function: FunctionType, tree: ast.FunctionDef, file: str, first: int) -> FunctionSource:
    """Return the source of a function, given its syntax tree and the line of the file that line 1 of it is."""
    try:
        hints = get_type_hints(function, localns={**Record.registry, **function.__globals__}, include_extras=True)
    except NameError as error:
        raise CompileError(
            Location(file, first, tree.name), f"an annotation names {error.name!r}, which is not defined here"
        ) from None
    except Exception as error:  # an annotation is any expression
        what = f"an annotation cannot be evaluated: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise CompileError(Location(file, first, tree.name), what) from None
    assigned = Counter(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    assigned.update(a.arg for a in tree.args.args)
    return FunctionSource(
        function=function,
        tree=tree,
        parameters=[a.arg for a in tree.args.args],
        file=file,
        first_line=first,
        hints=hints,
        assigned=assigned,
        stable=_stable_locals(tree, assigned),
        returns_value=any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(tree)),
        is_generator=any(isinstance(node, ast.Yield) for node in ast.walk(tree)),
    )


def _stable_locals(tree: ast.FunctionDef, assigned: Counter[str]) -> frozenset[str]:
    """Return the names that are assigned once, and not in a loop that is left before they are used.

    An unrolled loop compiles its body several times; a name that is used after the loop must then be a variable.
    """
    unstable = {name for name, count in assigned.items() if count > 1}
    augmented = {n.target.id for n in ast.walk(tree) if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)}
    for loop in ast.walk(tree):
        if not isinstance(loop, ast.For | ast.While):
            continue
        inside = {id(n) for n in ast.walk(loop)}
        stored = {n.id for n in ast.walk(loop) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Name)
                and isinstance(node.ctx, ast.Load)
                and node.id in stored
                and id(node) not in inside
            ):
                unstable.add(node.id)
    return frozenset(set(assigned) - unstable - augmented)
