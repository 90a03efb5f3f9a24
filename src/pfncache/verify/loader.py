# SPDX-License-Identifier: GPL-2.0-only
"""Designs and scenarios of a user's Python file.

A design is a variable of the file, and named by it: ``my_design = mainline_7_3 + [MyPatch]`` is ``my-design``, unless
``.named()`` gave it another name. A scenario is a function with the decorator of the catalogue, see
:func:`pfncache.scenarios.scenario.scenario`. Names that begin with an underscore, and what the file imports, are not
the file's. The file can import modules that lie beside it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import Scenario
from pfncache.verify.nearest import UnknownName

EXAMPLE = "`my_design = mainline_7_3 + [MyPatch]`"


class UserFileError(Exception):
    """The file cannot be used. The message is one line, with file and line where there is one."""


@dataclass(frozen=True)
class UserFile:
    """What a file defines, in the order of its lines."""

    path: str
    designs: tuple[Design, ...]
    scenarios: tuple[Scenario, ...]

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
    if not path.is_file():
        raise UserFileError(f"{name}: no such file; give a Python file, or the name of a design")
    names = _Names(name, path.read_text(errors="replace"))
    module = _execute(name, path)
    found = {n: v for n, v in vars(module).items() if not n.startswith("_") and n not in names.imported}
    designs = _designs(names, {n: v for n, v in found.items() if isinstance(v, Design)})
    scenarios = _scenarios(names, {n: v for n, v in found.items() if isinstance(v, Scenario)})
    if not designs and not scenarios:
        raise UserFileError(f"{name}: defines no design and no scenario; write e.g. {EXAMPLE}")
    return UserFile(name, tuple(designs), tuple(scenarios))


class _Names:
    """The names at the top level of a file: which are imported, and the line of each definition."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.imported: set[str] = set()
        self.lines: dict[str, int] = {}
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return  # executing the file reports it
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.imported |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.lines.setdefault(node.id, node.lineno)
                self.imported.discard(node.id)
            elif isinstance(node, ast.FunctionDef):
                self.lines.setdefault(node.name, node.lineno)

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
    ours = {id(scenario) for scenario in SCENARIOS.values()}
    known: dict[str, Scenario] = {}
    for variable, scenario in found.items():
        if id(scenario) in ours or known.get(scenario.name) is scenario:
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


# Execution

_beside: set[str] = set()
"""Modules that files loaded earlier have imported from their folders."""


def _execute(name: str, path: Path) -> ModuleType:
    key = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:8]
    spec = importlib.util.spec_from_file_location(f"pfncache_user_{path.stem}_{key}", path)
    if spec is None or spec.loader is None:
        raise UserFileError(f"{name}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        with _importing_from(path.absolute().parent):
            spec.loader.exec_module(module)
    except Exception as error:
        raise UserFileError(_explain(name, path, error)) from None
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


def _explain(name: str, path: Path, error: Exception) -> str:
    """Return one line: file:line of the innermost frame that is the file's, and the error."""
    if isinstance(error, SyntaxError) and error.filename in (str(path.absolute()), str(path)):
        return f"{name}:{error.lineno}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if f.filename == str(path) or Path(f.filename) == path.absolute()]
    where = f"{name}:{lines[-1]}" if lines else name
    what = error.msg if isinstance(error, SyntaxError) else str(error).partition("\n")[0]
    return f"{where}: {type(error).__name__}: {what}"
