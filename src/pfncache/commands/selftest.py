# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache selftest``: the tests, on the model, on this host's KVM, or on kernels in QEMU."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator

import click
from rich.console import Console

from pfncache.commands.guests import running
from pfncache.commands.names import unknown
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.selftests import SELFTESTS
from pfncache.selftests import view as report
from pfncache.selftests.comparison import Column, document, table
from pfncache.selftests.guest_kernel import GuestKernel
from pfncache.selftests.identify import Host, probe
from pfncache.selftests.runner import Result, run
from pfncache.selftests.selftest import Selftest
from pfncache.selftests.targets import Kernel, this_host

DEFAULT_KERNELS = "6.12,6.18,7.3"
"""Without and with guest_memfd that can be mapped, and the newest."""
EXIT_FAILED, EXIT_SKIPPED, EXIT_INTERRUPTED = 1, 4, 130


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option("--machine", type=click.Choice(["model", "kvm", "vm"]), help="Default: kvm where /dev/kvm can be used.")
@click.option(
    "--kernel",
    "kernels",
    metavar="K[,K...]",
    help=f"In QEMU; several make a table. See `pfncache kernel`. Of --machine vm: {DEFAULT_KERNELS}.",
)
@click.option("--design", "design_name", metavar="DESIGN", help="The model; of a kernel: what it has to agree with.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.pass_context
def selftest(
    ctx: click.Context, names: tuple[str, ...], machine: str | None, kernels: str | None, design_name: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Run the selftests whose names start with NAME, or all of them.

    On a kernel, the model of a design says what to expect of each. A pipe gets KTAP.
    Exit status: 0 all as expected, 1 not, 2 usage, 4 all were skipped, 130 interrupted.
    """
    if design_name is not None and design_name not in DESIGNS:
        raise unknown("design", design_name, DESIGNS)
    if kernels is not None and machine not in (None, "vm"):
        raise click.UsageError(f"--kernel is for the machine vm, not for {machine}")
    if machine == "vm" and kernels is None:
        kernels = DEFAULT_KERNELS
    tests = _tests(names)
    design = DESIGNS[design_name] if design_name else None
    show = report.silent if as_json else report.summary if _is_terminal() else report.ktap
    columns: list[Column] = []
    try:
        for column, results in _subjects(tests, machine, kernels, design):
            columns.append(column)
            for result in show(tests, results, f"machine: {column.about}"):
                column.results.append(result)
    except KeyboardInterrupt:
        ctx.exit(EXIT_INTERRUPTED)
    if as_json:
        click.echo(json.dumps(document(columns), indent=1))
    elif len(columns) > 1 and _is_terminal():
        Console(highlight=False).print(table(columns))
    counts = Counter(result.verdict for column in columns for result in column.results)
    if counts["failed"]:
        ctx.exit(EXIT_FAILED)
    ctx.exit(EXIT_SKIPPED if counts["skip"] == counts.total() else 0)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _tests(names: tuple[str, ...]) -> list[Selftest]:
    if not names:
        return list(SELFTESTS.values())
    chosen: dict[str, Selftest] = {}
    for name in names:
        found = {n: test for n, test in SELFTESTS.items() if n.startswith(name)}
        if not found:
            raise unknown("selftest", name, SELFTESTS)
        chosen.update(found)
    return [test for name, test in SELFTESTS.items() if name in chosen]


def _subjects(
    tests: list[Selftest], machine: str | None, kernels: str | None, design: Design | None
) -> Iterator[tuple[Column, Iterator[Result]]]:
    """What the tests are to run on, each with their results as they come."""
    if kernels is not None:
        for name in kernels.split(","):
            with running(name) as guest:
                kernel = GuestKernel(guest)
                release = guest.image.release
                yield _on_kernel(tests, kernel, f"of Linux {release} in QEMU", release, kernel.probe(), design)
        return
    host = probe() if machine != "model" else None
    if host is not None and (machine == "kvm" or host.capabilities is not None):
        yield _on_kernel(tests, this_host, "of this host", os.uname().release, host, design)
        return
    design = design or DESIGNS["mainline-7.3"]
    why = f" ({host.reason})" if host is not None else ""
    column = Column("", design.name, f"the model of {design.name}, {design.title}{why}")
    yield column, run(tests, None, design)


def _on_kernel(
    tests: list[Selftest], kernel: Kernel, where: str, release: str, host: Host, told: Design | None
) -> tuple[Column, Iterator[Result]]:
    design = told or host.design
    if host.capabilities is None:
        return Column(release, design.name, f"no usable KVM {where}: {host.reason}"), run(tests, kernel, design)
    about = f"the KVM {where}, modelled by {design.name} ({'as told' if told else host.reason})"
    return Column(release, design.name, about), run(tests, kernel, design, host.capabilities.processor)
