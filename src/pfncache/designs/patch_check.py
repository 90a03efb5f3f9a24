# SPDX-License-Identifier: GPL-2.0-only
"""Checks that each patch of a design changes the kernel: one that replaces nothing would have its base's verdict."""

from __future__ import annotations

import ast
import contextlib
import difflib
import functools
import inspect
import linecache
import sys
import types
from collections.abc import Collection, Iterator
from typing import Any

from pfncache.check.compile.source import CompileError, Location, unwrap
from pfncache.designs.design import Design, Patch
from pfncache.lang import atomic as atomic_steps
from pfncache.lang.records import Record
from pfncache.linux.vmlinux import Vmlinux

CLASS_NAMES = frozenset(vars(type("_Empty", (), {}))) | {
    "__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__conditional_annotations__",
    "__firstlineno__", "__static_attributes__", "__classdictcell__", "__orig_bases__", "__parameters__",
    "__abstractmethods__", "_abc_impl",
}  # fmt: skip
"""Attributes of a class that Python sets."""
DECLARATIONS = frozenset(name for name in vars(Patch) if not name.startswith("__"))
"""Attributes by which a patch describes itself."""


def check_design(design: Design, called: Collection[str] = ()) -> None:
    """Require that each patch replaces functions of the kernel below it, with functions that can be compiled.

    A function that the kernel does not have must be used: as one of the names in `called`, or by one of these or by a
    function of the design that replaces one, directly or through others. Raises CompileError with the place in the
    patch.
    """
    known = dict(_functions_of(Vmlinux))
    applied: set[type] = {Patch, *Vmlinux.__mro__}
    new: dict[str, type] = {}
    versions: dict[str, list[Any]] = {}
    replacing: list[Any] = []
    for patch in design.patches:
        if patch.source_key:  # made of functions that its maker has checked
            known.update(_functions_of(patch))
            continue
        changes = 0
        for part in reversed(patch.__mro__):
            if part in applied:
                continue
            applied.add(part)
            own = dict(_checked(patch, part, known))
            changes += len(own) + len(_checked_structs(part))
            new.update({name: part for name in own if name not in known})
            replacing.extend(function for name, function in own.items() if name in known and name not in new)
            for name, function in own.items():
                if name in new:
                    versions.setdefault(name, []).append(function)
            known.update(own)
        _check_purpose(patch, changes)
    roots = [*replacing, *(function for name in called for function in versions.get(name, ()))]
    unused = set(new) - _reached(roots, versions) - set(called)
    for name, part in new.items():
        if name in unused:
            raise _error(part, name, f"{_unknown(name)}, and no function of the design calls it{_nearest(name)}")


def _functions_of(kernel: type) -> Iterator[tuple[str, Any]]:
    """Yield the functions of a kernel; of those of one name, the one that is called is the last."""
    for layer in reversed(kernel.__mro__):
        yield from ((name, value) for name, value in vars(layer).items() if callable(value) and layer is not object)


