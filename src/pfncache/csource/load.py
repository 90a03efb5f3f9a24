# SPDX-License-Identifier: GPL-2.0-only
"""Makes functions of the translated C: each is compiled, and its syntax tree is registered for the checker."""

from __future__ import annotations

import ast
import functools
import hashlib
import linecache
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType
from typing import Any

from pfncache.csource import parse
from pfncache.csource.base import Translated
from pfncache.csource.errors import RefusedError, SourceError
from pfncache.csource.members import Structs
from pfncache.csource.parse import FunctionNode, SourceFile, line_of
from pfncache.csource.program import CProgram, Signature
from pfncache.csource.renames import Renames
from pfncache.csource.result import CFunction, Refusal
from pfncache.csource.runtime import RUNTIME
from pfncache.csource.tables import Tables
from pfncache.csource.translator import translate_function
from pfncache.lang import syntax
from pfncache.lang.part_of import linux_name, part_of

MODULE = "pfncache.csource.functions"
"""The name that translated functions give as their module."""


@dataclass
class Loaded:
    """The functions of a set of C files."""

    functions: dict[str, FunctionType]
    """By their name in the model."""
    translated: dict[str, CFunction]
    refused: dict[str, Refusal]
    outside: frozenset[str]
    """Functions of the files that the model does not have, and that none of those calls that it has."""
    by_hand: dict[str, str]
    """Functions that are not translated on purpose, with the reason."""
    texts: dict[str, str]
    """The text of each file that was read."""
    structs: Structs
    """The structures that the files define."""


def read_sources(
    tree: Path, names: Sequence[str], tables: Tables, renamed: Renames
) -> tuple[list[SourceFile], dict[str, str]]:
    """Parse files of a kernel tree. Raises SourceError for one that is missing or is no text."""
    sources: list[SourceFile] = []
    texts: dict[str, str] = {}
    for name in names:
        try:
            texts[name] = (tree / name).read_text()
        except UnicodeDecodeError:
            raise SourceError(name, 0, "the file is no text") from None
        except OSError as error:
            raise SourceError(name, 0, f"{(error.strerror or 'cannot be read').lower()} in {tree}") from None
        sources.append(_parsed(renamed.undone(texts[name], name), name, tables.config, _kept(tables)))
    return sources, texts


def _kept(tables: Tables) -> frozenset[str]:
    """Return the macros that the tables have, so that they are not expanded."""
    return frozenset({*tables.calls, *tables.each, *tables.names})


_parsed = functools.lru_cache(maxsize=64)(parse.parse)
"""Files by their text: most of those of a patched tree are those of another one."""


def load(
    tree: Path, files: Sequence[str], tables: Tables, before: Structs | None = None, renamed: Renames | None = None
) -> Loaded:
    """Translate the functions of C files that the tables say the model has, and those that they call.

    `before` has the structures of the unpatched kernel: a member that they do not have is new, and zero at first. The
    names in `renamed` are those that the tables have. A function that cannot be translated is refused with the place,
    and so is each that calls it. Raises SourceError.
    """
    renamed = renamed or Renames()
    sources, texts = read_sources(tree, files, tables, renamed)
    present = [name for name in tables.headers if (tree / name).is_file()]
    headers, header_texts = read_sources(tree, present, tables, renamed)
    own = _parsed(tables.declarations, tables.declared_in, tables.config, frozenset())
    program = CProgram(sources, headers, tables, own, before)
    return _load(program, tree, texts | header_texts, renamed)


def load_text(text: str, tables: Tables, file: str = "example.c", before: Structs | None = None) -> Loaded:
    """Translate the functions of one text; for tests and experiments."""
    source = parse.parse(text, file, tables.config, _kept(tables))
    own = _parsed(tables.declarations, tables.declared_in, tables.config, frozenset())
    return _load(CProgram([source], [], tables, own, before), Path(), {file: text}, Renames())


