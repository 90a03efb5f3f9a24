# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache verify``: every interleaving of every scenario, for one design or for all."""

from __future__ import annotations

import click

from pfncache.commands.names import DesignName, ScenarioName, usage_errors
from pfncache.verify import MAX_STATES

EXIT_VIOLATED, EXIT_INTERRUPTED = 1, 130
SCENARIO_HELP = "Only this scenario, or those whose name starts so."


@click.command()
@click.argument("designs", nargs=-1, type=DesignName(), metavar="[DESIGN|FILE.py[:DESIGN]]...")
@click.option("-s", "--scenario", "scenarios", multiple=True, type=ScenarioName(), help=SCENARIO_HELP)
@click.option("--all", "everything", is_flag=True, help="Every design, older kernels and reverted fixes too.")
@click.option("--each-patch", is_flag=True, help="Check a series patch by patch, as it would be bisected.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option(
    "--max-states", type=click.IntRange(min=1000), default=MAX_STATES, show_default=True, help="Per scenario."
)
@click.option("--no-reduction", is_flag=True, help="Expand every actor in every state, not a persistent set of them.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Processes; as many as there are cores.")
@click.pass_context
def verify(
    ctx: click.Context, designs: tuple[str, ...], scenarios: tuple[str, ...], everything: bool, each_patch: bool,
    as_json: bool, max_states: int, no_reduction: bool, jobs: int | None,
) -> None:  # fmt: skip
    """Check designs: does any interleaving of any scenario violate a property?

    Without a design: the newest mainline and every series. FILE.py has designs and scenarios of your own, which are
    checked beside the catalogue's; if it has scenarios alone, these are checked under the other designs.

    Exit status: 0 all hold, 1 violated, 2 usage, 130 interrupted.
    """
    from pfncache.designs.catalogue import DEFAULT_DESIGNS, DESIGNS
    from pfncache.verify.selection import Selection

    with usage_errors():
        named = Selection.of(designs)
        searched = named.scenarios_named(scenarios)
        chosen = list(named.designs) or [DESIGNS[n] for n in (DESIGNS if everything else DEFAULT_DESIGNS)]
        if each_patch:
            chosen = [step for design in chosen for step in design.prefixes()]
        from pfncache.verify.session import SearchOptions, Session
        from pfncache.verify.view import run_with_progress, show, show_json

        options = SearchOptions(max_states=max_states, reduction=not no_reduction, processes=jobs)
        session = Session.plan(chosen, searched, by_name=bool(scenarios), options=options)
        seconds = run_with_progress(session)
    if as_json:
        show_json(session.outcomes)
    else:
        show(session.outcomes, seconds)
    if session.interrupted:
        ctx.exit(EXIT_INTERRUPTED)
    ctx.exit(EXIT_VIOLATED if session.is_violated else 0)
