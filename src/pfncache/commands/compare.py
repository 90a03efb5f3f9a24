# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache compare``: designs side by side."""

from __future__ import annotations

from pathlib import Path

import click

from pfncache.commands import options


@click.command()
@click.argument("designs", nargs=-1, metavar="[DESIGN|FILE.py[:DESIGN]]...")
@click.option("--scenario", "-s", "scenarios", multiple=True, metavar="SCENARIO", help="Only this scenario, or those whose name starts so.")  # fmt: skip # noqa: E501
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--svg", "picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw a picture there, too.")
@options.processes
@click.pass_context
def compare(
    ctx: click.Context, designs: tuple[str, ...], scenarios: tuple[str, ...], as_json: bool, picture: Path | None,
    processes: int | None,
) -> None:  # fmt: skip
    """Compare designs: what breaks, which memory KVM reaches, what an access costs, and what has to change.

    Without a design: the plan, and the others that have been argued for. FILE.py has designs of your own. The scenarios
    are the named ones; each design is compared with the mainline below it. Costs are counted: the steps that the model
    makes.

    Exit status: 0, 2 usage, 3 incomplete, 130 interrupted, 143 terminated. What breaks is no failure here: verify's.
    """
    from pfncache.commands.compare_run import CompareOptions, run

    asked = CompareOptions(
        designs=designs, scenarios=scenarios, as_json=as_json, picture=picture, processes=processes
    )  # fmt: skip
    ctx.exit(run(asked))