def _checked(patch: type, part: type, known: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the functions of one class of a patch. Raises CompileError for what cannot be a function of the kernel."""
    module = part.__module__.partition(".")[0]
    if module in sys.stdlib_module_names and getattr(sys.modules[part.__module__], part.__name__, None) is part:
        raise _error(patch, "", f"a patch derives from Patch and classes of the kernel, not from {part.__name__}")
    for name, value in vars(part).items():
        if name in CLASS_NAMES or (name in DECLARATIONS and issubclass(part, Patch)):
            continue
        _check_value(part, name, value, known)
        if name in known:
            _check_signature(part, name, value, known[name])
        elif name in _variables():
            raise _error(part, name, f"{name} is a variable of the kernel, and a function of this name would hide it")
        elif name.startswith("__") and name.endswith("__"):
            raise _error(part, name, f"{name} is Python's; a patch replaces functions of the kernel")
        yield name, value


def _checked_structs(part: type) -> tuple[type[Record], ...]:
    """Return the structures that a patch extends. Raises CompileError unless each extends one of the kernel's by
    members that it does not have.
    """
    structs = vars(part).get("structs", ())
    if not isinstance(structs, tuple):
        raise _error(part, "structs", "structs is a tuple of classes, as structs = (MyVcpu,)")
    for struct in structs:
        if not isinstance(struct, type) or not issubclass(struct, Record) or struct.root is struct:
            name = getattr(struct, "__name__", "MyVcpu")
            raise _error(part, "structs", f"a structure is extended as class {name}(KvmVcpu, extends=True)")
        for name in vars(struct).get("__annotations__", ()):
            if any(name in getattr(base, "__annotations__", ()) for base in struct.__mro__[1:]):
                raise _error(part, "structs", f"{struct.root.__name__} has a member {name!r}; give another name")
    return structs


def _check_value(part: type, name: str, value: Any, known: dict[str, Any]) -> None:
    """Require a function whose source can be compiled, with no decorator that would be ignored."""
    inner = unwrap(value)
    if not isinstance(inner, types.FunctionType) or isinstance(value, staticmethod | classmethod):
        what = f"{_article(type(value).__name__)}"
        if name in known:
            raise _error(part, name, f"{name} is {what}, but the kernel's is a function; write def {name}(self, ...)")
        raise _error(part, name, f"{name} is {what}, and a patch has functions alone; put it at the file's top level")
    if inner.__name__ == "<lambda>":
        raise _error(part, name, f"{name} is a lambda; write def {name}(self, ...)")
    if inner.__name__ != _unmangled(part, name):
        raise _error(part, name, f"{name} is the function {inner.__name__}; write def {name}(self, ...)")
    if not linecache.getlines(inner.__code__.co_filename, inner.__globals__):
        raise _error(part, name, f"{name} has no source to compile; write it in a file")
    if inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
        raise _error(part, name, f"{name} is async, which the model's language does not have; write def")
    _check_decorators(part, name, value)
    if inspect.isgeneratorfunction(inner) and value is inner and not inspect.isgeneratorfunction(known.get(name)):
        raise _error(part, name, f"{name} is a generator; a function of the kernel returns; a with block has @guard")


def _check_decorators(part: type, name: str, value: Any) -> None:
    """Require that every wrapper around a function is one of the modelling language: others are not compiled."""
    while hasattr(value, "__wrapped__"):
        space = getattr(value, "__globals__", None)
        is_guard = space is vars(contextlib) and "is_guard" in vars(value)
        if space is not vars(atomic_steps) and not is_guard:
            raise _error(part, name, f"{name} has a decorator that is not compiled; use atomic, guard or host_only")
        value = value.__wrapped__


def _unmangled(part: type, name: str) -> str:
    return name.removeprefix(f"_{part.__name__.lstrip('_')}") if name.startswith("_") and "__" in name else name


def _check_signature(part: type, name: str, value: Any, replaced: Any) -> None:
    """Require the parameters of the function that is replaced; more of them must have defaults."""
    old, new = (list(inspect.signature(unwrap(f)).parameters.values()) for f in (replaced, value))
    same = [(p.name, p.kind) for p in old] == [(p.name, p.kind) for p in new[: len(old)]]
    optional = all(n.default is not n.empty for o, n in zip(old, new, strict=False) if o.default is not o.empty)
    if not same or not optional or any(p.default is p.empty for p in new[len(old) :]):
        have, want = (inspect.Signature([p.replace(annotation=p.empty) for p in ps]) for ps in (new, old))
        raise _error(part, name, f"{name}{have} cannot replace the kernel's {name}{want}")


def _check_purpose(patch: type[Patch], changes: int) -> None:
    """Require that a patch changes something, or says why it does not."""
    reason = patch.changes_nothing
    if not isinstance(reason, str):
        raise _error(patch, "changes_nothing", "changes_nothing is a sentence: why the patch changes nothing")
    if not isinstance(patch.__doc__ or "", str):
        raise _error(patch, "__doc__", f"the docstring is {_article(type(patch.__doc__).__name__)}")
    if not changes and not reason.strip():
        raise _error(patch, "", 'the patch has no function; if that is right, write changes_nothing = "REASON" in it')
    if changes and reason.strip():
        raise _error(patch, "changes_nothing", "the patch has functions, but says that it changes nothing")


def _reached(roots: list[Any], versions: dict[str, list[Any]]) -> set[str]:
    """Return the names of new functions that the roots refer to, directly or through other new functions.

    A patch may replace another one's new function and call it as super(): each version counts.
    """
    found: set[str] = set()
    todo = list(roots)
    while todo:
        for name in _names_in(unwrap(todo.pop()).__code__):
            if name in versions and name not in found:
                found.add(name)
                todo.extend(versions[name])
    return found


def _names_in(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_in(constant)


@functools.cache
def _variables() -> frozenset[str]:
    """Return the names of the kernel's variables."""
    return frozenset(vars(Vmlinux(page_shift=1, pages=1, user_pages=1, vmap_areas=1)))


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _unknown(name: str) -> str:
    return f"{name} replaces nothing: the kernel has no function of this name"


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, dict(_functions_of(Vmlinux)), n=3)
    return f"; nearest: {', '.join(near)}" if near else ""


# The place of an error


def _error(part: type, name: str, what: str) -> CompileError:
    """Return the error about an attribute of a class, or about the class if `name` is empty."""
    return CompileError(_place(part, name), f"{part.__name__}: {what}")


def _place(part: type, name: str) -> Location:
    """Return the line on which a class defines a name; else that of the class; else the file of its module."""
    module = sys.modules.get(part.__module__)
    file = getattr(module, "__file__", None) or "<unknown>"
    line = 0
    for node in ast.walk(_tree(file, vars(module) if module is not None else {})):
        if isinstance(node, ast.ClassDef) and node.name == part.__name__:
            line = node.lineno
            for child in node.body:
                if name and _defines(child, name):
                    line = child.lineno
    value = vars(part).get(name)
    code = getattr(unwrap(value), "__code__", None)
    if not line and isinstance(code, types.CodeType):
        return Location(code.co_filename, code.co_firstlineno, name)
    return Location(file, line or 1, part.__name__)


def _tree(file: str, module_globals: dict[str, Any]) -> ast.AST:
    try:
        return ast.parse("".join(linecache.getlines(file, module_globals)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name == name or name.endswith(f"__{node.name.lstrip('_')}")
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(t, ast.Name) and t.id == name for t in targets)
