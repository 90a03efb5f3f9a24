# SPDX-License-Identifier: GPL-2.0-only
"""Designs and scenarios of a user's Python file.

A design is a variable of the file, and named by it: ``my_design = mainline_7_3 + [MyPatch]`` is ``my-design``, unless
``.named()`` gave it another name. A scenario is a function with the decorator of the catalogue, see
:func:`pfncache.scenarios.scenario.scenario`. Names that begin with an underscore, and what the file imports, are not
the file's. A :class:`pfncache.Space` is searched in the place of the catalogue's. The file can import modules that lie
beside it.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import io
import linecache
import re
import stat
import sys
import threading
import tokenize
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pfncache.check.compile.source import CompileError
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design, DesignError
from pfncache.designs.patch_check import check_design
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.space import SPACE, Space
from pfncache.verify.kernel_snapshot import KernelSnapshot
from pfncache.verify.nearest import UnknownName
from pfncache.verify.trace import kernel_path
from pfncache.verify.user_code import is_users_error, message, printable, user_code
from pfncache.verify.user_source import mark_methods

EXAMPLE = "`my_design = mainline_7_3 + [MyPatch]`"
LOAD_SECONDS = 20.0
"""Time limit of a file's top level, in seconds. Imports of large packages take some on a busy machine."""
MAX_FILE_BYTES = 4_000_000
"""Size of a file that is read, in bytes; the largest of the catalogue has 20,000."""


class UserFileError(Exception):
    """The file cannot be used. The message is one line, with file and line where there is one."""


@dataclass(frozen=True)
class UserFile:
    """What a file defines, in the order of its lines."""

    path: str
    designs: tuple[Design, ...]
    scenarios: tuple[Scenario, ...]
    space: Space | None = None
    """The space of scenarios in the place of the catalogue's."""

    def design(self, name: str) -> Design:
        """Return the design of that name. Raises UnknownName."""
        for design in self.designs:
            if design.name == name:
                return design
        raise UnknownName("design", name, [d.name for d in self.designs], f"{self.path}: ")


def is_file(name: str) -> bool:
    """True if the name stands for a file, or for a design in one: ``FILE.py`` or ``FILE.py:design``."""
    return name.endswith(".py") or ".py:" in name


def split(name: str) -> tuple[str, str]:
    """Split ``FILE.py:design`` into the file and the design, "" for ``FILE.py``."""
    if name.endswith(".py") or ".py:" not in name:
        return name, ""
    file, _, design = name.rpartition(":")
    return file, design


def load_designs(name: str) -> list[Design]:
    """Return the designs of ``FILE.py``, or the one of ``FILE.py:design``. Raises UserFileError and UnknownName."""
    path, wanted = split(name)
    file = load(path)
    if not file.designs:
        raise UserFileError(f"{path}: defines no design; write e.g. {EXAMPLE}")
    return [file.design(wanted)] if wanted else list(file.designs)


def load_design(name: str) -> Design:
    """Return the one design of ``FILE.py``, or that of ``FILE.py:design``. Raises UserFileError and UnknownName."""
    designs = load_designs(name)
    if len(designs) > 1:
        names = ", ".join(d.name for d in designs)
        raise UserFileError(f"{name}: defines {len(designs)} designs ({names}); name one, as {name}:{designs[0].name}")
    return designs[0]


def load(name: str) -> UserFile:
    """Execute a file and return the designs and scenarios that it defines. Raises UserFileError."""
    path = Path(name)
    source = _read(name, path)
    names = _Names(name, source)
    module = _execute(names, path, source)
    found = {n: v for n, v in vars(module).items() if not n.startswith("_") and n not in names.imported}
    designs = _designs(names, {n: v for n, v in found.items() if issubclass(type(v), Design)})
    scenarios = _scenarios(names, {n: v for n, v in found.items() if issubclass(type(v), Scenario)})
    space = _space(names, {n: v for n, v in found.items() if issubclass(type(v), Space)})
    if not designs and not scenarios and space is None:
        raise UserFileError(f"{name}: defines no design and no scenario; write e.g. {EXAMPLE}")
    for design in designs:
        try:
            check_design(design, names.used_elsewhere)
        except CompileError as error:
            raise UserFileError(f"{_shown(name, path, error.where.file)}:{error.where.line}: {error.what}") from None
    return UserFile(name, tuple(designs), tuple(scenarios), space)


