# SPDX-License-Identifier: GPL-2.0-only
"""The checker as a function, for the Python prompt and for scripts."""

from __future__ import annotations

from collections.abc import Iterable

from pfncache.designs.design import Design
from pfncache.designs.patch_check import check_design
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import Scenario
from pfncache.verify import MAX_STATES
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import run_jobs
from pfncache.verify.selection import Extent, Selection, design_named
from pfncache.verify.session import SearchOptions, Session


def check(
    design: Design | str,
    scenarios: str | Scenario | Iterable[str | Scenario] | None = None,
    *,
    max_states: int = MAX_STATES,
    jobs: int | None = None,
    reduction: bool = True,
    first: bool = False,
) -> list[Outcome]:
    """Search every interleaving of scenarios under a design. Returns an outcome for each scenario, in their order.

    `design` is a design, the name of one in ``pfncache.designs``, ``FILE.py`` or ``FILE.py:design``. `scenarios` are
    scenarios, and names or beginnings of names in ``pfncache.scenarios``; by default those of ``pfncache verify``.
    A scenario that was asked for, of memory that the design's kernel does not have, is not applicable.

    A search ends as bounded after `max_states` states. `jobs` is the number of processes, by default one a core.
    ``reduction=False`` expands every actor in every state instead of a persistent set of them.
    With `first`, each search ends at the first violation.

    Raises LookupError for a name that does not exist, and CompileError for a patch that replaces nothing, or code of a
    design that is not in the modelling language.
    """
    chosen = design_named(design) if isinstance(design, str) else design
    check_design(chosen)
    found, wanted = _scenarios(scenarios)
    options = SearchOptions(max_states=max_states, reduction=reduction, first=first, processes=jobs, absolute=True)
    session = Session.plan([chosen], found, wanted=wanted, options=options)
    outcomes = {job.scenario_name: outcome for job, outcome in run_jobs(session.jobs, jobs)}
    outcomes |= {name: Outcome.not_applicable(name, reason=reason) for name, reason in session.idle[0].items()}
    return [outcomes[scenario.name] for scenario in found if scenario.name in outcomes]


def _scenarios(wanted: str | Scenario | Iterable[str | Scenario] | None) -> tuple[list[Scenario], list[str]]:
    """Return the scenarios, and the names and prefixes that were asked for."""
    catalogue = Selection(())
    if wanted is None:
        return catalogue.scenarios_named((), Extent.COVERING), []
    found: dict[str, Scenario] = {}
    asked = [wanted] if isinstance(wanted, str | Scenario) else list(wanted)
    for one in asked:
        for scenario in catalogue.scenarios_named((one,)) if isinstance(one, str) else (one,):
            if scenario is not SCENARIOS.get(scenario.name, scenario):
                raise ValueError(f"the catalogue has a scenario {scenario.name!r}; give another name")
            found[scenario.name] = scenario
    return list(found.values()), [one if isinstance(one, str) else one.name for one in asked]
