# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache selftest``: the tests, on the model or on this host's KVM, as KTAP."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import groupby

import click
from rich.console import Console
from rich.markup import escape

from pfncache.commands.names import unknown
from pfncache.selftests import SELFTESTS
from pfncache.selftests.host import Host, probe
from pfncache.selftests.kernels import this_host
from pfncache.selftests.ktap import Line, header
from pfncache.selftests.runner import Result, run
from pfncache.selftests.selftest import Selftest
from pfncache.series import DESIGNS, Design

EXIT_FAILED, EXIT_SKIPPED, EXIT_INTERRUPTED = 1, 4, 130
COLOURS = {"ok": "green", "xfail": "yellow", "skip": "dim", "failed": "red"}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option("--machine", type=click.Choice(["model", "kvm"]), help="Default: kvm where /dev/kvm can be used.")
@click.option("--design", "design_name", metavar="DESIGN", help="The model; of a kernel: what it has to agree with.")
@click.pass_context
def selftest(ctx: click.Context, names: tuple[str, ...], machine: str | None, design_name: str | None) -> None:
    """Run the selftests whose names start with NAME, or all of them.

    On a kernel, the model of a design says what to expect of each. A pipe gets KTAP.
    Exit status: 0 all as expected, 1 not, 2 usage, 4 all were skipped, 130 interrupted.
    """
    if design_name is not None and design_name not in DESIGNS:
        raise unknown("design", design_name, DESIGNS)
    tests = _tests(names)
    host = probe() if machine != "model" else None
    if machine is None:
        assert host is not None
        machine = "kvm" if host.capabilities is not None else "model"
    design = (
        DESIGNS[design_name] if design_name else host.design if host and machine == "kvm" else DESIGNS["mainline-7.3"]
    )
    show = _show_human if _is_terminal() else _show_ktap
    counts: Counter[str] = Counter()
    try:
        for result in show(
            tests,
            run(tests, this_host if machine == "kvm" else None, design),
            _about(machine, design, host, bool(design_name)),
        ):
            counts[result.verdict] += 1
    except KeyboardInterrupt:
        ctx.exit(EXIT_INTERRUPTED)
    if counts["failed"]:
        ctx.exit(EXIT_FAILED)
    ctx.exit(EXIT_SKIPPED if counts["skip"] == len(tests) else 0)


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


def _about(machine: str, design: Design, host: Host | None, chosen: bool) -> str:
    if machine == "model":
        why = f" ({host.reason})" if host is not None else ""
        return f"machine: the model of {design.name}, {design.title}{why}"
    if host is None or host.capabilities is None:
        return f"machine: no usable KVM on this host: {host.reason if host else ''}"
    return f"machine: this host's KVM, modelled by {design.name} ({'as told' if chosen else host.reason})"


def _show_ktap(tests: list[Selftest], results: Iterator[Result], about: str) -> Iterator[Result]:
    """KTAP: a subtest for each group, each line as soon as it is known."""
    groups = [(name, list(members)) for name, members in groupby(tests, lambda test: test.group)]
    click.echo(header(len(groups)))
    click.echo(f"# {about}")
    for number, (group, members) in enumerate(groups, 1):
        click.echo(header(len(members), 1, group))
        verdicts = []
        for count, result in enumerate((next(results) for _ in members), 1):
            click.echo(result.line.render(count, 1))
            sys.stdout.flush()
            verdicts.append(result.verdict)
            yield result
        skipped = all(v == "skip" for v in verdicts)
        line = Line(group, "failed" not in verdicts, "SKIP" if skipped else "", "all were skipped" if skipped else "")
        click.echo(line.render(number, 0))


def _show_human(tests: list[Selftest], results: Iterator[Result], about: str) -> Iterator[Result]:
    """One line for each group, then what needs a word: failures in full, known ones and skips by their reason."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(about, markup=False)
    started = time.monotonic()
    total: Counter[str] = Counter()
    for group, members in groupby(tests, lambda test: test.group):
        counts: Counter[str] = Counter()
        reasons: dict[tuple[str, str], list[str]] = {}
        for _ in list(members):
            result = next(results)
            counts[result.verdict] += 1
            if result.verdict != "ok":
                why = result.line.reason or "; ".join(result.line.notes)
                reasons.setdefault((result.verdict, why), []).append(result.test.short)
            yield result
        console.print(f"[bold]{group:<20}[/] {_counts(counts)}")
        for (verdict, why), names in reasons.items():
            console.print(f"  [{COLOURS[verdict]}]{verdict}[/] {', '.join(names)}: {escape(why)}")
        total.update(counts)
    console.print(f"{_counts(total)} in {time.monotonic() - started:.1f} s")


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"[{COLOURS[v]}]{counts[v]} {v}[/]" for v in COLOURS if counts[v])
