# SPDX-License-Identifier: GPL-2.0-only
"""What the methods of a user's file depend on, by content: a file that is loaded again has other objects.

The code of a method depends on its own text, and on the rest of the file: constants, helpers, imports, class
attributes, properties, decorators, default arguments. Each method of a patch at the top level is marked with a digest
of both. A class that is used as something else than a patch belongs to the rest with all of its methods.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pfncache.check.compile.source import unwrap
from pfncache.verify import unknown

_marks: dict[int, tuple[CodeType, str]] = {}
"""By the identity of a method's code, which is kept: the digest. A kernel has copies of the function."""
_files: dict[int, tuple[ModuleType, str]] = {}
"""By the identity of a module, which is kept: the digest of all of its file."""
UNREAD = frozenset({"__builtins__", "__annotations__"})
"""Names of a module that no method reads, or that its text says all of."""
MARKING = frozenset({"atomic", "guard", "part_of", "override"})
"""Decorators after which a function is still compiled from its own text."""
PLAIN = (bool, int, float, str, bytes, type(None))
LIST = (ast.List, ast.Tuple)


def source_of(function: FunctionType) -> str | None:
    """Return what a function was marked with; None for one that is no method of a user's patch."""
    known = _marks.get(id(function.__code__))
    return known[1] if known is not None else None


def file_of(module: ModuleType | None) -> str | None:
    """Return a digest of all that a user's module was made of; None for another one, or if that is not known."""
    known = _files.get(id(module))
    return known[1] if known is not None else None


def mark_methods(module: ModuleType, source: bytes, has_neighbours: bool) -> None:
    """Mark a file that was just executed, and the methods of its patches.

    With `has_neighbours`, the file has imported modules that lie beside it. Its methods then depend on what is not
    known here, and are not marked: they are those of this load alone.
    """
    if has_neighbours:
        return
    try:
        _mark(module, ast.parse(source), source)
    except RecursionError:
        return  # an expression of a thousand levels, which is not compiled either


def _mark(module: ModuleType, tree: ast.Module, source: bytes) -> None:
    texts: dict[tuple[str, str], str] = {}
    others = _used_otherwise(tree)
    values = [f"{name} {_value(value)}" for name, value in sorted(vars(module).items()) if name not in UNREAD]
    _files[id(module)] = module, _digest(str(module.__file__), source.hex(), *values)
    for owner, method in _methods(tree):
        if owner.name in others:
            continue
        key = owner.name, method.name
        if key in texts:  # defined twice: one of them is not what the name stands for
            return
        texts[key] = ast.dump(ast.Module(method.body, []))
        method.body = [ast.Pass()]
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda))
    lines = [node.lineno for node in functions if _is_whole(node)]
    rest = _digest(str(module.__file__), ast.dump(tree), repr(lines), *values)
    for (owner_name, name), text in texts.items():
        function = _function(vars(module), owner_name, name)
        if function is not None:
            _marks[id(function.__code__)] = function.__code__, _digest(text, rest)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(f"{len(part)} {part}" for part in parts).encode(errors="surrogatepass")).hexdigest()


def _used_otherwise(tree: ast.Module) -> set[str]:
    """Return the names that the file refers to elsewhere than as a base of a class, or in a list of patches.

    A method of such a class may be called as a function, and not be one of the kernel's.
    """
    patches: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            patches.update(map(id, node.bases))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and isinstance(node.right, LIST):
            patches.update(map(id, node.right.elts))
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in patches}
    return names | {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


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
        home = value.__name__ if isinstance(value, ModuleType) else str(value.__module__)
        if home.startswith("pfncache") or home.partition(".")[0] in sys.stdlib_module_names:
            return f"{home} {value.__name__}"
    known = type(value).__module__.startswith(("pfncache.", "typing", "__future__"))
    return f"{type(value).__module__} {type(value).__qualname__}" if known else f"unknown {unknown.name_of(value)}"
