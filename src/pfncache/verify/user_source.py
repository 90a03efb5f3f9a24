# SPDX-License-Identifier: GPL-2.0-only
"""What the methods of a user's file depend on, by content: a file that is loaded again has other objects.

The code of a method depends on its own text, and on the rest of the file: constants, helpers, imports, class
attributes, properties, decorators, default arguments. Each method of a class at the top level is marked with a digest
of the one and a digest of the other.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pfncache.check.compile.source import unwrap

_marks: dict[int, tuple[CodeType, object]] = {}
"""By the identity of a method's code, which is kept: the digests. A kernel has copies of the function."""
UNREAD = frozenset({"__builtins__", "__annotations__"})
"""Names of a module that no method reads, or that its text says all of."""
MARKING = frozenset({"atomic", "guard", "part_of", "override"})
"""Decorators after which a function is still compiled from its own text."""
_serial = itertools.count()
"""Numbers for values that have no content to compare: each load has its own."""
PLAIN = (bool, int, float, str, bytes, type(None))


def source_of(function: FunctionType) -> object:
    """Return what a function was marked with; None for one that is no method of a user's file."""
    return _marks.get(id(function.__code__), (None, None))[1]


def mark_methods(module: ModuleType, source: bytes, has_neighbours: bool) -> None:
    """Mark the methods of the classes of a file that was just executed.

    With `has_neighbours`, the file has imported modules that lie beside it. Its methods then depend on what is not
    known here, and are not marked: they are those of this load alone.
    """
    if has_neighbours:
        return
    try:
        _mark(module, ast.parse(source))
    except RecursionError:
        return  # an expression of a thousand levels, which is not compiled either


def _mark(module: ModuleType, tree: ast.Module) -> None:
    texts: dict[tuple[str, str], str] = {}
    for owner, method in _methods(tree):
        key = owner.name, method.name
        if key in texts:  # defined twice: one of them is not what the name stands for
            return
        texts[key] = ast.dump(ast.Module(method.body, []))
        method.body = [ast.Pass()]
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda))
    lines = [node.lineno for node in functions if _is_whole(node)]
    values = tuple(sorted((name, _value(value)) for name, value in vars(module).items() if name not in UNREAD))
    rest = hashlib.sha256(ast.dump(tree).encode() + repr(lines).encode()).hexdigest()
    for (owner_name, name), text in texts.items():
        function = _function(vars(module), owner_name, name)
        if function is not None:
            _marks[id(function.__code__)] = function.__code__, (text, rest, values)


def _is_whole(node: ast.FunctionDef | ast.Lambda) -> bool:
    """Whether a function has its body still: where that stands is shown in traces."""
    return isinstance(node, ast.Lambda) or not isinstance(node.body[0], ast.Pass)


def _methods(tree: ast.Module) -> Iterator[tuple[ast.ClassDef, ast.FunctionDef]]:
    """Yield the methods of classes at the top level, without those that are something else than a function."""
    for owner in tree.body:
        if isinstance(owner, ast.ClassDef) and not owner.decorator_list:
            for method in owner.body:
                if isinstance(method, ast.FunctionDef) and all(map(_is_marking, method.decorator_list)):
                    yield owner, method


def _is_marking(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Name) and called.id in MARKING


def _function(names: Mapping[str, Any], owner: str, name: str) -> FunctionType | None:
    """Return the function of a class; None if the module has another class, or the class has something else there."""
    found = names.get(owner)
    value = unwrap(vars(found).get(name)) if isinstance(found, type) else None
    return value if isinstance(value, FunctionType) and value.__globals__ is names else None


def _value(value: Any) -> str:
    """Return what a name of the file stands for, as far as its text does not say it."""
    if isinstance(value, PLAIN):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} {[*map(_value, value)]}"
    if isinstance(value, dict):
        return f"dict {[(_value(key), _value(item)) for key, item in value.items()]}"
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__} {sorted(map(_value, value))}"
    if isinstance(value, type | FunctionType | ModuleType):
        return f"{getattr(value, '__module__', '')} {value.__name__}"
    known = type(value).__module__.startswith(("pfncache.", "typing", "__future__"))
    return f"{type(value).__module__} {type(value).__qualname__}" if known else f"unknown {next(_serial)}"
