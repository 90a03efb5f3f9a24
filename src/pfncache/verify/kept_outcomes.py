# SPDX-License-Identifier: GPL-2.0-only
"""Outcomes of unpatched kernels from their C, on disk: each series on such a kernel is compared with the same ones.

The verdict of a series is never kept, nor is that of a design in Python.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pfncache import user_cache
from pfncache.check.verdict import Verdict
from pfncache.designs.design import Design
from pfncache.properties import PROBES
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import Scenario
from pfncache.verify.identity import is_from_c
from pfncache.verify.outcome import Outcome, Violation
from pfncache.verify.program_cache import layers_of, newest_folder
from pfncache.verify.reach import TargetResult
from pfncache.verify.trace import Trace, TraceRow

FORMAT = "pfncache outcomes 2"


class KeptOutcomes:
    """The outcomes of the catalogue's scenarios under one kernel, searched within the same bounds."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found = _read(path) if path is not None else {}
        self._is_changed = False

    @classmethod
    def of(cls, design: Design, *bounds: object) -> KeptOutcomes:
        """Return those of a kernel from its C; of any other, and where there is no folder, nothing is kept.

        The key has the versions of the package's sources, all that the translation has read, and the bounds.
        """
        folder = newest_folder() if is_from_c(design) else None
        if folder is None:
            return cls(None)
        text = repr((layers_of(design.kernel(*PROBES)), sorted(design.lacks), bounds))
        return cls(folder / f"outcomes-{hashlib.sha256(text.encode()).hexdigest()[:40]}")

    def get(self, scenario: Scenario) -> Outcome | None:
        """Return the outcome of a scenario; None if it is not kept, or for one that is not the catalogue's."""
        return self._found.get(scenario.name) if SCENARIOS.get(scenario.name) is scenario else None

    def keep(self, outcome: Outcome) -> None:
        """Keep an outcome in memory, if it is one of the catalogue's and its search was complete."""
        if self._path is not None and outcome.is_complete and outcome.used and outcome.scenario in SCENARIOS:
            self._found[outcome.scenario] = outcome
            self._is_changed = True

    def write(self) -> None:
        """Write what is kept. Without space for it, it is searched again."""
        if self._path is None or not self._is_changed:
            return
        content = _with_digest(json.dumps([_as_json(outcome) for outcome in self._found.values()]))
        try:
            user_cache.write(self._path, content)
        except OSError as error:
            notice = f"outcomes of the base are not kept: {user_cache.explain(error)}"
            user_cache.notify(user_cache.Notice.UNWRITABLE, notice)


def _with_digest(text: str) -> bytes:
    return f"{FORMAT} {hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode()


def _read(path: Path) -> dict[str, Outcome]:
    """Return what is in a file; nothing if it is not there, or not whole."""
    content = user_cache.read(path)
    if content is None:
        return {}
    text = content.partition(b"\n")[2].decode(errors="replace")
    if _with_digest(text) != content:
        user_cache.notify(user_cache.Notice.PROGRAM, f"{path} is not used: its content is not whole")
        return {}
    return {outcome.scenario: outcome for outcome in map(_outcome, json.loads(text))}


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "scenario": outcome.scenario,
        "verdict": outcome.verdict.value,
        "violations": [_violation_as_json(violation) for violation in outcome.violations],
        "states": outcome.states,
        "transitions": outcome.transitions,
        "seconds": outcome.seconds,
        "bounds": outcome.bounds,
        "limit": outcome.limit,
        "targets": [[t.target, t.reached, t.required, t.unreachable] for t in outcome.targets],
        "used": sorted(outcome.used),
    }


def _violation_as_json(violation: Violation) -> dict[str, Any]:
    trace = violation.trace
    rows = [row.as_json() for row in trace.rows] if trace is not None else []
    shown = {"actors": list(trace.actors), "rows": rows, "reason": trace.reason, "loop": trace.loop} if trace else None
    calls = [list(call) for call in violation.calls]
    return {"property": violation.property, "reason": violation.reason, "trace": shown, "calls": calls}


def _outcome(known: Mapping[str, Any]) -> Outcome:
    numbers = {name: known[name] for name in ("scenario", "states", "transitions", "seconds", "bounds", "limit")}
    return Outcome(
        **numbers,
        verdict=Verdict(known["verdict"]),
        violations=tuple(map(_violation, known["violations"])),
        targets=tuple(TargetResult(target=t, reached=r, required=q, unreachable=u) for t, r, q, u in known["targets"]),
        used=frozenset(known["used"]),
    )


def _violation(known: Mapping[str, Any]) -> Violation:
    shown = known["trace"]
    trace = None
    if shown is not None:
        rows = tuple(TraceRow(**{**row, "changes": tuple(row["changes"])}) for row in shown["rows"])
        trace = Trace(actors=tuple(shown["actors"]), rows=rows, reason=shown["reason"], loop=shown["loop"])
    calls = tuple((function, line) for function, line in known["calls"])
    return Violation(property=known["property"], reason=known["reason"], trace=trace, calls=calls)