def _read(name: str, path: Path) -> bytes:
    """Return the content of a file. Raises UserFileError for one that cannot be a user's file."""
    try:
        kind = path.stat()
        if stat.S_ISDIR(kind.st_mode):
            raise UserFileError(f"{printable(name)}: is a directory; give a Python file, or the name of a design")
        if not stat.S_ISREG(kind.st_mode):
            raise UserFileError(f"{printable(name)}: is no regular file; give a Python file, or the name of a design")
        if path.suffix != ".py":
            raise UserFileError(f"{printable(name)}: not a Python file")
        if kind.st_size > MAX_FILE_BYTES:
            raise UserFileError(f"{printable(name)}: has {kind.st_size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
        source = path.read_bytes()
    except FileNotFoundError:
        raise UserFileError(f"{printable(name)}: no such file; give a Python file, or the name of a design") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserFileError(f"{printable(name)}: cannot be read: {reason}") from None
    try:
        source.decode(tokenize.detect_encoding(io.BytesIO(source).readline)[0])
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise UserFileError(f"{name}:{line}: is not UTF-8 text: byte {source[error.start]:#04x}") from None
    except (SyntaxError, LookupError) as error:
        raise UserFileError(f"{name}:1: {message(error).removeprefix('SyntaxError: ')}") from None
    if b"\0" in source:
        line = source.count(b"\n", 0, source.index(b"\0")) + 1
        raise UserFileError(f"{name}:{line}: is no text: it has a null byte")
    return source


def neighbours() -> list[Path]:
    """Return the modules beside the file that was loaded last, which it has imported."""
    files = (getattr(sys.modules.get(module), "__file__", None) for module in _beside)
    return sorted(Path(file) for file in files if file is not None)


class _Names:
    """The names at the top level of a file: which are imported, and the line of each definition."""

    def __init__(self, file: str, source: bytes) -> None:
        self.file = file
        self.imported: set[str] = set()
        self.lines: dict[str, int] = {}
        self.mentioned: dict[str, int] = {}
        """By name: the first line that assigns an attribute of that name, or has it as a string."""
        self.used_elsewhere: set[str] = set()
        """Names of functions that code outside of classes refers to, such as a scenario that calls one."""
        try:
            tree = ast.parse(source)
            nodes = list(ast.walk(tree))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return  # executing the file reports it
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.imported |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.lines.setdefault(node.id, node.lineno)
                self.imported.discard(node.id)
            elif isinstance(node, ast.FunctionDef):
                self.lines.setdefault(node.name, node.lineno)
            elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                self.mentioned.setdefault(node.attr, node.lineno)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.mentioned.setdefault(node.value, node.lineno)
            elif isinstance(node, ast.ClassDef):
                self.mentioned.setdefault(f"class {node.name}", node.lineno)
        self._find_uses(tree)

    def _find_uses(self, tree: ast.AST) -> None:
        todo: list[ast.AST] = [tree]
        while todo:
            node = todo.pop()
            if isinstance(node, ast.Attribute):
                self.used_elsewhere.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.used_elsewhere.add(node.value)
            todo.extend(child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.ClassDef))

    def place(self, variable: str) -> str:
        """Return file:line of a definition."""
        return f"{self.file}:{self.lines[variable]}" if variable in self.lines else self.file


def _designs(names: _Names, found: dict[str, Design]) -> list[Design]:
    ours = {id(design) for design in DESIGNS.values()}
    known: dict[str, Design] = {}
    seen: set[int] = set()
    for variable, design in found.items():
        if id(design) in ours or id(design) in seen:
            continue
        seen.add(id(design))
        title = design.patches[-1].subject() if design.patches else variable
        named = design if design.name else design.named(variable.replace("_", "-"), title)
        if named.name in DESIGNS:
            raise UserFileError(
                f"{names.place(variable)}: the catalogue has a design {named.name!r}; give another name"
            )
        if named.name in known:
            raise UserFileError(f"{names.place(variable)}: a second design {named.name!r}; give another name")
        known[named.name] = named
    return list(known.values())