def _load(program: CProgram, tree: Path, texts: dict[str, str], renamed: Renames) -> Loaded:
    broken = {
        name: (s.name, error)
        for s in program.sources
        for name, error in s.refused.items()
        if name not in program.by_hand
    }
    refused: dict[str, Refusal] = {}
    done: dict[str, tuple[Signature, Translated]] = {}
    wanted = program.tables.mirrored or {*program.signatures, *broken}
    todo = sorted(wanted & {*program.signatures, *broken} - program.own)
    seen = set(todo)
    while todo:
        name = todo.pop()
        if name in broken:
            refused[name] = _refusal(name, *broken[name])
            continue
        signature = program.signatures[name]
        try:
            done[name] = signature, translate_function(program, signature)
        except RefusedError as error:
            refused[name] = _refusal(name, signature.function.file, error)
            continue
        new = {*done[name][1].calls} - seen
        seen |= new
        todo += sorted(new)
    _refuse_callers(done, refused, program)
    functions: dict[str, FunctionType] = {}
    translated: dict[str, CFunction] = {}
    scope = {**program.tables.scope, **RUNTIME}
    for name, (signature, result) in done.items():
        functions[signature.method] = compiled(result.tree, tree, signature.function, scope, renamed.shown(name))
        if name not in program.own:
            translated[renamed.shown(name)] = _described(signature, result, renamed)
    outside = frozenset(map(renamed.shown, {*program.signatures, *broken} - seen - program.own))
    refused = {renamed.shown(name): replace(r, name=renamed.shown(name)) for name, r in refused.items()}
    return Loaded(functions, translated, refused, outside, program.by_hand, texts, program.layout.structs)


def _refusal(name: str, file: str, error: RefusedError) -> Refusal:
    return Refusal(name=name, file=file, line=error.line, what=error.what, hint=error.hint)


def _refuse_callers(
    done: dict[str, tuple[Signature, Translated]], refused: dict[str, Refusal], program: CProgram
) -> None:
    """Refuse each function that calls one that was not translated."""
    changed = True
    while changed:
        changed = False
        for name, (signature, result) in list(done.items()):
            for callee, line in result.calls.items():
                if callee in done:
                    continue
                del done[name]
                what = f"it calls {callee}(), which is not translated"
                hint = f"see {callee}()" if callee in refused else "translate that function too"
                refused[name] = Refusal(name=name, file=signature.function.file, line=line, what=what, hint=hint)
                changed = True
                break


def _described(signature: Signature, result: Translated, renamed: Renames) -> CFunction:
    function = signature.function
    return CFunction(
        name=renamed.shown(function.name),
        file=function.file,
        line=line_of(function.node),
        end_line=function.node.end_point[0] + 1,
        method=signature.method,
        barriers=signature.facts.barriers,
        calls=tuple(sorted(map(renamed.shown, result.calls))),
    )


def compiled(
    tree: ast.FunctionDef, root: Path, c: FunctionNode, scope: Mapping[str, Any], name: str = ""
) -> FunctionType:
    """Compile the syntax tree of a function, and register it with its name in C and the lines of the C file."""
    file = c.file if Path(c.file).is_absolute() else str(root / c.file)
    space = {**scope, "__name__": MODULE}
    exec(compile(ast.Module([tree], []), file, "exec"), space)
    function = space[tree.name]
    assert isinstance(function, FunctionType)
    linecache.checkcache(file)  # a trace shows the lines of this text
    syntax.register(function.__code__, tree, file, _shown(c.file))
    if linux_name(function.__code__) != (name or c.name):
        part_of(name or c.name)(function)
    return function


def digest(texts: Mapping[str, str], *others: str) -> str:
    """Return a digest of texts by name, and of other texts."""
    whole = hashlib.sha256()
    for name, text in sorted(texts.items()):
        whole.update(f"{name} {len(text)}\n{text}".encode())
    for other in (parse.VERSION, *others):
        whole.update(f"{len(other)}\n{other}".encode())
    return whole.hexdigest()


def _shown(file: str) -> str:
    """Return the name of a C file for people: its path in the kernel tree, or the name of one of ours."""
    return Path(file).name if Path(file).is_absolute() else file
