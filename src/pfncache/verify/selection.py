# SPDX-License-Identifier: GPL-2.0-only
"""The designs and scenarios that a user names: those of the catalogue, and those of the user's files."""

from __future__ import annotations

import os
from collections import ChainMap, Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pfncache.designs.catalogue import DESIGNS, mainline_7_3
from pfncache.designs.design import Design
from pfncache.scenarios import DEFAULT_SCENARIOS, SCENARIOS
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.names import point_named, scenario_of
from pfncache.scenarios.space.point import ROOM
from pfncache.verify.loader import UserFile, UserFileError, is_file, load, load_design, split
from pfncache.verify.nearest import UnknownName


@dataclass(frozen=True)
class Selection:
    """Designs by name or by file, and the scenarios that the files define."""

    designs: tuple[Design, ...]
    scenarios: tuple[Scenario, ...] = ()
    files: tuple[UserFile, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str], *, rename: bool = False) -> Selection:
        """Look names up: of designs, ``FILE.py``, or ``FILE.py:design``. Raises UnknownName and UserFileError.

        A name that is given twice counts once. Designs of one name from several files are an error, or with `rename`
        each gets its file as a prefix.
        """
        designs: list[Design] = []
        scenarios: dict[str, Scenario] = {}
        files: dict[str, UserFile] = {}
        file_of: dict[int, str] = {}
        for name in dict.fromkeys(_normal(name) for name in names):
            if not is_file(name):
                if name not in DESIGNS:
                    raise UnknownName("design", name, DESIGNS)
                designs.append(DESIGNS[name])
                continue
            path, wanted = split(name)
            file = files.get(path) or load(path)
            designs.extend([file.design(wanted)] if wanted else file.designs)
            file_of |= {id(design): path for design in file.designs}
            for scenario in file.scenarios if path not in files else ():
                if scenario.name in scenarios:
                    raise UserFileError(f"{path}: another file defines a scenario {scenario.name!r} too")
                scenarios[scenario.name] = scenario
            files[path] = file
        designs = list({id(design): design for design in designs}.values())
        if rename:
            designs = _distinguished(designs, file_of)
        for name, count in Counter(design.name for design in designs).items():
            if count > 1:
                raise UserFileError(f"two designs are called {name!r}; give one of them another name")
        return cls(tuple(designs), tuple(scenarios.values()), tuple(files.values()))

    @property
    def design(self) -> Design:
        """The one design; the newest mainline if a file with scenarios alone was named. Raises UserFileError."""
        if len(self.designs) > 1:
            names = ", ".join(d.name for d in self.designs)
            raise UserFileError(f"one design is needed, not {len(self.designs)} ({names}); name one, as FILE.py:design")
        return self.designs[0] if self.designs else mainline_7_3

    def _known(self) -> Mapping[str, Scenario]:
        """Return the scenarios of the catalogue, and the files' own, by name."""
        return ChainMap({scenario.name: scenario for scenario in self.scenarios}, cast(dict[str, Scenario], SCENARIOS))

    def scenario(self, name: str) -> Scenario:
        """Return the scenario of exactly this name. Raises UnknownName."""
        known = self._known()
        if name not in known:
            return next(iter(_of_the_space(name, known).values()))
        return known[name]

    def scenarios_named(self, wanted: Sequence[str]) -> list[Scenario]:
        """Return the scenarios with these names or prefixes, or by default the catalogue's and the files'.

        Files that define scenarios and no design are there to run these on other designs: then they are the default.
        Raises UnknownName.
        """
        known = self._known()
        if not wanted:
            ours = all(design is DESIGNS.get(design.name) for design in self.designs)
            return list(self.scenarios) if ours and self.scenarios else [*DEFAULT_SCENARIOS.values(), *self.scenarios]
        chosen: dict[str, Scenario] = {}
        for name in wanted:
            own = [scenario.name for scenario in self.scenarios if scenario.name.startswith(name)]
            found = [name] if name in known else [*SCENARIOS.starting_with(name), *own]
            chosen.update({n: known[n] for n in found} or _of_the_space(name, known))
        return list(chosen.values())


def _of_the_space(name: str, known: Mapping[str, Scenario]) -> dict[str, Scenario]:
    """Return the scenario of the space of this name, which no array has. Raises UnknownName."""
    if not name.startswith(f"{ROOM}/"):
        raise UnknownName("scenario", name, known)
    try:
        scenario = scenario_of(point_named(name))
    except ValueError as error:
        raise UnknownName.because(str(error)) from None
    return {scenario.name: scenario}


def _normal(name: str) -> str:
    """Return the name of a design as it is, and one path for all the ways to write that of a file."""
    if not is_file(name):
        return name
    path, wanted = split(name)
    return f"{os.path.normpath(path)}:{wanted}" if wanted else os.path.normpath(path)


def _distinguished(designs: Sequence[Design], file_of: Mapping[int, str]) -> list[Design]:
    """Return the designs; those of one name from several files get the stem of the file as a prefix, or its path."""
    counts = Counter(design.name for design in designs)
    twins = [design for design in designs if counts[design.name] > 1]
    stems = Counter((Path(file_of[id(d)]).stem, d.name) for d in twins)

    def named(design: Design) -> Design:
        if counts[design.name] == 1:
            return design
        path = Path(file_of[id(design)])
        prefix = path.stem if stems[path.stem, design.name] == 1 else str(path)
        return design.named(f"{prefix}:{design.name}", design.title)

    return [named(design) for design in designs]


def designs_named(names: Iterable[str]) -> list[Design]:
    """Return the designs that a user named. Raises UnknownName and UserFileError."""
    return list(Selection.of(names).designs)


def design_named(name: str) -> Design:
    """Return the one design of a name, of ``FILE.py`` or ``FILE.py:design``. Raises UnknownName and UserFileError."""
    if is_file(name):
        return load_design(name)
    if name not in DESIGNS:
        raise UnknownName("design", name, DESIGNS)
    return DESIGNS[name]


def searched(design: Design, scenario: Scenario, by_name: bool) -> bool:
    """True if a scenario is searched under a design.

    The kernel must have the kind of memory. A design with a known fault is searched only where that shows and in a
    user's own scenarios, unless scenarios were asked for `by_name`.
    """
    asked = by_name or scenario.name not in SCENARIOS
    return design.has(scenario.memory) and (asked or design.shown_by in ("", scenario.name))


def not_applicable(design: Design, scenarios: Sequence[Scenario], wanted: Sequence[str]) -> dict[str, str]:
    """Return the scenarios that were asked for and that a design's kernel cannot run, each with the reason.

    These are a user's own, those asked for by name, and those of a prefix if the kernel can run none of them.
    """
    names = {scenario.name for scenario in scenarios}

    def matches(name: str, pattern: str) -> bool:
        return name == pattern if pattern in names else name.startswith(pattern)

    idle = [p for p in wanted if not any(matches(s.name, p) and design.has(s.memory) for s in scenarios)]
    return {
        s.name: f"{design.name or 'the design'} has no memory of the kind {s.memory}"
        for s in scenarios
        if not design.has(s.memory) and (s.name not in SCENARIOS or any(matches(s.name, p) for p in idle))
    }