def _scenarios(names: _Names, found: dict[str, Scenario]) -> list[Scenario]:
    known: dict[str, Scenario] = {}
    for variable, scenario in found.items():
        if SCENARIOS.get(scenario.name) is scenario or known.get(scenario.name) is scenario:
            continue
        if scenario.name in SCENARIOS:
            raise UserFileError(
                f"{names.place(variable)}: the catalogue has a scenario {scenario.name!r}; "
                "rename the function or the file"
            )
        if scenario.name in known:
            raise UserFileError(f"{names.place(variable)}: a second scenario {scenario.name!r}; rename the function")
        known[scenario.name] = scenario
    return list(known.values())


def _space(names: _Names, found: dict[str, Space]) -> Space | None:
    variables = [variable for variable, space in found.items() if space is not SPACE]
    if len(variables) > 1:
        raise UserFileError(f"{names.place(variables[1])}: a second space of scenarios; a file has one")
    return found[variables[0]] if variables else None


# Execution

_beside: set[str] = set()
"""Modules that files loaded earlier have imported from their folders."""


def _execute(names: _Names, path: Path, source: bytes) -> ModuleType:
    """Execute a file as a module. Raises UserFileError, with the line that is wrong."""
    name, full = names.file, str(path.absolute())
    key = hashlib.sha256(full.encode(errors="surrogateescape")).hexdigest()[:8]
    module = ModuleType(f"pfncache_user_{path.stem}_{key}")
    module.__file__ = full
    sys.modules[module.__name__] = module
    # the compiler reads functions from here: the file may be gone by then, or another one
    text = io.TextIOWrapper(io.BytesIO(source), tokenize.detect_encoding(io.BytesIO(source).readline)[0]).read()
    linecache.cache[full] = (len(source), None, text.splitlines(keepends=True), full)
    snapshot, threads = KernelSnapshot(), set(threading.enumerate())
    try:
        with user_code(LOAD_SECONDS, "the file"), _importing_from(path.absolute().parent):
            exec(compile(source, full, "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        snapshot.restore()
        if not is_users_error(error):
            raise
        raise UserFileError(_explain(name, path, error)) from None
    if (changed := snapshot.restore()) is not None:
        attribute = changed.rpartition(".")[2].replace("the record ", "class ")
        where = f"{name}:{names.mentioned[attribute]}" if attribute in names.mentioned else name
        raise UserFileError(f"{where}: changes {changed} of the model, and so every design; write a Patch")
    if any(not thread.daemon for thread in set(threading.enumerate()) - threads):
        raise UserFileError(f"{name}: leaves a thread running; a file of designs defines them, and returns")
    mark_methods(module, source, has_neighbours=bool(_beside))
    return module


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Find modules in `folder` first; drop the ones that were imported from folders of files loaded earlier."""
    for module in _beside:
        sys.modules.pop(module, None)
    _beside.clear()
    importlib.invalidate_caches()
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for module in set(sys.modules) - before:
            file = getattr(sys.modules[module], "__file__", None)
            if file is not None and Path(file).is_relative_to(folder) and not module.startswith("pfncache"):
                _beside.add(module)


def _explain(name: str, path: Path, error: BaseException) -> str:
    """Return one line: file:line of the innermost frame that is the file's, and the error."""
    full = str(path.absolute())
    if isinstance(error, SyntaxError) and error.filename == full:
        return f"{name}:{error.lineno or 1}: {message(error).removeprefix('SyntaxError: ')}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == full]
    where = f"{name}:{lines[-1]}" if lines else name
    if isinstance(error, DesignError):
        return f"{where}: {error}"
    if isinstance(error, RecursionError | MemoryError) and not lines:
        return f"{where}: is nested too deeply for Python's parser"
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        return f"{where}: a file has no package to import from; write `import helper` for a helper.py beside it"
    if isinstance(error, ImportError) and (
        missing := re.match(r"cannot import name '(\w+)' from '([\w.]+)'", str(error))
    ):
        known = dir(sys.modules.get(missing[2]))
        near = ", ".join(difflib.get_close_matches(missing[1], known, n=3))
        return f"{where}: {missing[2]} has no {missing[1]!r}" + (f"; nearest: {near}" if near else "")
    return f"{where}: {message(error)}"


def _shown(name: str, path: Path, file: str) -> str:
    """Return how an error shows a file: as the user named it, or the path of another file."""
    return name if file == str(path.absolute()) else kernel_path(file)
