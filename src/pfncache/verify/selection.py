# SPDX-License-Identifier: GPL-2.0-only
"""The designs and scenarios that a user names: those of the catalogue, and those of the user's files."""

from __future__ import annotations

import os
from collections import ChainMap, Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import cast

from pfncache.designs.catalogue import DEFAULT_DESIGNS, DESIGNS, mainline_7_3
from pfncache.designs.design import Design
from pfncache.scenarios import DEFAULT_SCENARIOS, SCENARIOS
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.arrays import covering, thorough
from pfncache.scenarios.space.names import SpaceScenario, is_point, point_named, scenario_of
from pfncache.scenarios.space.space import SPACE, Space
from pfncache.verify.loader import UserFile, UserFileError, is_file, load, load_design, split
from pfncache.verify.nearest import UnknownName


class Extent(StrEnum):
    """How much of the space of scenarios is searched beside the hand-chosen scenarios."""

    NAMED = "named"
    """Nothing of it."""
    COVERING = "covering"
    """The array that covers all pairs of values."""
    THOROUGH = "thorough"
    """The array that covers all triples of four dimensions, too."""

    def scenarios(self, space: Space) -> tuple[SpaceScenario, ...]:
        """Return the array."""
        if self is Extent.NAMED:
            return ()
        return thorough(space) if self is Extent.THOROUGH else covering(space)


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
            if file.space is not None and any(f.space not in (None, file.space) for f in files.values()):
                raise UserFileError(f"{path}: another file has a space of scenarios too")
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

    @property
    def space(self) -> Space:
        """The space of scenarios: that of a file, or the catalogue's."""
        return next((file.space for file in self.files if file.space is not None), SPACE)

    def _array(self, extent: Extent) -> dict[str, Scenario]:
        """Return the array that is not the catalogue's: of a file's own space, or the thorough one."""
        if self.space is SPACE and extent is not Extent.THOROUGH:
            return {}
        some = Extent.COVERING if extent is Extent.NAMED else extent
        return {scenario.name: scenario for scenario in some.scenarios(self.space)}

    def _known(self, array: Mapping[str, Scenario] | None = None) -> Mapping[str, Scenario]:
        """Return the scenarios of the catalogue, of an array, and the files' own, by name."""
        own = {scenario.name: scenario for scenario in self.scenarios}
        return ChainMap(own, {**(array or {})}, cast(dict[str, Scenario], SCENARIOS))

    def scenario(self, name: str) -> Scenario:
        """Return the scenario of exactly this name. Raises UnknownName."""
        known = self._known()
        if name not in known:
            return next(iter(_of_the_space(name, known, self.space).values()))
        return known[name]

    def scenarios_named(self, wanted: Sequence[str], extent: Extent = Extent.NAMED) -> list[Scenario]:
        """Return the scenarios with these names or prefixes, or by default the catalogue's, the array, and the files'.

        Files that define scenarios or a space and no design are there to run these on other designs: then they are the
        default. Raises UnknownName.
        """
        if not wanted:
            ours = all(design is DESIGNS.get(design.name) for design in self.designs)
            if ours and (self.scenarios or self.space is not SPACE):
                array = extent.scenarios(self.space) if self.space is not SPACE else ()
                return [*array, *self.scenarios]
            return [*DEFAULT_SCENARIOS.values(), *extent.scenarios(self.space), *self.scenarios]
        more = self._array(extent)
        known = self._known(more)
        chosen: dict[str, Scenario] = {}
        for name in wanted:
            own = [scenario.name for scenario in self.scenarios if scenario.name.startswith(name)]
            found = [name] if name in known else [*SCENARIOS.starting_with(name, more or None), *own]
            chosen.update({n: known[n] for n in found} or _of_the_space(name, known, self.space))
        return list(chosen.values())


def _of_the_space(name: str, known: Mapping[str, Scenario], space: Space) -> dict[str, Scenario]:
    """Return the scenario of a space of this name, which no array has. Raises UnknownName."""
    if not is_point(name):
        raise UnknownName("scenario", name, known)
    try:
        scenario = scenario_of(point_named(name, space))
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

    The kernel must have the kind of memory. The array of the space is searched under the newest mainline, the series,
    and designs that are not of the catalogue. A design with a known fault is searched only where that shows and in a
    user's own scenarios, unless scenarios were asked for `by_name`.
    """
    if not by_name and isinstance(scenario, SpaceScenario) and not _has_array(design):
        return False
    asked = by_name or scenario.name not in SCENARIOS
    return design.has(scenario.memory) and (asked or design.shown_by in ("", scenario.name))


def _has_array(design: Design) -> bool:
    """Return whether an array of the space is searched under a design by default."""
    return design.name in DEFAULT_DESIGNS or DESIGNS.get(design.name) is not design


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
