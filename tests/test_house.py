# SPDX-License-Identifier: GPL-2.0-only
"""The laws of the house: which room may import which, and what every file has to keep to."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from pfncache.commands.main import VERBS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "pfncache"
MAX_LINES = 460

FLOORS = (
    {"interrupts", "lang", "picture", "progress", "user_cache"},
    {"linux"},
    {"check"},
    {"csource", "kernels", "properties"},
    {"designs", "scenarios"},
    {"series"},
    {"verify"},
    {"fidelity", "litmus", "machines", "sweep"},
    {"footprint"},
    {"selftests"},
    {"matrix"},
    {"compare"},
    {"review"},
    {"doctor"},
    {"__init__"},
    {"commands"},
    {"__main__"},
)
"""Rooms, from the ground up: a room imports rooms on lower floors alone."""
ALONE = {
    "lang": set[str](),
    "csource": {"lang", "linux"},
    "linux": {"lang"},
    "check": {"lang", "user_cache", "interrupts", "progress"},
    "properties": {"lang", "linux"},
    "scenarios": {"lang", "linux", "check"},
}
"""Rooms that may import nothing but these. The user's cache folder is where the engine keeps native code."""


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_of(path): path for path in files()}


def imports_of(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports, wherever in it the import stands."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] != "pfncache":
                continue
            inner = parts[1:]
            while inner and ".".join(inner) not in MODULES:
                inner.pop()
            yield ".".join(inner) or "__init__"


def room(module: str) -> str:
    return module.split(".", 1)[0]


def test_every_room_has_a_floor() -> None:
    assert {room(module) for module in MODULES} == set[str]().union(*FLOORS)


def test_no_import_goes_up() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    up = [
        f"{module} imports {target}"
        for module, path in MODULES.items()
        for target in imports_of(path)
        if room(target) != room(module) and floor[room(target)] >= floor[room(module)]
    ]
    assert up == []


@pytest.mark.parametrize("name", sorted(ALONE))
def test_room_imports_its_own_and_what_it_may(name: str) -> None:
    strange = [
        f"{module} imports {target}"
        for module, path in MODULES.items()
        if room(module) == name
        for target in imports_of(path)
        if room(target) not in ALONE[name] | {name}
    ]
    assert strange == []


def test_the_translation_of_c_knows_nothing_of_the_kernel_outside_its_tables() -> None:
    strange = [
        f"{module} imports {target}"
        for module, path in MODULES.items()
        if room(module) == "csource" and not module.startswith("csource.kvm")
        for target in imports_of(path)
        if room(target) not in {"csource", "lang"} or target.startswith("csource.kvm")
    ]
    assert strange == []


def test_only_the_system_of_the_checker_is_known_to_scenarios() -> None:
    known = {t for m, p in MODULES.items() if room(m) == "scenarios" for t in imports_of(p) if room(t) == "check"}
    assert known == {"check.system"}


def test_no_circle_of_imports() -> None:
    state: dict[str, int] = {}
    circles: list[str] = []

    def visit(module: str, way: list[str]) -> None:
        state[module] = 1
        for target in sorted(set(imports_of(MODULES[module])) - {module}):
            if state.get(target) == 1:
                circles.append(" -> ".join([*way[way.index(target) :], target]))
            elif target not in state:
                visit(target, [*way, target])
        state[module] = 2

    for module in MODULES:
        if module not in state:
            visit(module, [module])
    assert circles == []


KVM = re.compile(r"kvm|memslot|gpc|gfn|guest|vcpu|hva|gmem|notifier|(?<!import )pfn(?!cache)", re.IGNORECASE)


def test_the_checker_knows_nothing_about_kvm() -> None:
    known = [
        f"{module}:{number}: {line.strip()}"
        for module, path in MODULES.items()
        if room(module) in ("check", "lang")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if KVM.search(line)
    ]
    assert known == []


def test_no_two_public_classes_share_a_name() -> None:
    places = defaultdict(list)
    for module, path in MODULES.items():
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


RECORDS = {"Record", "ThreadInfo"}
HEADERS = ("linux.include.uapi", "linux.include.xen", "linux.arch.x86.include")
"""Their classes are no part of the kernel image."""


def test_no_two_functions_of_the_kernel_share_a_name() -> None:
    places = defaultdict(list)
    for module, path in MODULES.items():
        if room(module) != "linux" or module.startswith(HEADERS):
            continue
        for node in tree(path).body:
            if isinstance(node, ast.FunctionDef):
                places[node.name].append(module)
            if isinstance(node, ast.ClassDef) and not RECORDS & {ast.unparse(base) for base in node.bases}:
                for function in node.body:
                    if isinstance(function, ast.FunctionDef) and not any(
                        "abstractmethod" in ast.unparse(decorator) for decorator in function.decorator_list
                    ):
                        places[function.name].append(f"{module}.{node.name}")
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def sources() -> list[Path]:
    return [p for folder in ("src", "tests", "benchmarks", "tools") for p in sorted((ROOT / folder).rglob("*.py"))]


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}
    assert {name: count for name, count in lengths.items() if count > MAX_LINES} == {}


def test_every_file_has_its_licence() -> None:
    pages = [page for page in (ROOT / "docs").rglob("*.md") if ROOT / "docs" / "generated" not in page.parents]
    kept = [*sources(), *ROOT.glob("*.md"), *pages, ROOT / "Makefile", ROOT / "pyproject.toml"]
    without = [str(p.relative_to(ROOT)) for p in kept if "SPDX-License-Identifier:" not in p.read_text()[:300]]
    assert without == []


MAX_VERB_LINES = 60
"""Lines of code of a verb's file: it parses, calls and shows."""


def code_lines(path: Path) -> int:
    """The lines of a file that have code: no blank line, comment or docstring."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    documented = [node.body[0] for node in ast.walk(tree(path)) if isinstance(node, kinds) and ast.get_docstring(node)]
    text = {line for node in documented for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    lines = enumerate(path.read_text().splitlines(), 1)
    return sum(bool(line.strip()) and number not in text and line.strip()[0] != "#" for number, line in lines)


def test_a_verb_is_short() -> None:
    lengths = {where: code_lines(MODULES[where]) for where in verbs()}
    assert len(lengths) == len(VERBS)
    assert {where: count for where, count in lengths.items() if count > MAX_VERB_LINES} == {}


def verbs() -> list[str]:
    """The modules of the verbs."""
    return [place.partition(":")[0].removeprefix("pfncache.") for place, _ in VERBS.values()]
